"""CUT, FastCUT and QS-Attn: which features meet, at what weight, from how many passes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.nn import functional

from saropt.domain import SAR_TO_OPTICAL
from saropt.losses import patch_nce
from saropt.methods import Batch, get_method
from saropt.methods.qs_attn import attention_entropy, select_queries, window_entropy

TAPS = (0, 4, 8, 12, 16)


def build(name: str, sar_bands: int = 3, optical_bands: int = 3, **changes: Any) -> Any:
    torch.manual_seed(0)
    cls = get_method(name)
    small = {"network_arguments": {"width": 4, "blocks": 5}, "discriminator_width": 4, "projection_width": 8}
    return cls(cls.config_type(**{**small, **changes}), {"sar": sar_bands, "optical": optical_bands})


def batch(sar_bands: int = 3, optical_bands: int = 3, size: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        {
            role: torch.rand(2, count, size, size, generator=generator) * 2 - 1
            for role, count in (("sar", sar_bands), ("optical", optical_bands))
        }
    )


def passes(method: Any) -> list[tuple[int, bool]]:
    """Records batch size and completeness of every pass of the generator."""
    record = []
    plain = method.generator.forward

    def forward(x: torch.Tensor, taps: Any = None, stop: bool = False) -> Any:
        record.append((len(x), not stop))
        return plain(x, taps=taps, stop=stop)

    method.generator.forward = forward
    return record


class TestCUT:
    @pytest.mark.parametrize(("sar_bands", "optical_bands"), [(3, 3), (1, 3)])
    def test_losses_are_those_of_separate_encodings(self, sar_bands, optical_bands):
        """All positions are compared (more patches than places), so that nothing is random."""
        method = build("cut", sar_bands, optical_bands, num_patches=5000, lambda_nce=2.0, lambda_gan=3.0)
        images = batch(sar_bands, optical_bands)
        (first, d), (second, g) = method.updates(images, 0.0)
        assert (first, second) == ("discriminator", "generator")
        source, target, net = images["sar"], images["optical"], method.generator
        grey = (lambda x: x.mean(dim=1, keepdim=True)) if sar_bands == 1 else (lambda x: x)
        with torch.no_grad():
            fake, own = net(source), net(grey(target))

            def nce(a: torch.Tensor, b: torch.Tensor) -> float:
                keys, queries = (
                    method.projection([f.flatten(2).transpose(1, 2) for f in net(x, taps=TAPS, stop=True)])
                    for x in (a, b)
                )
                return sum(patch_nce(q, k).item() for q, k in zip(queries, keys, strict=True)) / 5

            assert g["nce"].item() == pytest.approx(2.0 * 0.5 * nce(source, grey(fake)), rel=1e-4)
            assert g["nce_identity"].item() == pytest.approx(2.0 * 0.5 * nce(grey(target), grey(own)), rel=1e-4)
            logits = method.discriminator(fake)[-1]
            assert g["gan"].item() == pytest.approx(3.0 * (logits - 1).square().mean().item(), rel=1e-4)
            assert d["fake"].item() == pytest.approx(0.5 * logits.square().mean().item(), rel=1e-4)
            real = method.discriminator(target)[-1]
            assert d["real"].item() == pytest.approx(0.5 * (real - 1).square().mean().item(), rel=1e-4)

    def test_nothing_is_computed_twice(self):
        """Source and identity in one whole pass that also gives the keys; one pass for the queries, up to tap 16."""
        method = build("cut")
        record = passes(method)
        list(method.updates(batch(), 0.0))
        assert record == [(4, True), (4, False)]

    def test_published_defaults(self):
        config = get_method("cut").config_type()
        assert (config.lambda_gan, config.lambda_nce, config.nce_taps, config.num_patches) == (1.0, 1.0, TAPS, 256)
        assert (config.nce_identity, config.flip_equivariance, config.temperature) == (True, False, 0.07)
        fast = get_method("fastcut").config_type()
        assert (fast.lambda_nce, fast.nce_identity, fast.flip_equivariance) == (10.0, False, True)
        for optimizer in build("cut").optimizers().values():
            assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))

    def test_generator_is_antialiased_unless_told_otherwise(self):
        name, arguments = build("cut").network_of(SAR_TO_OPTICAL)
        assert (name, arguments["antialias"], arguments["init"], arguments["width"]) == ("resnet", True, "xavier", 4)
        plain = build("cut", network_arguments={"width": 4, "blocks": 5, "antialias": False})
        assert plain.network_of(SAR_TO_OPTICAL)[1]["antialias"] is False
        assert plain.generator.stage_taps == (3, 6, 9)

    def test_positions_are_shared_by_the_batch_and_by_keys_and_queries(self):
        method = build("cut", num_patches=7)
        place = torch.arange(64.0).reshape(1, 1, 8, 8).expand(3, -1, -1, -1)
        keys, queries = method.vectors([place, 2 * place], [place + 100, place])
        assert keys[0].shape == (3, 7, 1)
        assert torch.equal(keys[0][0], keys[0][2])
        assert torch.equal(queries[0], keys[0] + 100)
        assert not torch.equal(keys[1], 2 * keys[0])


class TestFastCUT:
    def test_mirrors_half_of_the_steps(self):
        method, images = build("fastcut"), batch()
        record = passes(method)
        mirrored = []
        for step in range(40):
            record.clear()
            torch.manual_seed(step)
            list(method.updates(images, step / 200_000))
            assert record in ([(2, True), (2, False)], [(2, True), (2, False), (2, False)])
            mirrored.append(len(record) == 3)
        assert 10 < sum(mirrored) < 30
        assert 10 < sum(one != next_one for one, next_one in pairwise(mirrored)) < 30

    def test_query_features_are_mirrored_back(self):
        """Mirrored or not, the positions compared are of the same ground: keys of x, queries of G(mirrored x)."""
        method, images = build("fastcut", num_patches=5000), batch()
        values = set()
        for step in range(6):
            values.add(round(dict(method.updates(images, step / 10))["generator"]["nce"].item(), 4))
        with torch.no_grad():
            expected = set()
            for flip in (False, True):
                x = images["sar"].flip(-1) if flip else images["sar"]
                queries = method.generator(method.generator(x), taps=TAPS, stop=True)
                queries = [f.flip(-1) for f in queries] if flip else queries
                keys = method.generator(images["sar"], taps=TAPS, stop=True)
                q, k = (method.projection([f.flatten(2).transpose(1, 2) for f in fs]) for fs in (queries, keys))
                nce = sum(patch_nce(a, b).item() for a, b in zip(q, k, strict=True)) / 5
                expected.add(round(10 * nce, 4))
        assert len(values) == 2
        assert sorted(values) == pytest.approx(sorted(expected), abs=2e-3)


def feature(seed: int, channels: int = 3, height: int = 6, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)


def naive_rows(source: torch.Tensor, window: int | None) -> tuple[torch.Tensor, list[list[dict]]]:
    """Entropy per position, and per position its attention as {(row, column) or outside: weight}."""
    count, _, height, width = source.shape
    entropy, rows = torch.zeros(count, height * width, dtype=torch.float64), []
    for n in range(count):
        rows.append([])
        for place in range(height * width):
            i, j = divmod(place, width)
            places = [(a, b) for a in range(height) for b in range(width)]
            if window is not None:
                reach = window // 2
                places = [(i + a, j + b) for a in range(-reach, reach + 1) for b in range(-reach, reach + 1)]
            inside = [0 <= a < height and 0 <= b < width for a, b in places]
            logits = [
                float(source[n, :, i, j] @ source[n, :, a, b]) if known else 0.0
                for (a, b), known in zip(places, inside, strict=True)
            ]
            total = sum(math.exp(v) for v in logits)
            weights = [math.exp(v) / total for v in logits]
            entropy[n, place] = -sum(w * math.log(w) for w in weights)
            rows[n].append({p: w for p, w, known in zip(places, weights, inside, strict=True) if known})
    return entropy, rows


class TestQSAttn:
    def test_entropies_against_loops(self, monkeypatch):
        monkeypatch.setattr("saropt.methods.qs_attn._ROWS_AT_ONCE", 7)
        source = feature(0)
        assert torch.allclose(attention_entropy(source), naive_rows(source, None)[0], atol=1e-12)
        assert torch.allclose(window_entropy(source), naive_rows(source, 7)[0], atol=1e-12)

    def test_certain_attention_has_no_entropy(self):
        """Weights that vanish in floating point count 0, not NaN."""
        assert torch.equal(attention_entropy(1e4 * torch.eye(4).reshape(1, 4, 2, 2)), torch.zeros(1, 4))

    @pytest.mark.parametrize("mode", ["global", "local", "local_global"])
    def test_selection_and_routing_against_loops(self, mode):
        source, fake = feature(0), feature(1)
        entropy, _ = naive_rows(source, None if mode == "global" else 7)
        _, rows = naive_rows(source, 7 if mode == "local" else None)
        route = select_queries(source, mode, 4)
        for image in (source, fake):
            routed = route(image)
            assert routed.shape == (2, 4, 3)
            for n in range(2):
                chosen = sorted(range(30), key=lambda place, n=n: float(entropy[n, place]))[:4]
                for p, place in enumerate(chosen):
                    expected = sum(w * image[n, :, a, b] for (a, b), w in rows[n][place].items())
                    assert torch.allclose(routed[n, p], expected, atol=1e-12)

    @pytest.mark.parametrize("mode", ["global", "local", "local_global"])
    def test_gradients_flow_through_the_rows_of_the_source(self, mode):
        source, fake = feature(0, 2, 3, 3).requires_grad_(), feature(1, 2, 3, 3).requires_grad_()
        select_queries(source, mode, 2)(fake).square().sum().backward()
        assert source.grad.abs().sum() > 0
        assert fake.grad.abs().sum() > 0

    def test_fewer_places_than_patches(self):
        assert select_queries(feature(0), "global", 256)(feature(1)).shape == (2, 30, 3)

    @pytest.mark.parametrize("mode", ["global", "local", "local_global"])
    def test_only_the_deep_taps_are_attended(self, mode):
        method = build("qs-attn", mode=mode, num_patches=6)
        images = batch()
        with torch.no_grad():
            keys = method.generator(images["sar"], taps=TAPS, stop=True)
            queries = method.generator(images["optical"], taps=TAPS, stop=True)
        torch.manual_seed(5)
        key_vectors, query_vectors = method.vectors(keys, queries)
        torch.manual_seed(5)
        plain_keys, plain_queries = super(type(method), method).vectors(keys, queries)
        for index in range(5):
            same = torch.equal(key_vectors[index], plain_keys[index])
            assert same == torch.equal(query_vectors[index], plain_queries[index]) == (index < 3)
            assert key_vectors[index].shape == plain_keys[index].shape
        route = select_queries(keys[4], mode, 6)
        assert torch.equal(key_vectors[4], route(keys[4]))
        assert torch.equal(query_vectors[4], route(queries[4]))

    def test_large_maps_need_linear_memory(self):
        """64x64 positions: autograd keeps the selected rows alone, not 4096 x 4096 weights."""
        source = torch.randn(1, 8, 64, 64, requires_grad=True)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            functional.mse_loss(select_queries(source, "global", 256)(source), torch.zeros(1, 256, 8)).backward()
        assert max(kept) == 256 * 4096
