"""The application package: its inputs are options of `saropt translate`, and a runner makes a translation with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.crs import CRS
from rasterio.transform import from_origin
from typer.main import get_command

import saropt
from saropt.cli.app import app
from saropt.scenes import Georeference, Scene, write_array
from saropt.scenes.nodata import files_beside

FOLDER = Path(__file__).parents[2] / "packaging"
TOOL = FOLDER / "translate.cwl"


def test_inputs_are_options_of_the_command_and_come_with_the_files_beside_them(tmp_path: Path) -> None:
    described: dict[str, Any] = yaml.safe_load(TOOL.read_text(encoding="utf-8"))
    command = get_command(app).commands["translate"]  # type: ignore[attr-defined]
    known = {name for parameter in command.params for name in parameter.opts}
    bindings = [one["inputBinding"] for one in described["inputs"].values()]
    assert {binding["prefix"] for binding in bindings if "prefix" in binding} <= known
    rasters = [one for one in described["inputs"].values() if "File" in str(one["type"])]
    assert len(rasters) == 3
    (staged,) = {tuple(one["secondaryFiles"]) for one in rasters}
    for pattern in staged:
        end = pattern.rstrip("?")
        (tmp_path / (f"a{end[1:]}" if end.startswith("^") else f"a.tif{end}")).touch()
    assert set(files_beside(tmp_path / "a.tif")) == set(tmp_path.iterdir())
    assert {".msk?", ".aux.xml?", "^.tfw?", "^.wld?"} <= set(staged)


def test_the_image_installs_from_the_clone_and_is_no_root() -> None:
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert set(words) <= {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["saropt"]' in lines


def test_a_runner_translates_with_it(tmp_path: Path) -> None:
    pytest.importorskip("cwltool", reason="cwltool is not installed")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "saropt"
    source = Path(saropt.__file__).parents[1]
    path = os.pathsep.join([str(source), *filter(None, sys.path)])
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" -m saropt "$@"\n')
    script.chmod(0o755)
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    place = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=place)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(scene, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as opened,
    ):
        opened.write_mask(np.repeat([[False], [True]], 30, axis=0).repeat(80, axis=1))
    beside = '<PAMDataset><Metadata><MDI key="ACQUISITION_DATE">2020-11-07</MDI></Metadata></PAMDataset>'
    (tmp_path / "scene.tif.aux.xml").write_text(beside)
    command = [sys.executable, "-m", "cwltool", "--no-container", "--quiet", "--outdir", "out", str(TOOL)]
    job = {"scene": {"class": "File", "path": str(scene)}, "name": "my_scene.tif", "units": "amplitude", "stac": True}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command += ["job.json"]
    environment = os.environ | {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["basename"] for one in found["others"]] == ["my_scene.json"]
    with Scene.open(tmp_path / "out" / found["translation"]["basename"]) as made:
        assert made.georeference == place
        assert made.read()[1].mean() == 0.5
