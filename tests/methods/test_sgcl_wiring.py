"""Every term of a step of SGCL, and its gradients, against loops in float64 that are written from the paper alone.

Eq. 1 to 6 of Du et al. (2026); where the paper is silent, the choices that docs/methods/sgcl.md states. The networks
(generators, discriminators, heads, segmenters) are taken as they are: what is tested is what they are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from saropt.methods import SGCL, Batch
from saropt.methods import sgcl as module
from saropt.methods.guidance import ClassGuide, freeze
from saropt.methods.sgcl import SGCLConfig

SIDE = 24
CLASSES = 9
TAPS = (0, 4, 8, 12)
LAMBDAS = {"cycle": 7.0, "identity": 0.3, "gan": 1.7, "seg": 0.6, "sc": 2.3}
TAU = 0.2


def map_of_classes(bands: int, seed: int) -> nn.Module:
    """A frozen segmenter of nine classes, of which it finds few: 1 is everywhere, 0 and most others nowhere."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(bands, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 1)).double()
    with torch.no_grad():
        network[2].weight.mul_(4.0)
        network[2].bias.copy_(torch.tensor([-30.0, 1.0, -30.0, 0.5, -30.0, 1.5, -30.0, 0.5, -30.0]))
    freeze(network)
    return network


def new_method(bands: tuple[int, int], **changes) -> SGCL:
    torch.manual_seed(11)
    settings = {
        "network_arguments": {"width": 4, "blocks": 2},
        "discriminator_width": 4,
        "projection_width": 6,
        "guidance": "kmeans",
        "nce_taps": TAPS,
        "pool_size": 0,
        "temperature": TAU,
        **{f"lambda_{name}": value for name, value in LAMBDAS.items()},
    }
    method = SGCL(SGCLConfig(**settings | changes), {"sar": bands[0], "optical": bands[1]}).double()
    method.sar_guide, method.optical_guide = (ClassGuide(map_of_classes(bands[k], k)) for k in (0, 1))
    for parameter in method.parameters():  # what a trained network has: no bias is zero, features are of size one
        nn.init.normal_(parameter, std=0.3)
    return method


def new_batch(count: int, bands: tuple[int, int]) -> Batch:
    generator = torch.Generator().manual_seed(count)
    return Batch(
        {
            role: torch.tanh(torch.randn(count, number, SIDE, SIDE, generator=generator, dtype=torch.float64))
            for role, number in zip(("sar", "optical"), bands, strict=True)
        }
    )


def as_bands(image: Tensor, count: int) -> Tensor:
    """Output band j is the mean of the input bands that its share of them touches."""
    bands = []
    for j in range(count):
        share = image.shape[1] / count
        touched = [k for k in range(image.shape[1]) if k < (j + 1) * share and k + 1 > j * share]
        bands.append(sum(image[:, k] for k in touched) / len(touched))
    return torch.stack(bands, dim=1)


def encode(generator: nn.Module, image: Tensor) -> list[Tensor]:
    """The outputs of the layers at TAPS."""
    features = []
    for index, layer in enumerate(generator.layers):
        image = layer(image)
        if index in TAPS:
            features.append(image)
    return features


def mirrored(index: int, size: int) -> int:
    """Position in an image that a position beyond its edge mirrors."""
    index = abs(index)
    return index if index < size else 2 * (size - 1) - index


def class_at(classes: Tensor, row: int, column: int, height: int, width: int) -> int:
    """The class (of a map of SIDE x SIDE) at a position of a feature map of height x width."""
    if height > SIDE:
        margin = (height - SIDE) // 2
        return int(classes[mirrored(row - margin, SIDE), mirrored(column - margin, SIDE)])
    return int(classes[row * SIDE // height, column * SIDE // width])


def patch(row: int, column: int, height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    """The positions inside the map of a window around one."""
    reach = side // 2
    for r in range(row - reach, row + reach + 1):
        for c in range(column - reach, column + reach + 1):
            if 0 <= r < height and 0 <= c < width:
                yield r, c


def vectors(head: nn.Module, feature: Tensor, side: int) -> Tensor:
    """One unit vector for the patch around each position of a map (C, h, w): (h w, width)."""
    height, width = feature.shape[1:]
    means = []
    for row in range(height):
        for column in range(width):
            inside = list(patch(row, column, height, width, side))
            means.append(sum(feature[:, r, c] for r, c in inside) / len(inside))
    projected = head(torch.stack(means))
    return projected / (projected.square().sum(dim=1, keepdim=True).sqrt() + 1e-7)


def votes(classes: Tensor, height: int, width: int, side: int) -> list[int]:
    """The most frequent class of the patch around each position; of equals the lowest."""
    found = []
    for row in range(height):
        for column in range(width):
            inside = [class_at(classes, r, c, height, width) for r, c in patch(row, column, height, width, side)]
            found.append(max(range(CLASSES), key=lambda kind, seen=inside: (seen.count(kind), -kind)))
    return found


def eq_2(query: Tensor, keys: Tensor, positive: list[bool]) -> Tensor:
    """- log of the positives' share in the sum of exp(query . key / tau)."""
    terms = torch.exp((keys * query).sum(dim=1) / TAU)
    return -torch.log(terms[torch.tensor(positive)].sum() / terms.sum())


def eq_3(head: nn.Module, generated: list[Tensor], real: list[Tensor], classes: Tensor, settings: dict) -> Tensor:
    """One of the four sums, as a mean over images, taps and queries."""
    side, places, all_keys = settings["patch_size"], settings["places"], settings["all_keys"]
    of_taps = []
    for tap, (made, true) in enumerate(zip(generated, real, strict=True)):
        height, width = made.shape[2:]
        losses = []
        for image in range(len(made)):
            queries = vectors(head.heads[tap], made[image], side)
            keys = vectors(head.heads[tap], true[image].detach(), side).detach()
            kinds = votes(classes[image], height, width, side)
            held = list(range(height * width)) if all_keys else places[tap]
            for place in places[tap]:
                positive = [kinds[key] == kinds[place] for key in held]
                losses.append(eq_2(queries[place], keys[held], positive))
        of_taps.append(sum(losses) / len(losses))
    return sum(of_taps) / len(of_taps)


def eq_1(segmenter: nn.Module, reconstructed: Tensor, real: Tensor) -> Tensor:
    classes, logits = segmenter(real).argmax(dim=1), segmenter(reconstructed)
    total = 0.0
    for image in range(len(real)):
        for row in range(SIDE):
            for column in range(SIDE):
                scores = logits[image, :, row, column]
                total = total + torch.log(torch.exp(scores).sum()) - scores[classes[image, row, column]]
    return total / classes.numel()


def paper(method: SGCL, batch: Batch, settings: dict) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weighted terms of eq. 6, and those of the discriminators."""
    sar, optical = batch["sar"], batch["optical"]
    g_so, g_os = method.sar2opt, method.opt2sar
    fake_opt, fake_sar = g_so(sar), g_os(optical)
    rec_sar, rec_opt = g_os(fake_opt), g_so(fake_sar)
    as_optical, as_sar = as_bands(sar, optical.shape[1]), as_bands(optical, sar.shape[1])
    idt_sar, idt_opt = g_os(as_optical), g_so(as_sar)
    sarseg, optseg = method.sar_guide.segmenter, method.optical_guide.segmenter
    sar_classes, opt_classes = sarseg(sar).argmax(dim=1), optseg(optical).argmax(dim=1)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().sum() / a.numel()

    def game(discriminator: nn.Module, image: Tensor, label: float) -> Tensor:
        logits = discriminator(image)[-1]
        if settings["mode"] == "lsgan":
            return ((logits - label) ** 2).mean()
        real = torch.sigmoid(logits)
        return -torch.log(real if label else 1.0 - real).mean()

    def contrast(head: nn.Module, encoder: nn.Module, made: Tensor, real: Tensor, classes: Tensor) -> Tensor:
        made = as_bands(made, encoder.layers[1].in_channels)
        return eq_3(head, encode(encoder, made), encode(encoder, real), classes, settings)

    h_so, h_os = method.sar2opt_projection, method.opt2sar_projection
    d_opt, d_sar = method.optical_discriminator, method.sar_discriminator
    terms = {
        "gan_optical": game(d_opt, fake_opt, 1.0),
        "gan_sar": game(d_sar, fake_sar, 1.0),
        "cycle_sar": distance(sar, rec_sar),
        "cycle_optical": distance(optical, rec_opt),
        "identity_sar": distance(sar, idt_sar),
        "identity_optical": distance(optical, idt_opt),
        "seg_sar": eq_1(sarseg, rec_sar, sar),
        "seg_optical": eq_1(optseg, rec_opt, optical),
        "sc_fake_optical": contrast(h_so, g_so, fake_opt, sar, sar_classes),
        "sc_fake_sar": contrast(h_os, g_os, fake_sar, optical, opt_classes),
        "sc_identity_sar": contrast(h_os, g_os, idt_sar, as_optical, sar_classes),
        "sc_identity_optical": contrast(h_so, g_so, idt_opt, as_sar, opt_classes),
    }
    judged = {
        "real_optical": game(d_opt, optical, 1.0) / 2,
        "fake_optical": game(d_opt, fake_opt.detach(), 0.0) / 2,
        "real_sar": game(d_sar, sar, 1.0) / 2,
        "fake_sar": game(d_sar, fake_sar.detach(), 0.0) / 2,
    }
    return {name: LAMBDAS[name.partition("_")[0]] * term for name, term in terms.items()}, judged


def gradients(method: SGCL, total: Tensor) -> dict[str, Tensor]:
    parameters = {name: p for name, p in method.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True, retain_graph=True)
    return {name: g for name, g in zip(parameters, found, strict=True) if g is not None}


CASES = [
    ((1, 3), 1, 1, True, "lsgan"),
    ((1, 3), 2, 3, True, "vanilla"),
    ((2, 4), 1, 5, True, "lsgan"),
    ((2, 4), 2, 1, False, "vanilla"),
    ((1, 3), 1, 3, False, "lsgan"),
    ((2, 4), 2, 5, False, "lsgan"),
]


@pytest.mark.parametrize(("bands", "count", "patch_size", "everywhere", "mode"), CASES)
def test_a_step_is_the_papers(bands, count, patch_size, everywhere, mode, monkeypatch):
    """30 positions by tap are queries. `everywhere`: all positions are keys; else the queries' own, as in CUT."""
    method = new_method(bands, patch_size=patch_size, gan_mode=mode, all_keys_up_to=4096 if everywhere else 0)
    batch = new_batch(count, bands)
    kinds = {role: method.guides[role].describe(batch[role]).unique().tolist() for role in ("sar", "optical")}
    assert all(len(found) >= 3 and set(found) <= {1, 3, 5, 7} for found in kinds.values())
    order = torch.Generator().manual_seed(3)
    sizes = [f[0, 0].numel() for f in encode(method.sar2opt, batch["sar"])]
    places = [torch.randperm(size, generator=order)[:30].tolist() for size in sizes]
    settings = {"patch_size": patch_size, "places": places, "all_keys": everywhere, "mode": mode}
    monkeypatch.setattr(module, "random_positions", lambda maps, number: [torch.tensor(p) for p in places])
    (first, found), (second, judged) = method.updates(batch, 0.0)
    assert (first, second) == ("generators", "discriminators")
    expected, expected_judged = paper(method, batch, settings)
    for here, there in ((found, expected), (judged, expected_judged)):
        assert here.keys() == there.keys()
        for name, value in there.items():
            assert here[name].item() == pytest.approx(value.item(), rel=1e-9), name
    generating = [name for name, _ in method.named_parameters() if "discriminator" not in name]
    for here, there, reached in (
        (sum(found.values()), sum(expected.values()), generating),
        (sum(judged.values()), sum(expected_judged.values()), None),
    ):
        mine, theirs = gradients(method, here), gradients(method, there)
        names = [name for name in theirs if ("discriminator" in name) == (reached is None)]
        assert {name for name in mine if mine[name].any()} == {name for name in names if theirs[name].any()}
        for name in names:
            assert torch.allclose(mine[name], theirs[name], rtol=1e-7, atol=1e-10), name


def test_no_guidance_is_the_contrast_of_cut(monkeypatch):
    """Every position a class of its own, 30 keys: cross entropy over 1 positive and 29 negatives."""
    method = new_method((1, 3), guidance="none", lambda_seg=0.0, all_keys_up_to=0, num_queries=30)
    batch = new_batch(1, (1, 3))
    places = []

    def drawn(maps: list[Tensor], number: int) -> list[Tensor]:
        places.append([torch.randperm(f[0, 0].numel())[:number] for f in maps])
        return places[-1]

    monkeypatch.setattr(module, "random_positions", drawn)
    method.sar_guide, method.optical_guide = (method._guide(role) for role in ("sar", "optical"))
    losses = next(iter(method.updates(batch, 0.0)))[1]
    made, true = encode(method.sar2opt, as_bands(method.sar2opt(batch["sar"]), 1)), encode(method.sar2opt, batch["sar"])
    of_taps = []
    for tap in range(len(TAPS)):
        head = method.sar2opt_projection.heads[tap]
        queries, keys = (vectors(head, maps[tap][0], 1)[places[0][tap]] for maps in (made, true))
        scores = [[math.exp((q @ k).item() / TAU) for k in keys] for q in queries]
        of_taps.append(sum(-math.log(row[i] / sum(row)) for i, row in enumerate(scores)) / len(scores))
    assert losses["sc_fake_optical"].item() == pytest.approx(LAMBDAS["sc"] * sum(of_taps) / len(TAPS), rel=1e-9)
