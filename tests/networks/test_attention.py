"""HAT and S2OFormer: published counts, window attention against naive loops, export."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from saropt.networks import build_network
from saropt.networks.hat import (
    RHAG,
    HybridAttentionBlock,
    OverlapAttentionBlock,
    _drop_path,
    overlap_positions,
    relative_positions,
)

PLAIN = {"mlp_ratio": 2.0, "compress": 2, "squeeze": 2, "drop_path": 0.0}
SMALL = {"width": 8, "depths": [2, 1], "heads": [2, 2], "window": 4, "squeeze": 4}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"width": 180, "depths": (6,) * 6, "heads": (6,) * 6, "window": 16, "upscale": 4}, 20_772_507),
        (
            {"width": 144, "depths": (6,) * 6, "heads": (6,) * 6, "window": 16, "compress": 24, "squeeze": 24}
            | {"upscale": 4},
            9_621_183,
        ),
        ({"squeeze": 24}, 2_891_891),
        ({"width": 144}, 6_407_331),
        ({"width": 180}, 9_965_687),
    ],
    ids=["HAT", "HAT-S", "96", "144", "180"],
)
def test_parameter_counts(arguments, parameters):
    with torch.device("meta"):
        assert count(build_network("hat", 3, 3, **arguments)) == parameters


def test_bias_tables_have_the_published_sizes():
    group = RHAG(16, 2, 8, [0.0], squeeze=4)
    assert group.blocks[0].bias.table.shape == (225, 2)
    assert group.overlap.bias.table.shape == (361, 2)
    assert group.overlap.wide == 12
    assert RHAG(16, 2, 16, [0.0], squeeze=4).overlap.wide == 24


def naive_attention(block, x: torch.Tensor, cell_of, sees, wide: int) -> torch.Tensor:
    """Attention of every pixel to every place that it sees, one by one; places off the map have zero key and value."""
    height, width, channels = x.shape
    q, k, v = block.qkv(x).split(channels, dim=-1)
    heads, depth = block.heads, channels // block.heads
    out = torch.zeros_like(x)
    side = block.window
    for r in range(height):
        for c in range(width):
            places = sees(r, c)
            row, column = cell_of(r, c)
            for h in range(heads):
                part = slice(h * depth, (h + 1) * depth)
                scores, values = [], []
                for rr, cc in places:
                    inside = 0 <= rr < height and 0 <= cc < width
                    key = k[rr, cc, part] if inside else torch.zeros(depth, dtype=x.dtype)
                    value = v[rr, cc, part] if inside else torch.zeros(depth, dtype=x.dtype)
                    index = published_index(side, wide, (r - row, c - column), (rr - row, cc - column))
                    scores.append((q[r, c, part] * key).sum() / depth**0.5 + block.bias.table[index, h])
                    values.append(value)
                out[r, c, part] = (torch.softmax(torch.stack(scores), 0)[:, None] * torch.stack(values)).sum(0)
    return block.project(out)


def published_index(side: int, wide: int, query: tuple[int, int], key: tuple[int, int]) -> int:
    """The row of the bias table in the code of Swin and HAT: query minus key within a window; in the overlapping
    attention key minus query, each from the corner of its own window, less what HAT's code subtracts, and negative
    indices from the end of the table."""
    if wide == side:
        down, right = query[0] - key[0] + side - 1, query[1] - key[1] + side - 1
        return down * (2 * side - 1) + right
    margin, offset = (wide - side) // 2, side - wide + 1
    down, right = (key[i] + margin - query[i] + offset for i in (0, 1))
    return (down * (side + wide - 1) + right) % (side + wide - 1) ** 2


def test_every_relative_position_has_a_bias_of_its_own():
    for positions, side, wide in ((relative_positions(4), 4, 4), (overlap_positions(4, 6), 4, 6)):
        found = {}
        for query in range(side**2):
            for key in range(wide**2):
                relative = (query // side - key // wide, query % side - key % wide)
                assert found.setdefault(relative, int(positions[query, key])) == positions[query, key]
        assert sorted(found.values()) == list(range((side + wide - 1) ** 2))


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.0, 0.4)
    return module.double().eval()


@pytest.mark.parametrize("attention", ["fused", "plain"])
@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_equals_loops(shifted, attention):
    side, shift = 4, 2 if shifted else 0
    block = randomised(HybridAttentionBlock(4, 2, side, shifted, **PLAIN, attention=attention))
    x = torch.randn(1, 8, 12, 4, dtype=torch.float64)

    def cell(place: int) -> int:
        return (place - shift) // side

    def sees(r, c):
        return [(i, j) for i in range(8) for j in range(12) if (cell(i), cell(j)) == (cell(r), cell(c))]

    with torch.no_grad():
        expected = naive_attention(block, x[0], lambda r, c: (0, 0), sees, side)
        assert torch.allclose(block._attention(x)[0], expected, atol=1e-10)


def test_overlapping_attention_equals_loops():
    block = randomised(OverlapAttentionBlock(4, 2, 4, 0.5, 2.0, "fused"))
    assert block.wide == 6
    x = torch.randn(1, 8, 8, 4, dtype=torch.float64)

    def corner(r, c):
        return r // 4 * 4, c // 4 * 4

    def sees(r, c):
        top, left = corner(r, c)
        return [(i, j) for i in range(top - 1, top + 5) for j in range(left - 1, left + 5)]

    with torch.no_grad():
        attended = x[0] + naive_attention(block, block.norm1(x)[0], corner, sees, 6)
        expected = attended + block.mlp(block.norm2(attended))
        assert torch.allclose(block(x)[0], expected, atol=1e-10)


def test_hybrid_block_weighs_the_channel_branch_by_a_hundredth():
    block = randomised(HybridAttentionBlock(4, 2, 4, False, **PLAIN, attention="fused"))
    x = torch.randn(2, 8, 8, 4, dtype=torch.float64)
    with torch.no_grad():
        normed = block.norm1(x)
        y = x + block._attention(normed) + 0.01 * block.channel(normed)
        assert torch.allclose(block(x), y + block.mlp(block.norm2(y)), atol=1e-12)
        convolved = block.channel.body(normed.permute(0, 3, 1, 2))
        weights = block.channel.weigh(convolved)
        assert weights.shape == (2, 4, 1, 1)
        assert torch.allclose(block.channel(normed), (convolved * weights).permute(0, 2, 3, 1), atol=1e-12)


def test_group_adds_a_convolution_of_its_blocks():
    group = randomised(RHAG(4, 2, 4, [0.0, 0.0], squeeze=2))
    assert [block.shift for block in group.blocks] == [0, 2]
    x = torch.randn(1, 8, 8, 4, dtype=torch.float64)
    with torch.no_grad():
        y = group.overlap(group.blocks[1](group.blocks[0](x)))
        assert torch.allclose(group(x), x + group.conv(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), atol=1e-12)


def test_images_of_a_batch_do_not_mix():
    group = randomised(RHAG(4, 2, 4, [0.0, 0.0], squeeze=2))
    x = torch.randn(3, 8, 12, 4, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(group(x), torch.cat([group(image[None]) for image in x]), atol=1e-12)


def test_stochastic_depth_keeps_the_mean_and_is_off_in_evaluation():
    torch.manual_seed(0)
    branch = torch.ones(4000, 2, 2, 1)
    dropped = _drop_path(branch, 0.25, training=True)
    assert {round(float(value), 4) for value in dropped.unique()} == {0.0, 1.3333}
    assert torch.equal(dropped.amin((1, 2, 3)), dropped.amax((1, 2, 3))), "an image is dropped as a whole"
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(_drop_path(branch, 0.25, training=False), branch)
    rates = [block.drop_path for group in build_network("hat", 1, 1, **SMALL).body.groups for block in group.blocks]
    assert rates == pytest.approx([0.0, 0.05, 0.1])


def test_upscaling():
    network = build_network("hat", 2, 3, **SMALL, upscale=4).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 2, 8, 12)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize("name", ["hat", "s2oformer"])
def test_fused_and_plain_attention_agree_in_value_and_gradient(name):
    torch.manual_seed(0)
    networks = [build_network(name, 2, 3, **SMALL, attention=kind).double().eval() for kind in ("fused", "plain")]
    networks[1].load_state_dict(networks[0].state_dict())
    image = torch.randn(2, 2, 32, 48, dtype=torch.float64)
    outputs = [network(image) for network in networks]
    assert torch.allclose(*outputs, atol=1e-12)
    for output in outputs:
        output.square().sum().backward()
    for (key, a), (_, b) in zip(*(network.named_parameters() for network in networks), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-9), key


@pytest.mark.parametrize("name", ["hat", "s2oformer", "cran"])
def test_graph_for_other_sizes(name):
    """Traced on one size, the graph must not hold its windows, masks or resized images."""
    from saropt.artifacts.export import _to_onnx

    torch.manual_seed(0)
    network = build_network(name, 2, 3, **({"width": 4, "norm": "none"} if name == "cran" else SMALL)).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, 0.1)
    model = _to_onnx(network, 2, network.stride)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in ((1, 2, 64, 64), (2, 2, 96, 128)):
        image = torch.rand(shape) * 2 - 1
        with torch.no_grad():
            expected = network(image).numpy()
        assert 0.01 < expected.std() < 0.6
        np.testing.assert_allclose(session.run(None, {"input": image.numpy()})[0], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"heads": [3]}, "multiple of 3 heads"),
        ({"squeeze": 9}, "not below squeeze"),
        ({"attention": "flash"}, "fused or plain"),
        ({"depths": [1, 1]}, "same length"),
        ({"upscale": 3}, "power of two"),
    ],
)
def test_refusals(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        build_network("hat", 1, 3, **{**SMALL, "depths": [1], "heads": [2], **arguments})
    with pytest.raises(ValueError, match="multiple of 4"):
        build_network("s2oformer", 1, 3, width=6)


def test_s2oformer_attends_at_a_quarter():
    network = build_network("s2oformer", 2, 3, **SMALL).eval()
    seen = []
    network.body.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with torch.no_grad():
        network(torch.zeros(1, 2, 64, 96))
    assert seen == [(1, 8, 16, 24)]
    assert network.stride == 16
