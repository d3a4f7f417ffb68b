"""A training run: what it leaves, how it resumes, what it refuses."""

from __future__ import annotations

import json
import shutil
import signal
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image
from training_runs import train

from saropt.artifacts import blend, load_graph, load_weights
from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.networks import build_network
from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask, read_config
from saropt.training.state import write_values


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same(a, b, place: str = "") -> None:
    """Equal to the bit, all the way down."""
    assert type(a) is type(b), place
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b), place
    elif isinstance(a, dict):
        assert list(a) == list(b), place
        for key in a:
            assert_same(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{place}.{number}")
    else:
        assert a == b, place


def load(folder):
    """The checkpoint, without how long the training has taken."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    state.pop("seconds")
    return state


@pytest.fixture(scope="module")
def finished(root, new_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    train(new_config(card={"attribution": "nobody"}), root, folder)
    return folder


class TestRunFolder:
    def test_files(self, finished):
        names = {path.name for path in finished.iterdir()}
        events = {name for name in names if name.startswith("events.out.tfevents")}
        assert len(events) == 1
        assert (finished / events.pop()).stat().st_size > 200
        assert {n for n in names if not n.startswith("events")} == {
            "config.yaml",
            "checkpoint.pt",
            "metrics.jsonl",
            "pace.json",
            "samples",
            "translator.safetensors",
            "translator.onnx",
        }

    def test_config_can_be_used_again(self, finished, new_config):
        assert read_config("regression", finished / "config.yaml", []) == new_config(card={"attribution": "nobody"})

    def test_metrics(self, finished):
        steps = [line["step"] for line in lines(finished) if "generator/pixel" in line]
        assert steps == [1, 2, 3, 4, 5, 6]
        validated = [line for line in lines(finished) if "val/sar2opt/mae" in line]
        assert [line["step"] for line in validated] == [2, 4, 6]
        assert all(0 < line["val/sar2opt/mae"] < 1 and 0 < line["val/sar2opt/psnr"] < 60 for line in validated)

    def test_samples(self, finished):
        paths = sorted((finished / "samples").iterdir())
        assert [path.name for path in paths] == ["sar2opt-0000003.png", "sar2opt-0000006.png"]
        picture = np.asarray(Image.open(paths[0]))
        assert picture.shape == (3 * 32, 3 * 32, 3)
        assert picture.std() > 10

    def test_card(self, finished):
        card, weights = load_weights(finished / "translator.safetensors")
        assert card == load_graph(finished / "translator.onnx")[0]
        assert (card.name, card.method, card.gsd_m, card.realism) == ("toy", "regression", 10.0, None)
        assert (card.images["sar"].bands, card.images["sar"].units, card.images["sar"].dtype) == (
            ("VV", "VH"),
            "sigma0_db",
            "float32",
        )
        assert card.images["sar"].recipe["kind"] == "db_clip"
        assert (card.images["optical"].bands, card.images["optical"].recipe["kind"]) == (
            ("B4", "B3", "B2"),
            "eight_bit",
        )
        assert (card.training.data, card.training.steps, card.training.licence) == ("toy", 6, "CC0-1.0")
        assert card.training.attribution == "nobody"
        direction = card.directions["sar2opt"]
        network = build_network(direction.network, 2, 3, **direction.arguments)
        assert (direction.stride, direction.receptive_field) == (network.stride, network.receptive_field)
        network.load_state_dict({k.removeprefix("sar2opt."): torch.from_numpy(v) for k, v in weights.items()})

    def test_both_forms_and_the_average_agree(self, finished):
        card, weights = load_weights(finished / "translator.safetensors")
        for key, value in load(finished)["average"]["sar2opt"].items():
            np.testing.assert_array_equal(weights[f"sar2opt.{key}"], value)
        network = build_network("naf_unet", 2, 3, **card.directions["sar2opt"].arguments).eval()
        network.load_state_dict({k.removeprefix("sar2opt."): torch.from_numpy(v) for k, v in weights.items()})
        image = torch.rand(1, 2, 32, 48)
        session = onnxruntime.InferenceSession(load_graph(finished / "translator.onnx")[1])
        with torch.no_grad():
            np.testing.assert_allclose(session.run(None, {"input": image.numpy()})[0], network(image), atol=1e-4)

    def test_a_run_is_not_overwritten(self, finished, root, new_config):
        before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
        with pytest.raises(InputError, match=r"holds a run already.*resume=True"):
            Loop(TranslatorTask, new_config(), root, finished, accelerator="cpu")
        assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before

    def test_resume_of_a_finished_run_changes_nothing(self, finished, root, new_config, tmp_path):
        again = shutil.copytree(finished, tmp_path / "toy")
        train(new_config(card={"attribution": "nobody"}), root, again, resume=True)
        assert (again / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
        assert_same(load(again), load(finished))
        assert_same_file(again, finished, "translator.safetensors")


def assert_same_file(a, b, name) -> None:
    """Same tensors and card (the card's JSON is compared as a value)."""
    (card_a, weights_a), (card_b, weights_b) = load_weights(a / name), load_weights(b / name)
    assert card_a == card_b
    assert set(weights_a) == set(weights_b)
    for key, value in weights_a.items():
        np.testing.assert_array_equal(value, weights_b[key])


@pytest.mark.parametrize("stop", [4, 5])
@pytest.mark.parametrize(
    "method", ["regression", "compact", "pix2pix", "cyclegan", "fastcut", "qs-attn", "sgcl", "tuigan"]
)
def test_resume_is_exact_to_the_bit(method, stop, root, new_config, tmp_path):
    """Killed at `stop`, resumed from the checkpoint of step 3: as if nothing had happened."""
    config = new_config(method)
    train(config, root, tmp_path / "straight" / "run")
    killed = tmp_path / "killed" / "run"
    train(config, root, killed, stop=stop)
    assert load(killed)["step"] == 3
    assert not (killed / "translator.safetensors").exists()
    train(config, root, killed, resume=True)
    straight = tmp_path / "straight" / "run"
    assert_same(load(killed), load(straight))
    assert (killed / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()
    assert_same_file(killed, straight, "translator.safetensors")
    for picture in (straight / "samples").iterdir():
        assert (killed / "samples" / picture.name).read_bytes() == picture.read_bytes()


def test_an_interrupt_saves_the_step_under_way(root, new_config, tmp_path):
    """Ctrl-C waits for the step, saves a checkpoint, and resuming gives what an uninterrupted run gives."""
    config = new_config("regression")
    train(config, root, tmp_path / "straight" / "run")
    stopped = tmp_path / "stopped" / "run"
    trainer = Loop(TranslatorTask, config, root, stopped, accelerator="cpu")

    def report(step: int, total: int, what: str) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer.run(report)
    assert load(stopped)["step"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    train(config, root, stopped, resume=True)
    assert_same(load(stopped), load(tmp_path / "straight" / "run"))


def test_seeds_decide(root, new_config, tmp_path):
    first, second, other = (
        train(new_config(engine={"seed": seed}), root, tmp_path / name).average.states["sar2opt"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert_same(first, second)
    assert any(not torch.equal(value, other[key]) for key, value in first.items())


@pytest.mark.parametrize("direction", ["sar2opt", "opt2sar"])
def test_loss_falls(direction, root, new_config, tmp_path):
    config = new_config(
        arguments={"direction": direction, "learning_rate": 5e-3},
        data={"sar_gain_db": 0.0},
        engine={"max_steps": 60, "validate_every": 0, "sample_every": 0, "checkpoint_every": 0},
    )
    train(config, root, tmp_path / "run")
    pixel = [line["generator/pixel"] for line in lines(tmp_path / "run")]
    assert len(pixel) == 60
    assert np.mean(pixel[-10:]) < 0.6 * np.mean(pixel[:5])


@pytest.fixture(scope="module")
def two_ends(root, new_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("milestones") / "run"
    train(new_config("compact", arguments={"adversarial_learning_rate": 5e-3}), root, folder)
    return folder


class TestMilestones:
    def test_both_ends_are_in_the_files(self, two_ends):
        card, weights = load_weights(two_ends / "translator.safetensors")
        assert card.realism == 0.6
        keys = {key.partition("/")[2] for key in weights}
        assert set(weights) == {f"{end}/{key}" for end in ("fidelity", "realism") for key in keys}
        assert any(not np.array_equal(weights[f"fidelity/{key}"], weights[f"realism/{key}"]) for key in keys)

    def test_graph_blends_as_the_weights_do(self, two_ends):
        card, weights = load_weights(two_ends / "translator.safetensors")
        image = torch.rand(1, 2, 64, 64) * 2 - 1
        outputs = []
        for realism in (0.0, 1.0):
            network = build_network("naf_unet", 2, 3, **card.directions["sar2opt"].arguments).eval()
            blended = blend(weights, realism)
            network.load_state_dict({k.removeprefix("sar2opt."): torch.from_numpy(v) for k, v in blended.items()})
            session = onnxruntime.InferenceSession(load_graph(two_ends / "translator.onnx", realism)[1])
            with torch.no_grad():
                outputs.append(network(image).numpy())
            np.testing.assert_allclose(session.run(None, {"input": image.numpy()})[0], outputs[-1], atol=1e-3)
        assert np.abs(outputs[0] - outputs[1]).max() > 1e-4

    def test_fidelity_end_retreats_from_the_realism_end(self, two_ends, root, new_config, tmp_path):
        arguments = {"adversarial_learning_rate": 5e-3}
        train(new_config("compact", arguments=arguments, card={"retreat": 0.5}), root, tmp_path / "run")
        plain, moved = (load_weights(folder / "translator.safetensors")[1] for folder in (two_ends, tmp_path / "run"))
        for key in (key for key in plain if key.startswith("fidelity/")):
            realism = key.replace("fidelity/", "realism/")
            np.testing.assert_array_equal(moved[realism], plain[realism])
            np.testing.assert_allclose(moved[key], 1.5 * plain[key] - 0.5 * plain[realism], atol=1e-5)

    def test_fidelity_end_is_the_average_of_the_first_phase(self, two_ends, root, new_config, tmp_path):
        """A run that stops where phase A begins ships the same weights."""
        config = new_config("compact", arguments={"adversarial_learning_rate": 5e-3})
        trainer = train(config, root, tmp_path / "run", stop=3)
        fidelity = load(two_ends)["kept"]["fidelity"]["sar2opt"]
        assert_same(dict(trainer.average.states["sar2opt"]), dict(fidelity))

    @pytest.mark.parametrize("max_steps", [5, 6, 7])
    def test_the_milestone_falls_on_the_first_adversarial_step(self, max_steps, root, new_config, tmp_path):
        config = new_config("compact", arguments={"adversarial_start": 0.6}, engine={"max_steps": max_steps})
        folder = tmp_path / "run"
        trainer = train(config, root, folder)
        kinds = [
            "adversarial" if "adversarial/gan" in line else "regression"
            for line in lines(folder)
            if not any(key.startswith("val/") for key in line)
        ]
        first = kinds.index("adversarial")
        assert first == int(np.ceil(0.6 * max_steps))
        assert kinds == ["regression"] * first + ["adversarial"] * (max_steps - first)
        assert trainer.average.steps == max_steps - first

    def test_best_weights_up_to_the_milestone(self, root, new_config, tmp_path):
        config = new_config("compact", engine={"select": "best", "validate_every": 1})
        trainer = train(config, root, tmp_path / "run")
        scores = [line["val/sar2opt/mae"] for line in lines(tmp_path / "run") if "val/sar2opt/mae" in line]
        assert trainer.best.score == pytest.approx(min(scores[:3]), abs=1e-6)
        assert_same(dict(trainer.kept["fidelity"]["sar2opt"]), dict(trainer.best.states["sar2opt"]))


def test_best_weights_are_shipped(root, new_config, tmp_path):
    config = new_config(engine={"select": "best", "validate_every": 1}, arguments={"learning_rate": 0.3})
    trainer = train(config, root, tmp_path / "run")
    scores = [line["val/sar2opt/mae"] for line in lines(tmp_path / "run") if "val/sar2opt/mae" in line]
    assert trainer.best.score == pytest.approx(min(scores), abs=1e-6)
    shipped = load_weights(tmp_path / "run" / "translator.safetensors")[1]
    for key, value in trainer.best.states["sar2opt"].items():
        np.testing.assert_array_equal(shipped[f"sar2opt.{key}"], value)


@pytest.mark.parametrize(
    "method", ["regression", "compact", "pix2pix", "shift-cyclegan", "cut", "qs-attn", "sgcl", "tuigan"]
)
def test_bf16_mixed(method, root, new_config, tmp_path):
    config = new_config(method, engine={"precision": "bf16-mixed", "max_steps": 2, "sample_every": 0})
    trainer = train(config, root, tmp_path / "run")
    assert trainer.step == 2
    assert all(parameter.dtype == torch.float32 for parameter in trainer.task.module.parameters())
    assert all(np.isfinite(v) for line in lines(tmp_path / "run") for v in line.values())


def test_instance_norm_networks_are_exported_with_frozen_statistics(root, new_config, tmp_path):
    config = new_config(
        "pix2pix",
        arguments={"network": "resnet", "network_arguments": {"width": 4, "blocks": 1}},
        engine={"max_steps": 1, "validate_every": 0, "sample_every": 0},
    )
    train(config, root, tmp_path / "run")
    assert load_weights(tmp_path / "run" / "translator.safetensors")[0].directions["sar2opt"].statistics == "scene"
    assert load_graph(tmp_path / "run" / "translator.onnx")[0].directions["sar2opt"].statistics == "training"


def test_amplitude_root(amplitude_root, new_config, tmp_path):
    config = new_config(arguments={"direction": "opt2sar"}, engine={"max_steps": 1})
    train(config, DataRoot.open(amplitude_root), tmp_path / "run")
    card = load_weights(tmp_path / "run" / "translator.safetensors")[0]
    sar = card.images["sar"]
    assert (sar.recipe["kind"], sar.statistics, sar.dtype) == (
        "q99_amplitude",
        (255.0,),
        "uint8",
    )
    assert list(card.directions) == ["opt2sar"]


def test_chosen_bands(root, new_config, tmp_path):
    config = new_config(data={"bands": {"sar": ["VH"], "optical": ["B2", "B4"]}}, engine={"max_steps": 1})
    trainer = train(config, root, tmp_path / "run")
    assert tuple(trainer.task.images[role].bands for role in ("sar", "optical")) == (("VH",), ("B2", "B4"))
    assert trainer.task.module.channels(SAR_TO_OPTICAL) == (1, 2)


def test_gradients_are_clipped(root, new_config, tmp_path):
    """With plain SGD steps of norm at most lr * clip; here seen in the gradients left after the step."""
    config = new_config(engine={"clip": 1e-4, "max_steps": 1, "validate_every": 0, "sample_every": 0})
    trainer = train(config, root, tmp_path / "run")
    norm = torch.stack([p.grad.norm() for p in trainer.task.module.parameters()]).norm().item()
    assert norm == pytest.approx(1e-4, rel=1e-2)


class TestRefusals:
    @pytest.fixture
    def refused(self, root, new_config, tmp_path, monkeypatch):
        """Refusals come before anything is launched or written."""

        def check(config=None, data=root, folder=None, **options) -> str:
            folder = folder or tmp_path / "run"
            with monkeypatch.context() as patch:
                patch.setattr("saropt.training.loop.launch_fabric", lambda **_: pytest.fail("was launched"))
                with pytest.raises(InputError) as caught:
                    Loop(TranslatorTask, config or new_config(), data, folder, accelerator="cpu", **options)
            assert "\n" not in str(caught.value)
            assert not (tmp_path / "run").exists()
            return str(caught.value)

        return check

    def test_nothing_to_resume(self, refused):
        assert "cannot resume: it holds no checkpoint.pt" in refused(resume=True)

    @pytest.mark.parametrize(
        ("method", "changes", "message"),
        [
            ("regression", {"arguments": {"lambda_magic": 3}}, "lambda_magic: Extra inputs"),
            ("regression", {"arguments": {"network": "vgg"}}, "unknown network 'vgg'"),
            ("regression", {"arguments": {"direction": "sar+optref2opt"}}, "lacks optical_reference: its rasters"),
            ("regression", {"arguments": {"direction": "sar2sar"}}, "a direction needs inputs"),
            ("regression", {"data": {"splits": {"sar": "test"}}}, "must be the same for all roles"),
            ("regression", {"engine": {"patience": 1, "validate_every": 0}}, "patience: needs validation"),
            ("unet-dsd", {"data": {"crop": 32}}, "names no classes"),
            ("regression", {"arguments": {"network_arguments": {"depth": 3}}}, "no argument depth"),
            (
                "regression",
                {"arguments": {"network_arguments": {"width": "wide"}}},
                "arguments of regression: network 'naf_unet' cannot be built with {'width': 'wide'}: ",
            ),
            ("regression", {"arguments": {"network_arguments": {"width": -8}}}, "width must be 1 or more, not -8"),
            ("regression", {"arguments": {"network_arguments": {"width": True}}}, "width must be 1 or more, not True"),
            ("regression", {"arguments": {"network_arguments": {"middle": -1}}}, "middle must be 0 or more, not -1"),
            ("regression", {"arguments": {"network_arguments": {"encoder": [1, -1]}}}, "encoder must be 0 or more"),
            ("cyclegan", {"arguments": {"network_arguments": {"blocks": -1}}}, "blocks must be 0 or more, not -1"),
            ("regression", {"data": {"bands": {"sar": ["VV", "VV"]}}}, "each band once, but VV is asked for twice"),
            ("regression", {"data": {"crop": 30}}, "multiple of 4"),
            ("cut", {"arguments": {"network": "unet_256", "network_arguments": {}}}, "has no taps"),
            ("cut", {"arguments": {"nce_taps": [0, 99]}}, "taps must lie in 0.."),
            ("cut", {"arguments": {"nce_taps": [4, 0]}}, "ascending layer indices"),
            ("qs-attn", {"arguments": {"attended_taps": [3]}}, "must be among nce_taps"),
            ("shift-cyclegan", {"arguments": {"network": "unet_256", "network_arguments": {}}}, "no stages"),
            ("pix2pix", {"arguments": {"network": "unet_256", "network_arguments": {}}}, "multiple of 256"),
            ("regression", {"data": {"crop": 128}}, "smaller than the training window"),
            ("regression", {"data": {"bands": {"sar": ["HH"]}}}, "has no band HH; it has VV, VH"),
            ("regression", {"data": {"recipes": {"sar": {"kind": "magic"}}}}, "unknown recipe 'magic'"),
            ("regression", {"data": {"recipes": {"sar": {"kind": "db_clip", "low": 5, "high": -30}}}}, "must be below"),
        ],
    )
    def test_unfit_configurations(self, refused, new_config, method, changes, message):
        assert message in refused(new_config(method, **changes))

    def test_unknown_method(self, refused, new_config):
        assert "unknown method 'nothing'" in refused(new_config().model_copy(update={"method": "nothing"}))

    def test_unpaired_root(self, refused, db_root, tmp_path):
        path = shutil.copytree(db_root, tmp_path / "unpaired")
        description = yaml.safe_load((path / "dataset.yaml").read_text()) | {"paired": False}
        (path / "dataset.yaml").write_text(yaml.safe_dump(description))
        assert "regression needs pairs" in refused(data=DataRoot.open(path))

    def test_root_without_validation_split(self, refused, db_root, tmp_path):
        path = shutil.copytree(db_root, tmp_path / "root")
        (path / "splits.csv").write_text("name,split\na,train\n")
        assert "split 'val' is empty" in refused(data=DataRoot.open(path))

    @pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
    def test_damaged_checkpoint(self, root, new_config, tmp_path, content):
        folder = tmp_path / "run"
        folder.mkdir()
        if content is None:
            torch.save({"other": 1}, folder / "checkpoint.pt")
        else:
            (folder / "checkpoint.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoint\.pt: is damaged or no checkpoint"):
            Loop(TranslatorTask, new_config(), root, folder, accelerator="cpu", resume=True)

    def test_a_flipped_bit_in_a_checkpoint(self, root, new_config, tmp_path):
        quiet = {"max_steps": 1, "validate_every": 0, "sample_every": 0}
        train(new_config(engine=quiet), root, tmp_path / "run")
        path = tmp_path / "run" / "checkpoint.pt"
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as parts:
            tensors = [part for part in parts.infolist() if "/data/" in part.filename]
            largest = max(tensors, key=lambda part: part.file_size)
        content[largest.header_offset + largest.file_size // 2] ^= 0x40
        path.write_bytes(content)
        torch.load(path, weights_only=True)  # which does not notice
        longer = new_config(engine={**quiet, "max_steps": 2})
        with pytest.raises(InputError, match=r"checkpoint\.pt: is damaged or no checkpoint"):
            Loop(TranslatorTask, longer, root, tmp_path / "run", accelerator="cpu", resume=True)

    def test_checkpoint_of_another_run(self, root, new_config, tmp_path):
        quiet = {"max_steps": 1, "validate_every": 0, "sample_every": 0}
        train(new_config(engine=quiet), root, tmp_path / "run")
        with pytest.raises(InputError, match="is of a 'regression' run, not of 'compact'"):
            Loop(TranslatorTask, new_config("compact"), root, tmp_path / "run", accelerator="cpu", resume=True)
        wider = new_config(arguments={"network_arguments": {"width": 16, "encoder": [1], "decoder": [1]}})
        with pytest.raises(InputError, match="does not fit the configuration"):
            Loop(TranslatorTask, wider, root, tmp_path / "run", accelerator="cpu", resume=True)

    def test_weights_that_are_not_finite_are_not_written(self, root, new_config, tmp_path):
        """Those of the last step, whose losses are of the weights before."""
        quiet = {"clip": 0.0, "max_steps": 1, "validate_every": 0, "sample_every": 0}
        with pytest.raises(InputError, match="weights stopped being finite by step 1"):
            train(new_config(arguments={"learning_rate": 1e38}, engine=quiet), root, tmp_path / "run")
        assert not (tmp_path / "run" / "translator.safetensors").exists()

    @pytest.mark.parametrize("rate", [float("inf"), float("nan")])
    def test_a_learning_rate_is_a_number(self, rate, root, new_config, tmp_path):
        with pytest.raises(InputError, match="finite number"):
            train(new_config(arguments={"learning_rate": rate}), root, tmp_path / "run")

    def test_a_full_disk_is_one_line(self, tmp_path, monkeypatch):
        def fail(values, path):
            path.write_bytes(b"half")
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

        monkeypatch.setattr(torch, "save", fail)
        with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be written whole: the disk may be full"):
            write_values(tmp_path / "checkpoint.pt", {})
        assert list(tmp_path.iterdir()) == []

    def test_losses_that_explode_end_the_run(self, root, new_config, tmp_path):
        config = new_config(arguments={"learning_rate": 1e30}, engine={"clip": 0.0, "max_steps": 20})
        with pytest.raises(InputError, match="stopped being finite at step"):
            train(config, root, tmp_path / "run")
