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
from saropt.methods.compact import Compact, CompactConfig
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
