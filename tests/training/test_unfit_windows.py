"""Settings that a training cannot take are one line, and leave nothing behind."""

from __future__ import annotations

import pytest

from saropt.cli import main

SMALL = ["network_arguments.width=4", "discriminator_width=4"]


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("cyclegan", ["data.crop=16"], "data.crop: 16 does not fit the discriminator; the smallest that does is 24"),
        ("cut", ["data.crop=16"], "data.crop: 16 does not fit the discriminator"),
        ("sgcl", ["data.crop=16", "arguments.guidance=kmeans"], "16 does not fit the discriminator"),
        ("sgcl", ["arguments.guidance=kmeans", "arguments.nce_taps=[4, 0]"], "ascending layer indices"),
        ("sgcl", ["arguments.guidance=kmeans", "arguments.temperature=0.01"], "greater than or equal to 0.025"),
    ],
)
def test_a_refused_training_leaves_no_folder(method, settings, words, labelled_root, tmp_path, capsys):
    out = tmp_path / "run"
    given = [part for setting in (*(f"arguments.{s}" for s in SMALL), *settings) for part in ("--set", setting)]
    assert main(["train", method, str(labelled_root), "--out", str(out), *given]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()


def test_segformer_takes_multiples_of_32(labelled_root, tmp_path, capsys):
    out = tmp_path / "run"
    settings = ["--set", "data.crop=48", "--set", "arguments.encoder=mit_b0", "--set", "data.batch_size=2"]
    arguments = ["--modality", "sar", "--network", "segformer", "--out", str(out), *settings]
    assert main(["segment", "train", str(labelled_root), *arguments]) == 2
    assert "data.crop: " in capsys.readouterr().err
    assert not out.exists()
