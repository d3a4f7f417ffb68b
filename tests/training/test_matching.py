"""Training of matchers: what a run leaves, how it resumes, what it refuses, and what its pairs are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saropt.artifacts import load_matcher
from saropt.errors import InputError
from saropt.matching import find_matcher, match_pair
from saropt.roots import DataRoot
from saropt.training import Loop, MatcherTask, MatchingConfig, read_matching_config
from saropt.training.matching import bend_pair


def make_config(**engine) -> MatchingConfig:
    return MatchingConfig.model_validate(
        {
            "width": 4,
            "learning_rate": 1e-3,
            "data": {"crop": 64, "batch_size": 2, "keypoints": 40},
            "engine": {"max_steps": 4, "log_every": 1, "validate_every": 2, "validation_windows": 1} | engine,
        }
    )


@pytest.fixture(scope="module")
def root(db_root: Path) -> DataRoot:
    return DataRoot.open(db_root)


def run(config: MatchingConfig, root: DataRoot, folder: Path, **options) -> Loop:
    trainer = Loop(MatcherTask, config, root, folder, accelerator="cpu", **options)
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def finished(root: DataRoot, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loop, Path]:
    folder = tmp_path_factory.mktemp("matchers") / "tiny"
    return run(make_config(), root, folder), folder


def test_what_a_run_leaves(finished: tuple[Loop, Path]) -> None:
    folder = finished[1]
    card, weights = load_matcher(folder / "matcher.safetensors")
    assert (card.name, card.training.steps, card.training.data) == ("tiny", 4, "toy")
    assert set(card.quality["val"]) == {"pmr", "ir_ed", "matching_score"}
    assert not [key for key in weights if key.startswith("homography")]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    parts = [line for line in lines if "loss" in line]
    assert [line["step"] for line in parts] == [1, 2, 3, 4]
    terms = ("detector", "descriptor", "homography")
    assert parts[0]["loss"] == pytest.approx(sum(parts[0][f"loss/{term}"] for term in terms), abs=1e-4)
    assert all(parts[0][f"loss/{term}"] > 0 for term in terms)


def test_the_file_matches(finished: tuple[Loop, Path]) -> None:
    matcher = find_matcher(finished[1])
    random = np.random.default_rng(0)
    image = random.random((203, 190)).astype(np.float32)
    valid = np.ones(image.shape, bool)
    valid[:, 150:] = False
    found = matcher.detect(image, valid, 100)
    assert 5 < len(found) <= 100
    assert found.descriptors.shape[1] == 256
    assert np.allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)
    assert (found.points > 40).all()
    assert (found.points < (110, 163)).all()
    same = match_pair(matcher, image, 3.0 * image + 1.0, valid)
    assert same.correct.mean() > 0.8
    assert len(same.a) > 0.5 * same.keypoints


def test_resume_is_exact(root: DataRoot, finished: tuple[Loop, Path], tmp_path: Path) -> None:
    half = run(make_config(max_steps=2), root, tmp_path / "run")
    assert half.step == 2
    rest = run(make_config(), root, tmp_path / "run", resume=True)
    whole = finished[0].task.module.state_dict()
    for key, value in rest.task.module.state_dict().items():
        assert torch.equal(value, whole[key]), key


def test_it_learns(root: DataRoot, tmp_path: Path) -> None:
    run(make_config(max_steps=40, validate_every=0), root, tmp_path / "run")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:4])


def test_bent_pairs_show_the_same_ground() -> None:
    """A bright dot in both images lies where the matrix says."""
    dots = np.full((1, 64, 64), -1.0, np.float32)
    dots[0, 30:34, 22:26] = 1.0
    for seed in range(5):
        pair = bend_pair({"sar": dots, "optical": dots}, np.random.default_rng(seed), 0.1, 50)
        first, second = (
            np.array([(weights * grid).sum() / weights.sum() for grid in np.mgrid[:64, :64][::-1] + 0.5])
            for weights in (np.maximum(image, 0.0) for image in pair.images)
        )
        moved = pair.matrix @ (*first, 1.0)
        assert np.abs(moved[:2] / moved[2] - second).max() < 0.6
        corner = pair.matrix @ (64.0, 64.0, 1.0)
        assert corner[:2] / corner[2] == pytest.approx(64 + 64 * pair.corners[4:6], abs=0.01)
        assert pair.keypoints[0].any()
        assert abs(int(pair.keypoints[1].sum()) - int(pair.keypoints[0].sum())) <= 3


def test_refusals(root: DataRoot, finished: tuple[Loop, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a run already"):
        Loop(MatcherTask, make_config(), root, finished[1], accelerator="cpu")
    large = MatchingConfig.model_validate({"data": {"crop": 128}})
    with pytest.raises(InputError, match="smaller than the training window"):
        Loop(MatcherTask, large, root, tmp_path / "run", accelerator="cpu")
    with pytest.raises(InputError, match=r"data\.crop: Input should be a multiple of 8"):
        read_matching_config(None, ["data.crop=100"])
    with pytest.raises(InputError, match="is a folder without matcher"):
        find_matcher(tmp_path)
    (tmp_path / "matcher.safetensors").write_bytes(b"\x80pickle")
    with pytest.raises(InputError, match="pickle"):
        find_matcher(tmp_path)
