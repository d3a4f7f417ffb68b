"""SGCL under every segmenter and every guidance goes on after a kill as if nothing had happened."""

from __future__ import annotations

import pytest
import torch
from training_runs import flatten, train

from saropt.networks import list_segmenters
from saropt.roots import DataRoot
from saropt.training import Outcome, SegmentationConfig, SegmenterTask

ENCODERS = {"segformer": "mit_b0"}
OTHERS = {"kmeans": {"classes": 3}, "soft": {"lambda_seg": 0.0}, "none": {"lambda_seg": 0.0}}


def segmenter_file(role: str, network: str, root: DataRoot, folder) -> str:
    """A segmenter that has learned nothing."""
    small = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1}
    arguments = small if network == "compact" else {"encoder": ENCODERS.get(network, "resnet18")}
    values = {
        "modality": role,
        "network": network,
        "arguments": arguments,
        "data": {"crop": 64, "batch_size": 2},
        "engine": {"validate_every": 0},
    }
    task = SegmenterTask(SegmentationConfig.model_validate(values), root)
    folder.mkdir()
    return str(task.export(folder, Outcome(0, {"": {"network": task.network.state_dict()}}, {}))[0])


@pytest.mark.parametrize("guidance", [*list_segmenters(), *OTHERS])
def test_resume_is_exact_to_the_bit(guidance, labelled_root, new_config, tmp_path):
    root = DataRoot.open(labelled_root)
    arguments = {"guidance": guidance, **OTHERS.get(guidance, {})}
    if guidance not in OTHERS:
        files = {
            f"{role}_segmenter": segmenter_file(role, guidance, root, tmp_path / role) for role in ("sar", "optical")
        }
        arguments = {"guidance": "labels", **files}
    engine = {"max_steps": 3, "validate_every": 0, "sample_every": 0, "checkpoint_every": 1}
    config = new_config("sgcl", arguments=arguments, engine=engine)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(config, root, straight)
    train(config, root, killed, stop=2)
    train(config, root, killed, resume=True)
    assert (killed / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()
    states = [dict(flatten(torch.load(f / "checkpoint.pt", weights_only=True)["modules"])) for f in (straight, killed)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items() if torch.is_tensor(value))
    assert not any("segmenter" in key for key in states[0]) or guidance == "kmeans"
