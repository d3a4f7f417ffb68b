"""Rasters that come with scenes: by name from folders, by row from tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from reference_files import BANDS, reference_translator
from saropt.batch.jobs import plan_jobs
from saropt.batch.scene_lists import left_out, list_companions, list_scenes
from saropt.cli import main
from saropt.errors import SaroptError
from saropt.inference.requests import inputs_by_role
from saropt.scenes import Georeference, write_array
from translator_fixtures import GEOREFERENCE


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_folders_are_matched_by_name(tmp_path: Path) -> None:
    scenes = list_scenes(str(touched(tmp_path / "now", "a.tif", "b.tif")))
    assert scenes is not None
    old = touched(tmp_path / "old", "a.png", "c.tif", "b.txt")
    found = list_companions(str(tmp_path / "now"), scenes, {"reference": str(old)})
    assert found == {scenes[0]: {"reference": str(old / "a.png")}, scenes[1]: {}}


def test_a_table_names_the_rasters_of_each_scene(tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    table.write_text(
        "\ufeffscene,reference,reference_mask\r\nnow/a.tif,old/a.tif,\r\nnow/b.tif,,https://x.org/b.tif\r\n",
        encoding="utf-8",
    )
    scenes = list_scenes(str(table))
    assert scenes == [str(tmp_path / "now/a.tif"), str(tmp_path / "now/b.tif")]
    assert list_companions(str(table), scenes, {}) == {
        scenes[0]: {"reference": str(tmp_path / "old/a.tif")},
        scenes[1]: {"reference_mask": "https://x.org/b.tif"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,reference\na,b\n", "must have the column scene"),
        ("scene,refrence\na,b\n", "has the column 'refrence' .* and may have reference"),
        ("scene,optical_reference\na,b\n", "has the column 'optical_reference' that means nothing"),
        ("scene,reference,reference\na,b,c\n", "has the column 'reference' that means nothing or stands twice"),
        ("scene,reference\na,b\nc,d,e\n", "has a row of more than 2 cells"),
        ("scene,reference\na,b\n,old.tif\n", "has a row without a scene, whose reference is old.tif"),
        ("scene\n", "lists no scene"),
    ],
)
def test_tables_that_say_something_else_are_refused(text: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    table.write_text(text)
    with pytest.raises(SaroptError, match=message):
        list_scenes(str(table))


def test_a_cell_and_an_option_do_not_give_the_same_raster(tmp_path: Path) -> None:
    old = touched(tmp_path / "old", "a.tif")
    table = tmp_path / "scenes.csv"
    table.write_text("scene,reference,dem\na.tif,b.tif,\n")
    scenes = list_scenes(str(table))
    assert scenes is not None
    with pytest.raises(SaroptError, match="gives reference in a column, and an option gives it too"):
        list_companions(str(table), scenes, {"reference": str(old)})
    assert list_companions(str(table), scenes, {"dem": str(old)})[scenes[0]]["dem"] == str(old / "a.tif")
    with pytest.raises(SaroptError, match=r"input='dem=.*b\.tif': must be a folder"):
        list_companions(str(table), scenes, {"dem": str(tmp_path / "b.tif")})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dem"], "input='dem': must be ROLE=FILE"),
        (["dem="], "input='dem=': must be ROLE=FILE"),
        (["heights=a.tif"], "heights is no role of an input: sar, optical, .*dem"),
        (["optical_reference=a.tif"], "optical_reference has an option of its own: --reference"),
        (["sar_reference=a.tif"], "sar_reference has an option of its own: --reference-sar"),
        (["dem=a.tif", "dem=b.tif"], "gives dem twice"),
    ],
)
def test_inputs_that_name_no_role_or_no_raster_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(SaroptError, match=message):
        inputs_by_role(words)


def test_folders_without_a_match_are_refused(tmp_path: Path) -> None:
    now, old = touched(tmp_path / "now", "a.tif"), touched(tmp_path / "old", "b.tif")
    scenes = [str(now / "a.tif")]
    with pytest.raises(SaroptError, match="no raster with the name of a scene"):
        list_companions(str(now), scenes, {"reference": str(old)})
    with pytest.raises(SaroptError, match="must be a folder with a raster for each scene"):
        list_companions(str(now), scenes, {"reference": str(old / "b.tif")})


def test_two_rasters_of_one_name_are_refused(tmp_path: Path) -> None:
    now, old = touched(tmp_path / "now", "a.tif"), touched(tmp_path / "old", "a.tif", "a.png")
    with pytest.raises(SaroptError, match=r"old: holds a\.png and a\.tif: which comes with .*/now/a\.tif\?"):
        list_companions(str(now), [str(now / "a.tif")], {"reference": str(old)})


def test_what_a_batch_does_not_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = reference_translator(tmp_path, fresh=True)
    decibels = np.random.default_rng(0).uniform(-20, -5, (1, 64, 64)).astype(np.float32)
    optical = np.random.default_rng(0).integers(20, 200, (3, 64, 64)).astype(np.uint8)
    for name in ("now/a", "now/optical_reference_2/a", "old/a", "old/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image, bands = (decibels, ["VH"]) if name == "now/a" else (optical, list(BANDS))
        write_array(tmp_path / f"{name}.tif", image, band_names=bands, georeference=GEOREFERENCE)
    (tmp_path / "now" / "gone.tif").symlink_to("nowhere.tif")
    given = ["translate", str(tmp_path / "now"), str(tmp_path / "out"), "--model", str(model)]
    assert main([*given, "--reference", str(tmp_path / "old")]) == 0
    errors = capsys.readouterr().err
    assert f"warning: {tmp_path}/now/optical_reference_2 is a folder: not used\n" in errors
    assert f"warning: {tmp_path}/now/gone.tif is no regular file: not used\n" in errors
    assert f"warning: {tmp_path}/old: 1 raster has the name of no scene (x.tif): not used\n" in errors


def test_a_table_is_translated_with_its_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = reference_translator(tmp_path, fresh=True)
    rng = np.random.default_rng(0)
    images = {name: rng.integers(20, 200, (3, 64, 64)).astype(np.uint8) for name in "ab"}
    (tmp_path / "now").mkdir()
    (tmp_path / "old").mkdir()
    for name, image in images.items():
        decibels = rng.uniform(-20, -5, (1, 64, 64)).astype(np.float32)
        write_array(tmp_path / "now" / f"{name}.tif", decibels, band_names=["VH"], georeference=GEOREFERENCE)
        write_array(tmp_path / "old" / f"{name}.tif", image, band_names=BANDS, georeference=GEOREFERENCE)
    (tmp_path / "scenes.csv").write_text("scene,reference\nnow/a.tif,old/a.tif\nnow/b.tif,\n")
    arguments = ["translate", str(tmp_path / "scenes.csv"), str(tmp_path / "out"), "--model", str(model)]
    assert main(arguments) == 0
    told = capsys.readouterr().err
    assert "warning: 1 of 2 scenes: no earlier optical image was given" in told
    assert "warning: 2 of 2 scenes: no earlier SAR image was given" in told
    radar = {}
    for name in "ab":
        with rasterio.open(tmp_path / "out" / f"{name}_origin.tif") as origin:
            radar[name] = origin.read(1)
    assert (radar["a"] == 0).all()
    assert (radar["b"] == 100).all()
    with rasterio.open(tmp_path / "out" / "a.tif") as made:
        assert np.array_equal(made.read(), images["a"])
    folders = ["translate", str(tmp_path / "now"), str(tmp_path / "both"), "--model", str(model)]
    assert main([*folders, "--reference", str(tmp_path / "old")]) == 0
    with rasterio.open(tmp_path / "both" / "b.tif") as made:
        assert np.array_equal(made.read(), images["b"])


def test_a_table_names_several_dates(tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    rows = "scene,reference_sar,reference\nnow.tif, a.tif ;https://x.org/b.tif;c.tif,x;y.tif\nlone.tif,a.tif,\n"
    table.write_text(rows, encoding="utf-8")
    scenes = list_scenes(str(table))
    assert scenes is not None
    place = str(tmp_path)
    assert list_companions(str(table), scenes, {}) == {
        scenes[0]: {
            "reference_sar": (f"{place}/a.tif", "https://x.org/b.tif", f"{place}/c.tif"),
            "reference": f"{place}/x;y.tif",
        },
        scenes[1]: {"reference_sar": f"{place}/a.tif"},
    }


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (";", "scenes.csv: has the cell ';' in the column reference_sar, which names no raster before or after ;"),
        ("a.tif;;b.tif", "names no raster before or after ;"),
        ("a.tif;b.tif;a.tif", r"scenes.csv: reference_sar='.*/a.tif': is given twice: a date counts once"),
    ],
)
def test_cells_of_no_date_and_of_one_twice_are_refused(cell: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "scenes.csv").write_text(f"scene,reference_sar\nnow.tif,{cell}\n", encoding="utf-8")
    with pytest.raises(SaroptError, match=message):
        list_scenes(str(tmp_path / "scenes.csv"))


def test_several_folders_are_several_dates(tmp_path: Path) -> None:
    now = touched(tmp_path / "now", "a.tif", "b.tif", "c.tif")
    scenes = [str(now / f"{name}.tif") for name in "abc"]
    may, june = touched(tmp_path / "may", "a.tif", "b.tif"), touched(tmp_path / "june", "b.tif", "x.tif")
    options = {"reference_sar": (str(may), str(june))}
    assert list_companions(str(now), scenes, options) == {
        scenes[0]: {"reference_sar": str(may / "a.tif")},
        scenes[1]: {"reference_sar": (str(may / "b.tif"), str(june / "b.tif"))},
        scenes[2]: {},
    }
    assert left_out(str(now), scenes, options) == [f"{june}: 1 raster has the name of no scene (x.tif): not used"]
    with pytest.raises(SaroptError, match="may': is given twice"):
        list_companions(str(now), scenes, {"reference_sar": (str(may), str(may))})


def test_a_table_is_translated_with_several_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Finished work of another list is refused, that of the same list is kept."""
    model = reference_translator(tmp_path, fresh=False)
    rng = np.random.default_rng(0)
    for name in ("now", "a", "b", "c"):
        decibels = rng.uniform(-20, -5, (1, 64, 64)).astype(np.float32)
        write_array(tmp_path / f"{name}.tif", decibels, band_names=["VH"], georeference=GEOREFERENCE)
    given = ["translate", str(tmp_path / "scenes.csv"), str(tmp_path / "out"), "--model", str(model)]
    (tmp_path / "scenes.csv").write_text("scene,reference_sar\nnow.tif,a.tif;b.tif\n")
    assert main(given) == 0
    with rasterio.open(tmp_path / "out" / "now.tif") as made:
        assert made.tags()["SAROPT_SAR_REFERENCE"] == "a.tif, b.tif"
        pixels = made.read()
    alone = ["translate", str(tmp_path / "now.tif"), str(tmp_path / "alone.tif"), "--model", str(model)]
    dates = [part for name in "ab" for part in ("--reference-sar", str(tmp_path / f"{name}.tif"))]
    assert main([*alone, *dates]) == 0
    with rasterio.open(tmp_path / "alone.tif") as made:
        assert np.array_equal(made.read(), pixels)
    assert main([*given, "--resume"]) == 0
    capsys.readouterr()
    for other in ("a.tif;b.tif;c.tif", "a.tif;c.tif", "a.tif"):
        (tmp_path / "scenes.csv").write_text(f"scene,reference_sar\nnow.tif,{other}\n")
        assert main([*given, "--resume"]) == 2
        assert "was made of another scene, by another translator or with other settings" in capsys.readouterr().err


def test_the_date_that_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = reference_translator(tmp_path, fresh=True)
    decibels = np.random.default_rng(0).uniform(-20, -5, (1, 64, 64)).astype(np.float32)
    far = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(1e4, 0))
    for name, values, bands, place in (
        ("now", decibels, ["VH"], GEOREFERENCE),
        ("old", decibels + 1, ["VH"], GEOREFERENCE),
        ("far", decibels, ["VH"], far),
        ("colours", np.repeat(decibels, 2, axis=0), ["B4", "B3"], GEOREFERENCE),
        ("power", 10 ** (decibels / 10), ["VH"], GEOREFERENCE),
    ):
        write_array(tmp_path / f"{name}.tif", values, band_names=bands, georeference=place)
    for wrong, message in (
        ("far.tif", "/far.tif: shares no ground with "),
        ("colours.tif", "/colours.tif: has 2 bands (B4, B3), not VH"),
        ("power.tif", "/power.tif: nothing states its units, and sigma0_db does not fit: "),
        ("gone.tif", "/gone.tif: no such file"),
        ("old.tif", "/old.tif: is given twice: a date counts once"),
    ):
        given = ["translate", str(tmp_path / "now.tif"), str(tmp_path / "out.tif"), "--model", str(model)]
        dates = [part for name in ("old.tif", wrong) for part in ("--reference-sar", str(tmp_path / name))]
        assert main([*given, *dates]) == 2
        told = capsys.readouterr().err
        assert (told.count("\n"), message in told) == (1, True), told
        assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(
    ("lines", "out", "words"),
    [
        ("{0}?sig=SECRET1\n{1}?sig=SECRET2", "out", "/g/a.tif: has the same name as https://127.0.0.1:9/f/a.tif: both"),
        ("https://u:SECRET@127.0.0.1/a.tif\n{1}", "out", "has the same name as https://127.0.0.1/a.tif: both"),
        ("scene,reference_sar\n{0},{1}?sig=SECRET;;", "out", "has the cell 'https://127.0.0.1:9/g/a.tif;;' in"),
        ("{0}", "https://127.0.0.1:9/out?sig=SECRET", "127.0.0.1:9/out: outputs go to a local folder"),
    ],
)
def test_lines_about_addresses_hold_no_secret(
    lines: str,
    out: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = Path("scenes.csv" if lines.startswith("scene,") else "scenes.txt")
    listed.write_text(lines.format("https://127.0.0.1:9/f/a.tif", "https://127.0.0.1:9/g/a.tif"))
    assert main(["translate", str(listed), out, "--model", "s1-world"]) == 2
    told = capsys.readouterr().err
    assert (told.count("\n"), "SECRET" in told, words in told) == (1, False, True), told


HYP3, OPERA = "S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B", "OPERA_L2_RTC-S1_T001-000001-IW1_20230610T050000Z_v1.0"


@pytest.mark.parametrize(
    ("product", "others"),
    [
        (
            HYP3,
            [
                *(f"{HYP3}_{name}.tif" for name in ("dem", "inc_map", "inc_map_ell", "ls_map", "rgb", "area")),
                *(f"{HYP3}{name}.png" for name in ("", "_rgb", "_thumb", "_rgb_thumb")),
            ],
        ),
        (
            OPERA,
            [
                *(f"{OPERA}_{name}.tif" for name in ("mask", "layover_shadow_mask", "local_incidence_angle")),
                *(f"{OPERA}_{name}.png" for name in ("BROWSE", "BROWSE_low-res")),
                "OPERA_L2_RTC-S1-STATIC_T001_v1.0_incidence_angle.tif",
            ],
        ),
    ],
)
def test_of_a_folder_of_a_product_the_backscatter_is_taken(product: str, others: list[str], tmp_path: Path) -> None:
    folder = touched(tmp_path / "now", f"{product}_VV.tif", f"{product}_VH.tif", *others, "a_dem.tif", "mask.tif")
    taken = [str(folder / name) for name in sorted([f"{product}_VV+VH.tif", "a_dem.tif", "mask.tif"])]
    for given in (str(folder), f"{folder}/*"):
        scenes = list_scenes(given)
        assert sorted(scenes or []) == taken
        lines = left_out(given, scenes or [], {})
        assert len(lines) == 1
        assert f": {len(others)} rasters (" in lines[0]
        assert "beside the backscatter of a product, such as angles and masks: not used" in lines[0]
    for part in ("VV", "VH"):
        (folder / f"{product}_{part}.tif").unlink()
    alone = sorted(["a_dem.tif", "mask.tif", *(name for name in others if "STATIC" not in name)])
    assert list_scenes(str(folder)) == [str(folder / name) for name in alone]


def test_a_folder_of_a_product_is_one_scene_alone_and_among_others(tmp_path: Path) -> None:
    product = touched(tmp_path / HYP3, *(f"{HYP3}_{name}.tif" for name in ("VV", "VH", "dem")))
    touched(tmp_path, "a.tif")
    assert list_scenes(str(product)) is None
    scenes = list_scenes(str(tmp_path))
    assert scenes == [str(product), str(tmp_path / "a.tif")]
    assert left_out(str(tmp_path), scenes, {}) == []
    jobs, _ = plan_jobs(scenes, tmp_path / "out")
    assert [Path(job.out).name for job in jobs] == [f"{HYP3}.tif", "a.tif"]


@pytest.mark.parametrize("earlier", [("p/p_VV.tif", "p/p_VH.tif"), ("p_VV.tif", "p_VH.tif")])
def test_products_come_with_products(earlier: tuple[str, str], tmp_path: Path) -> None:
    now, old = touched(tmp_path / "now", "p_VV.tif", "p_VH.tif"), touched(tmp_path / "old", *earlier)
    scenes = list_scenes(str(now)) or []
    found = list_companions(str(now), scenes, {"reference_sar": str(old)})
    both = str(old / ("p" if earlier[0][1] == "/" else "p_VV+VH.tif"))
    assert found == {str(now / "p_VV+VH.tif"): {"reference_sar": both}}
    assert left_out(str(now), scenes, {"reference_sar": str(old)}) == []
    (now / "p_VH.tif").unlink()
    if both.endswith(".tif"):
        scenes = list_scenes(str(now)) or []
        found = list_companions(str(now), scenes, {"reference_sar": str(old)})
        assert found == {str(now / "p_VV.tif"): {"reference_sar": str(old / "p_VV.tif")}}
        lines = left_out(str(now), scenes, {"reference_sar": str(old)})
        assert lines == [f"{old}: 1 raster has the name of no scene (p_VH.tif): not used"]


def test_translations_do_not_replace_a_file_of_a_product(tmp_path: Path) -> None:
    folder = touched(tmp_path / "now", "p_VV.tif", "p_VH.tif", "x/p_VV.tif")
    with pytest.raises(SaroptError, match="is a scene that a translation would replace"):
        plan_jobs([str(folder / "p_VV+VH.tif"), str(folder / "x" / "p_VV.tif")], folder)


def test_nothing_but_auxiliary_rasters_and_slc_products(tmp_path: Path) -> None:
    with pytest.raises(SaroptError, match="holds no backscatter"):
        list_scenes(str(touched(tmp_path / "static", "OPERA_L2_RTC-S1-STATIC_T001_v1.0_mask.tif")))
    slc = touched(tmp_path / "S1A_IW_SLC__1SDV_20230610T050000.SAFE", "manifest.safe")
    for given in (slc, slc / "manifest.safe"):
        with pytest.raises(SaroptError, match="is a Sentinel-1 SLC product, which is not taken: give the GRD product"):
            list_scenes(str(given))


def test_a_folder_gives_its_scenes_of_all_formats(tmp_path: Path) -> None:
    rasters = ["a.tif", "b.nc", "c.img", "d", "e.dat", "f.cos", "g.jp2"]
    beside = ["c.hdr", "d.hdr", "e.dat.hdr", "c.prj", "h.img", "notes.txt"]
    folder = touched(tmp_path / "now", *rasters, *beside)
    assert list_scenes(str(folder)) == [str(folder / name) for name in rasters]
    scenes = [str(folder / "c.img")]
    old = touched(tmp_path / "old", "c.dat", "c.hdr")
    assert list_companions(str(folder), scenes, {"reference": str(old)}) == {
        scenes[0]: {"reference": str(old / "c.dat")}
    }
