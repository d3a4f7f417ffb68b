"""The QGIS plug-in: its command lines are those of saropt, and its zip is whole. QGIS itself runs where it is there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

import saropt
from saropt.scenes import Georeference, Scene, write_array

PLUGIN = Path(__file__).parents[2] / "integrations" / "qgis"
SYSTEM_PYTHON = "/usr/bin/python3"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plug-in's commands, with this checkout's saropt as the program."""
    source = Path(saropt.__file__).parents[1]
    program = tmp_path / "saropt-here"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -m saropt "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("SAROPT", str(program))
    return load(PLUGIN / "saropt_provider" / "commands.py")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    place = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))
    return write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=place)


def test_command_lines(commands: ModuleType) -> None:
    values = {"INPUT": "a.tif", "OUTPUT": "b.tif", "REFERENCE": "old.tif", "UNITS": "", "MODEL": "s1-reference"}
    with_reference = commands.command_line("translate_with_reference", values)
    assert with_reference == [
        *("translate", "a.tif", "b.tif", "--model", "s1-reference", "--reference", "old.tif", "--overwrite")
    ]
    moved = commands.command_line("register", values | {"MODEL": None, "SEARCH": 40})
    assert moved == [*("match", "a.tif", "old.tif", "--search", "40", "--register", "b.tif", "--overwrite")]


def test_the_program_runs_and_its_error_arrives(commands: ModuleType, scene: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "out.tif", []
    values = {"INPUT": scene, "OUTPUT": out, "UNITS": "uint8", "MODEL": "s1-losangeles", "BANDS": "VH"}
    with pytest.raises(commands.SaroptError, match="metres"):
        commands.run(commands.command_line("translate", values | {"UNITS": "metres"}), lines.append)
    commands.run(commands.command_line("translate", values | {"UNITS": "amplitude"}), lines.append)
    assert any(line.startswith("wrote") for line in lines)
    with Scene.open(out) as made:
        assert made.band_names == ["B4", "B3", "B2"]


QUIET = """#!{python}
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted; --resume goes on"))
print("begun", flush=True)
time.sleep(60)
print("wrote all")
"""


def test_cancel_ends_a_program_that_says_nothing(
    commands: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "quiet"
    program.write_text(QUIET.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("SAROPT", str(program))
    lines: list[str] = []
    begun: list[float] = []

    def canceled() -> bool:
        if lines:
            begun.append(time.monotonic())
        return len(begun) > 1

    with pytest.raises(commands.SaroptError, match=r"^canceled$"):
        commands.run(["translate"], lines.append, canceled)
    assert time.monotonic() - begun[0] < 30
    assert lines == ["begun", "interrupted; --resume goes on"]


def test_every_parameter_has_a_place_in_the_command(commands: ModuleType) -> None:
    text = (PLUGIN / "saropt_provider" / "provider.py").read_text()
    names = set(re.findall(r'(?:raster|text|choice|ParameterNumber|RasterDestination)\(\s*"([A-Z_]+)"', text))
    assert names - {"INPUT"} == set(commands.OPTIONS)
    assert set(re.findall(r'key, title = "(\w+)"', text)) == set(commands.VERBS)


def test_the_zip_holds_the_plugin(tmp_path: Path) -> None:
    with zipfile.ZipFile(load(PLUGIN / "make_zip.py").make_zip(tmp_path / "plugin.zip")) as archive:
        names = {name.removeprefix("saropt_provider/") for name in archive.namelist()}
    assert names == {"__init__.py", "commands.py", "provider.py", "metadata.txt"}


HEADLESS = """
import sys
sys.path[:0] = [PLUGIN, "/usr/share/qgis/python", "/usr/share/qgis/python/plugins"]
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsRasterLayer
application = QgsApplication([], False)
application.initQgis()
import saropt_provider
plugin = saropt_provider.classFactory(None)
plugin.initProcessing()
registry = QgsApplication.processingRegistry()
found = sorted(one.id() for one in registry.providerById("saropt").algorithms())
assert found == ["saropt:register", "saropt:translate", "saropt:translate_with_reference"], found
algorithm = registry.createAlgorithmById("saropt:translate")
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
values = {"INPUT": SCENE, "OUTPUT": OUT, "MODEL": "s1-losangeles", "UNITS": 5}
result, good = algorithm.run(values, context, feedback)
assert good, feedback.textLog()
assert QgsRasterLayer(result["OUTPUT"]).bandCount() == 3
plugin.unload()
print("translated")
"""


def test_qgis_runs_it_without_a_screen(commands: ModuleType, scene: Path, tmp_path: Path) -> None:
    asked = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("QGIS is not installed")
    script = f"PLUGIN, SCENE, OUT = {str(PLUGIN)!r}, {str(scene)!r}, {str(tmp_path / 'out.tif')!r}\n{HEADLESS}"
    environment = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    environment |= {"SAROPT": str(tmp_path / "saropt-here")}
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert "translated" in done.stdout, done.stdout + done.stderr
