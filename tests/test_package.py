"""The top of the package: lazy names, `python -m saropt`, and where optional parts are installed from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import saropt
from saropt.errors import OptionError, install_words
from saropt.inference.bundled import find_translator
from saropt.scenes import Scene, write_array


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_public_names_are_listed_before_they_are_loaded() -> None:
    done = run("-c", "import saropt, sys; print(set(saropt.__all__) <= set(dir(saropt)), 'numpy' in sys.modules)")
    assert done.stdout.split() == ["True", "False"]
    for name in saropt.__all__:
        assert getattr(saropt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        saropt.nothing  # noqa: B018


def test_the_package_runs_as_a_module() -> None:
    done = run("-m", "saropt", "--version")
    assert (done.returncode, done.stdout) == (0, f"saropt {saropt.__version__}\n")


def test_all_files_that_state_the_version_state_the_same() -> None:
    root = Path(__file__).parents[1]
    stated = {
        "pyproject.toml": r'^version = "(.+)"$',
        "CITATION.cff": r"^version: (.+)$",
        "packaging/translate.cwl": r"dockerPull: saropt:(\S+)$",
        "packaging/Dockerfile": r"saropt:(\d\S*)",
        "docs/ecosystem.md": r"saropt:(\d\S*)",
        "integrations/qgis/saropt_provider/metadata.txt": r"^version=(.+)$",
    }
    found = {file: re.findall(words, (root / file).read_text("utf-8"), re.MULTILINE) for file, words in stated.items()}
    assert {file: set(versions) for file, versions in found.items()} == {file: {saropt.__version__} for file in stated}
    page = (root / "docs" / "release.md").read_text("utf-8")
    assert [file for file in stated if f"`{file}`" not in page] == []


def test_translate_takes_both_kinds_of_options(tmp_path: Path) -> None:
    amplitude = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    scene = write_array(tmp_path / "scene.tif", amplitude, band_names=["VH"])
    for realism in (0.0, 1.0):
        saropt.translate(scene, tmp_path / "out.tif", realism=realism, tile=64, overwrite=True)
        with Scene.open(tmp_path / "out.tif") as made:
            assert made.tags["SAROPT_REALISM"] == f"{realism:g}"
    back = saropt.translate(tmp_path / "out.tif", tmp_path / "back.tif", to="sar")
    with Scene.open(back) as made:
        assert made.tags["SAROPT_DIRECTION"] == "opt2sar"
    with pytest.raises(OptionError, match="to='radar'"):
        saropt.translate(scene, tmp_path / "other.tif", to="radar")


def test_models_by_name() -> None:
    assert {"s1-losangeles", "losangeles-s1"} <= set(saropt.list_models())


def test_models_of_a_folder_are_loaded_by_what_the_list_says(tmp_path: Path) -> None:
    shutil.copy(find_translator("s1-losangeles"), tmp_path / "mine.onnx")
    (mine,) = set(saropt.list_models(tmp_path)) - set(saropt.list_models())
    assert saropt.Translator.load(mine).card.name == "s1-losangeles"


def test_the_figure_of_the_front_page_is_that_of_the_gallery() -> None:
    docs = Path(__file__).parents[1] / "docs"
    stated = re.search(
        r"PSNR ([\d.]+) dB, where a copy of the earlier image has ([\d.]+)", (docs / "index.md").read_text()
    )
    assert stated is not None
    shown = (docs / "gallery.md").read_text().partition("figures/gallery/flood-translation.webp")[2]
    rows = re.findall(r"^\| (translation|copy of the earlier image) \| ([\d.]+) ", shown, re.MULTILINE)
    assert stated.groups() == (dict(rows[:2])["translation"], dict(rows[:2])["copy of the earlier image"])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ('{"url": "file:///a%20b/saropt", "dir_info": {}}', "'/a b/saropt[train]'"),
        ('{"url": "file:///c/saropt", "dir_info": {"editable": true}}', "-e '/c/saropt[train]'"),
        ('{"url": "https://example.com/saropt.whl", "archive_info": {}}', "'saropt[train]'"),
        ('{"url": "file:///d/saropt-0.1.0-py3-none-any.whl", "archive_info": {}}', "'saropt[train]'"),
    ],
)
def test_hints_name_the_clone(record: str, words: str) -> None:
    assert install_words("train", record) == words


def test_the_shell_completes_verbs_and_translators() -> None:
    def offered(words: str) -> list[str]:
        code = "from saropt.cli import main; main()"
        environment = {"_SAROPT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return run("-c", code, **environment).stdout.split()

    assert offered("saropt tran") == ["translate"]
    commands = ("models", "translate a b --model", "evaluate", "export", "reliability", "match a b --via")
    for command in commands:
        assert offered(f"saropt {command} s1-l") == ["s1-losangeles"], command
