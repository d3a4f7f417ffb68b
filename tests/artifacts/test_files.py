"""Translator files: both forms written, read, blended; everything else refused in one line."""

from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from saropt.artifacts import SeenCard, blend, load_graph, load_weights, parse_card, read_card, save_weights
from saropt.artifacts.export import errors_graph, export_graph
from saropt.artifacts.graph import store_card, write_with_errors
from saropt.errors import InputError
from saropt.networks import ErrorNetwork, build_network

READERS = {"safetensors": load_weights, "onnx": load_graph}


def run(model: bytes, image: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": image})[0]


def image(channels: int = 2, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, channels, height, width)).astype(np.float32)


def network_of(translator, weights: dict) -> torch.nn.Module:
    network = build_network("naf_unet", 2, 3, **translator.card.directions["sar2opt"].arguments)
    network.load_state_dict({key.removeprefix("sar2opt."): torch.from_numpy(v) for key, v in weights.items()})
    return network.eval()


def refused(reader, path) -> str:
    with pytest.raises(InputError) as caught:
        reader(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


class TestRoundTrip:
    def test_weights(self, translator):
        card, weights = load_weights(translator.safetensors)
        assert card == translator.card
        assert set(weights) == set(translator.weights)
        for key, value in weights.items():
            np.testing.assert_array_equal(value, translator.weights[key])

    def test_graph_card_keeps_its_direction_only(self, translator, new_card, new_ends, tmp_path):
        assert read_card(translator.onnx) == translator.card
        network = new_card().directions["sar2opt"].model_dump(exclude={"inputs", "outputs"})
        both = {"sar2opt": network, "opt2sar": network}
        export_graph(tmp_path / "t.onnx", new_card(directions=both), "sar2opt", new_ends(1))
        assert list(read_card(tmp_path / "t.onnx").directions) == ["sar2opt"]

    def test_nothing_is_left_beside_the_files(self, translator):
        assert sorted(p.name for p in translator.onnx.parent.iterdir()) == ["t.onnx", "t.safetensors"]

    def test_store_card_replaces(self, translator, new_card):
        model = onnx.load(translator.onnx)
        store_card(model, new_card(notes="second"))
        assert [entry.key for entry in model.metadata_props].count("saropt") == 1

    @pytest.mark.parametrize("padding", range(0, 256, 8))
    def test_any_header_length_loads(self, tmp_path, new_card, padding):
        """A safetensors file begins with its header's length; no length may be mistaken for a pickle's first byte."""
        path = tmp_path / "t.safetensors"
        save_weights(path, new_card(notes="n" * padding), {"x": np.zeros(1, np.float32)})
        assert load_weights(path)[0].notes == "n" * padding


class TestBlend:
    def test_single_weights_are_left_alone(self):
        weights = {"sar2opt.a": np.ones(3, np.float32)}
        assert blend(weights, 0.5) == weights

    @pytest.mark.parametrize("share", [None, 0.0, 0.5, 1.0])
    def test_arithmetic(self, share):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 3, 4)).astype(np.float32)
        weights = {"fidelity/sar2opt.w": a, "realism/sar2opt.w": b}
        weights |= {"fidelity/sar2opt.n": np.int64([7]), "realism/sar2opt.n": np.int64([9])}
        mixed = blend(weights, share)
        np.testing.assert_allclose(mixed["sar2opt.w"], (1 - (share or 0)) * a + (share or 0) * b, atol=1e-6)
        assert mixed["sar2opt.n"] == [7]
        assert set(mixed) == {"sar2opt.w", "sar2opt.n"}

    @pytest.mark.parametrize("realism", [0.0, 0.5, 1.0, None])
    def test_both_forms_agree(self, translator, realism):
        card, weights = load_weights(translator.safetensors)
        network = network_of(translator, blend(weights, card.realism if realism is None else realism))
        with torch.no_grad():
            expected = network(torch.from_numpy(image())).numpy()
        output = run(load_graph(translator.onnx, realism)[1], image())
        assert np.ptp(expected) > 0.5
        np.testing.assert_allclose(output, expected, atol=1e-4 if realism == 0.0 else 2e-3 * np.ptp(expected))

    def test_the_ends_differ(self, translator):
        low, high = (run(load_graph(translator.onnx, share)[1], image()) for share in (0.0, 1.0))
        assert np.abs(low - high).mean() > 0.1

    def test_weights_of_a_single_number_are_blended_too(self, new_card, tmp_path):
        """A network with one output band ends in a bias of one number."""
        ends = []
        for bias in (0.0, 0.5):
            torch.manual_seed(0)
            end = build_network("resnet", 2, 1, width=4, blocks=1).eval()
            torch.nn.init.constant_(end.layers[-2].bias, bias)
            ends.append(end)
        card = new_card(directions={"sar2opt": {"network": "resnet", "stride": 4, "statistics": "scene"}})
        described = card.directions["sar2opt"]
        grey = described.model_copy(update={"outputs": (described.outputs[0].model_copy(update={"bands": ("B4",)}),)})
        card, path = card.model_copy(update={"directions": {"sar2opt": grey}}), tmp_path / "t.onnx"
        export_graph(path, card, "sar2opt", ends, torch.from_numpy(image()))
        low, high = (run(load_graph(path, share)[1], image()) for share in (0.0, 1.0))
        np.testing.assert_allclose(np.arctanh(high) - np.arctanh(low), 0.5, atol=2e-3)

    @pytest.mark.parametrize("tied_end", [0, 1])
    def test_weights_that_are_equal_in_one_end_only(self, new_card, new_ends, tmp_path, tied_end):
        """The exporter makes one tensor of equal ones; the other end's must not be lost by it."""
        ends = new_ends()
        biases = [value for key, value in ends[tied_end].named_parameters() if key.endswith("bias")]
        tied = [bias for bias in biases if bias.shape == biases[0].shape]
        assert len(tied) > 1
        with torch.no_grad():
            for bias in tied:
                bias.fill_(0.2)
        path = tmp_path / "t.onnx"
        export_graph(path, new_card(), "sar2opt", ends)
        for share, end in zip((0.0, 1.0), ends, strict=True):
            with torch.no_grad():
                expected = end(torch.from_numpy(image())).numpy()
            np.testing.assert_allclose(run(load_graph(path, share)[1], image()), expected, atol=5e-3)

    def test_ends_of_unlike_networks_are_refused(self, new_card, new_ends, tmp_path):
        other = build_network("naf_unet", 2, 3, width=8, encoder=[2], decoder=[1], middle=1, unshuffle=2).eval()
        with pytest.raises(ValueError, match="two ends differ"):
            export_graph(tmp_path / "t.onnx", new_card(), "sar2opt", [other, *new_ends(1)])


class TestRefusals:
    @pytest.mark.parametrize("form", list(READERS))
    def test_missing_directory_empty(self, form, tmp_path):
        reader = READERS[form]
        assert "no such file" in refused(reader, tmp_path / f"none.{form}")
        (tmp_path / f"folder.{form}").mkdir()
        assert "is a directory" in refused(reader, tmp_path / f"folder.{form}")
        (tmp_path / f"empty.{form}").touch()
        assert "is empty" in refused(reader, tmp_path / f"empty.{form}")

    @pytest.mark.parametrize("form", list(READERS))
    @pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.99, 0.9999])
    def test_truncated(self, form, share, translator, tmp_path):
        data = getattr(translator, form).read_bytes()
        path = tmp_path / f"t.{form}"
        path.write_bytes(data[: max(1, int(len(data) * share))])
        refused(READERS[form], path)

    @pytest.mark.parametrize("form", list(READERS))
    def test_other_content(self, form, tmp_path):
        path = tmp_path / f"t.{form}"
        path.write_bytes(b"once upon a time, there was a file that held prose")
        refused(READERS[form], path)

    @pytest.mark.parametrize("form", list(READERS))
    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_pickles(self, form, protocol, tmp_path):
        path = tmp_path / f"t.{form}"
        path.write_bytes(pickle.dumps({"weights": list(range(50))}, protocol))
        assert "can run code" in refused(READERS[form], path)

    @pytest.mark.parametrize("form", list(READERS))
    @pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt", "safetensors", "onnx"])
    def test_torch_checkpoints(self, form, suffix, tmp_path):
        path = tmp_path / f"t.{suffix}"
        torch.save({"a": torch.zeros(3)}, path)
        assert "can run code" in refused(READERS[form], path)

    def test_a_pickle_runs_no_code(self, tmp_path):
        marker = tmp_path / "ran"

        class Bomb:
            def __reduce__(self):
                return marker.touch, ()

        for form, reader in READERS.items():
            path = tmp_path / f"bomb.{form}"
            path.write_bytes(pickle.dumps(Bomb()))
            refused(reader, path)
        assert not marker.exists()

    def test_safetensors_without_card(self, tmp_path):
        from safetensors.numpy import save_file

        path = tmp_path / "t.safetensors"
        save_file({"a": np.zeros(2, np.float32)}, path)
        assert "has no card" in refused(load_weights, path)

    def test_onnx_without_card(self, translator, tmp_path):
        model = onnx.load(translator.onnx)
        del model.metadata_props[:]
        onnx.save(model, tmp_path / "t.onnx")
        assert "has no card" in refused(load_graph, tmp_path / "t.onnx")

    def test_other_version(self, translator, new_card, tmp_path):
        newer = new_card(format_version=7)
        save_weights(tmp_path / "t.safetensors", newer, translator.weights)
        assert "format version 7" in refused(load_weights, tmp_path / "t.safetensors")
        model = onnx.load(translator.onnx)
        store_card(model, newer)
        onnx.save(model, tmp_path / "t.onnx")
        assert "format version 7" in refused(load_graph, tmp_path / "t.onnx")
        assert "format version 7" in refused(read_card, tmp_path / "t.onnx")

    def test_header_that_claims_too_much(self, tmp_path):
        path = tmp_path / "t.safetensors"
        path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
        assert "damaged" in refused(load_weights, path)

    @pytest.mark.parametrize("where", ["initializer", "node"])
    def test_outside_data(self, where, translator, tmp_path):
        (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
        model = onnx.load(translator.onnx)
        if where == "initializer":
            tensor = model.graph.initializer[0]
        else:
            tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4])
            model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=tensor))
            tensor = model.graph.node[-1].attribute[0].t
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "secret.bin"
        path = tmp_path / "t.onnx"
        path.write_bytes(model.SerializeToString())
        assert "outside the file" in refused(load_graph, path)
        assert "outside the file" in refused(read_card, path)


class TestGraphAgainstCard:
    """What a card says of its graph must be so."""

    def changed(self, translator, tmp_path, change, hide=False):
        model = onnx.load(translator.onnx)
        card = json.loads(translator.card.model_dump_json())
        change(card["directions"]["sar2opt"])
        if hide:
            model.graph.output[0].type.tensor_type.shape.dim[1].Clear()
        store_card(model, parse_card(json.dumps(card)))
        onnx.save(model, tmp_path / "t.onnx")
        return tmp_path / "t.onnx"

    @pytest.mark.parametrize("hide", [False, True])
    def test_bands_of_the_output(self, translator, tmp_path, hide):
        path = self.changed(translator, tmp_path, lambda one: one["outputs"][0].update(bands=["B4", "B3"]), hide)
        assert refused(read_card, path).endswith("its graph gives 3 bands, its card names 2")
        assert read_card(self.changed(translator, tmp_path, lambda one: None, hide)) == translator.card

    def test_bands_of_the_input(self, translator, tmp_path):
        path = self.changed(translator, tmp_path, lambda one: one["inputs"][0].update(bands=["VV"]))
        assert refused(load_graph, path).endswith("its graph takes 2 bands, its card names 1")

    def test_bands_of_the_errors(self, translator, tmp_path):
        card = json.loads(translator.card.model_dump_json())
        reliability = {"alpha": 0.1, "scale": [1.0] * 3, "budget": 9.0, "data": ["a"], "scenes": 20}
        card["directions"]["sar2opt"]["reliability"] = {**reliability, "coverage": 0.9, "least_coverage": 0.8}
        graph = errors_graph(ErrorNetwork(2, 3, 2), 2, 3)
        write_with_errors(translator.onnx, tmp_path / "t.onnx", parse_card(json.dumps(card)), graph)
        assert refused(read_card, tmp_path / "t.onnx").endswith(
            "its graph predicts errors of 2 bands, its card names 3"
        )

    def test_one_graph_has_one_direction(self, translator, tmp_path):
        model, card = onnx.load(translator.onnx), json.loads(translator.card.model_dump_json())
        described = card["directions"]["sar2opt"]
        back = {**described, "inputs": described["outputs"], "outputs": described["inputs"]}
        card["directions"]["opt2sar"] = back
        store_card(model, parse_card(json.dumps(card)))
        onnx.save(model, tmp_path / "t.onnx")
        assert "names 2 directions, its graph translates in one" in refused(read_card, tmp_path / "t.onnx")


def test_the_way_back_does_not_keep_what_the_scenes_of_the_first_looked_like(new_card, tmp_path):
    seen = SeenCard(features=("VV median",), scenes=((0.1,), (0.3,)), spread=(0.1,), threshold=1.0)
    network = {"network": "resnet", "stride": 4}
    card = new_card(directions={"sar2opt": network, "opt2sar": network}, realism=None)
    card = card.model_copy(update={"training": card.training.model_copy(update={"seen": seen})})
    for direction, bands, kept in (("sar2opt", (2, 3), seen), ("opt2sar", (3, 2), None)):
        end = build_network("resnet", *bands, width=4, blocks=1).eval()
        export_graph(tmp_path / "t.onnx", card, direction, [end], torch.from_numpy(image(bands[0])))
        assert read_card(tmp_path / "t.onnx").training.seen == kept
