"""A new role is one module of another package: data roots, trainings, files and translations know it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from plugin_files import run_with_plugin, write_plugin
from saropt.cli import main
from saropt.roots.simulated import write_simulated_root

ROLE = """
from saropt.domain import register_role

register_role("thermal", "thermal", "reflectance")
"""
PROGRAM = """
import sys, warnings
from pathlib import Path
import rasterio, rasterio.windows
import saropt
from saropt.cli import main
from saropt.errors import SceneWarning

root, folder = sys.argv[1:]
scene, *_ = sorted(path.name for path in Path(root, "sar").iterdir())
table = Path(folder + ".csv")
table.write_text(f"scene,thermal\\n{root}/sar/{scene},{root}/thermal/{scene}\\n")
small = "arguments.network_arguments={width: 4, encoder: [1], decoder: [1], middle: 1, unshuffle: 2}"
settings = ["data.crop=32", "data.batch_size=1", "engine.max_steps=1", "arguments.direction=sar+thermal2opt", small]
train = ["train", "regression", root, "--out", folder, *(word for one in settings for word in ("--set", one))]
for words in (
    ["data", "inspect", root],
    train,
    ["models", folder],
    ["evaluate", folder, "--data", root, "--out", folder + "/report"],
    ["translate", f"{root}/sar/{scene}", folder + "/one.tif", "--model", folder,
     "--input", f"thermal={root}/thermal/{scene}"],
    ["translate", root + "/sar", folder + "/named", "--model", folder, "--input", f"thermal={root}/thermal"],
    ["translate", str(table), folder + "/listed", "--model", folder],
):
    assert main(words) == 0, words
assert main(["translate", f"{root}/sar/{scene}", folder + "/no.tif", "--model", folder]) == 2
with rasterio.open(f"{root}/thermal/{scene}") as whole:
    window = rasterio.windows.Window(0, 0, 32, 64)
    profile = whole.profile | {"width": 32, "height": 64, "transform": whole.window_transform(window)}
    with rasterio.open(folder + "/part.tif", "w", **profile) as part:
        part.write(whole.read(window=window))
        part.descriptions = whole.descriptions
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    inputs = {"thermal": folder + "/part.tif"}
    saropt.translate(f"{root}/sar/{scene}", folder + "/half.tif", model=folder, inputs=inputs)
print([str(one.message) for one in told if issubclass(one.category, SceneWarning)])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Simulated pairs, and thermal images, which are the optical ones."""
    path = write_simulated_root(tmp_path / "root", scenes=(1, 1, 1), size=64)
    shutil.copytree(path / "optical", path / "thermal")
    description = yaml.safe_load((path / "dataset.yaml").read_text())
    (path / "dataset.yaml").write_text(yaml.safe_dump(description | {"thermal": description["optical"]}))
    return path


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read()


def test_a_new_role_is_one_module(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = write_plugin(tmp_path / "plugin", "saropt.roles", ROLE)
    printed = run_with_plugin(plugin, PROGRAM, root, tmp_path / "run")
    assert "thermal" in printed.partition("wrote")[0], "inspection shows it"
    assert "sar+thermal2opt" in printed
    assert re.search(r"sar\+thermal2opt thermal +B4, B3, B2 \(.*\), needed", printed)
    assert "covers 50.0% of the scene: the rest is nodata" in printed
    for folder in ("named", "listed"):
        made = sorted((tmp_path / "run" / folder).glob("*.tif"))
        assert len(made) == (3 if folder == "named" else 1)
        np.testing.assert_array_equal(read(made[0]), read(tmp_path / "run/one.tif"))
    assert not (tmp_path / "run/no.tif").exists()
    for words, what in (
        (["data", "inspect", str(root)], f"{root / 'dataset.yaml'}: thermal is no role: is the plug-in installed that"),
        (["models", str(tmp_path / "run")], "'sar+thermal2opt' is no direction such as sar2opt; roles are sar, opt,"),
    ):
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert what in line
    assert "and those of plug-ins that are installed" in line
