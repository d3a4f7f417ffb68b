"""`arguments.start`: a network is trained on from a translator file."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from saropt.artifacts import load_graph
from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.inference import find_translator
from saropt.methods.base import Batch
from saropt.methods.compact import Compact, CompactConfig
from saropt.methods.reference import Reference, ReferenceConfig
from saropt.methods.regression import Regression, RegressionConfig

FILE = str(find_translator("s1-losangeles"))
BANDS = {"sar": 1, "optical": 3}


@pytest.mark.parametrize(("method", "config"), [(Regression, RegressionConfig), (Compact, CompactConfig)])
def test_it_begins_where_the_file_ends(method, config):
    """The network is the file's: ONNX Runtime gives the same of it."""
    started = method(config(start=FILE), BANDS)
    card, graph = load_graph(FILE)
    image = torch.rand(1, 1, 64, 64) * 2 - 1
    wanted = onnxruntime.InferenceSession(graph).run(None, {"input": image.numpy()})[0]
    with torch.no_grad():
        made = started.generators()[SAR_TO_OPTICAL].eval()(image).numpy()
    assert np.abs(made - wanted[:, :3]).max() < 1e-3
    assert method.images_of(started.config) == card.images
    described = card.directions[SAR_TO_OPTICAL]
    assert started.network_of(SAR_TO_OPTICAL) == (described.network, described.arguments)


def test_another_network_or_other_bands_are_refused():
    with pytest.raises(InputError, match="has network naf_unet, the configuration resnet: leave it out"):
        Regression(RegressionConfig(start=FILE, network="resnet"), BANDS)
    with pytest.raises(InputError, match="translates between 1 SAR and 3 optical bands, the data have 2 SAR"):
        Regression(RegressionConfig(start=FILE), {"sar": 2, "optical": 3})
    with pytest.raises(InputError, match="no such file"):
        Regression.images_of(RegressionConfig(start="nothing.onnx"))


def test_a_teacher_gives_a_second_target():
    """The loss has the teacher's distance, its own weight, and no gradient or checkpoint holds the teacher."""
    small = {"width": 4, "encoder": [1], "middle": 1, "decoder": [1]}
    config = RegressionConfig(teacher=FILE, teacher_weight=3.0, network_arguments=small)
    student = Regression(config, BANDS).train()
    images = {role: torch.rand(2, bands, 64, 64) * 2 - 1 for role, bands in BANDS.items()}
    attempt = student.attempt(Batch(images))

    _, graph = load_graph(FILE)
    example = onnxruntime.InferenceSession(graph).run(None, {"input": images["sar"].numpy()})[0]
    difference = attempt.output.detach().numpy().astype(np.float64) - example[:, :3]
    naive = 3.0 * np.mean(np.sqrt(difference**2 + config.loss.epsilon**2))
    assert attempt.losses["teacher"].item() == pytest.approx(naive, rel=1e-4)
    attempt.losses["teacher"].backward()
    assert any(parameter.grad is not None for parameter in student.generator.parameters())
    assert not any("teacher" in name for name in student.state_dict())
    assert not any("teacher" in name for name, _ in student.named_parameters())
    assert student.trained_inputs() == load_graph(FILE)[0].images


def test_methods_that_start_otherwise_have_no_teacher():
    bands = {"sar": 1, "optical": 3, "optical_reference": 4}
    with pytest.raises(ValueError, match="teacher: reference learns from no teacher"):
        Reference(ReferenceConfig(direction="sar+optref2opt", teacher=FILE), bands)
