"""Settings that a training cannot take are one line, and leave nothing behind."""

from __future__ import annotations

import pytest

from saropt.cli import main
from saropt.roots import DataRoot
from saropt.training import TranslatorTask

SMALL = ["network_arguments.width=4", "discriminator_width=4"]
RESNET = ["arguments.network=resnet"]


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("cyclegan", ["data.crop=16"], "data.crop: 16 does not fit the discriminator; the smallest that does is 24"),
        ("cut", ["data.crop=16"], "data.crop: 16 does not fit the discriminator"),
        ("sgcl", ["data.crop=16", "arguments.guidance=kmeans"], "16 does not fit the discriminator"),
        ("compact", ["data.crop=32"], "data.crop: 32 does not fit the discriminator; the smallest that does is 48"),
        ("pix2pix", [*RESNET, "data.crop=16"], "16 does not fit the discriminator; the smallest that does is 24"),
        ("pix2pix", [*RESNET, "data.crop=32", "arguments.discriminator_scales=3"], "32 does not fit the discriminator"),
        ("unet-dsd", [*RESNET, "data.crop=16"], "data.crop: 16 does not fit the semantic discriminator"),
        (
            "unet-dsd",
            [*RESNET, "data.crop=16", "data.batch_size=2", "arguments.lambda_gan=1"],
            "data.crop: 16 does not fit the discriminator; the smallest that does is 24",
        ),
        (
            "unet-dsd",
            [
                *RESNET,
                "data.crop=32",
                "arguments.semantic_network=deeplabv3",
                "arguments.semantic_arguments.encoder=resnet18",
            ],
            "data.batch_size: must be at least 2 to train unet-dsd",
        ),
        ("pix2pix", ["arguments.network=cran", "data.crop=32"], "data.crop: 32 does not fit the network"),
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


def test_without_an_adversarial_phase_no_discriminator_limits_the_windows(db_root, new_config):
    config = new_config("compact", arguments={"adversarial_start": 1.0}, data={"crop": 32})
    TranslatorTask(config, DataRoot.open(db_root))


def test_segmenters_that_name_a_part_twice_are_left_as_they_were(labelled_root, new_config):
    judge = {"semantic_network": "segformer", "semantic_arguments": {"encoder": "mit_b0"}}
    config = new_config("unet-dsd", arguments=judge, data={"crop": 32})
    method = TranslatorTask(config, DataRoot.open(labelled_root)).module
    assert not any(value.is_meta for value in method.state_dict().values())
