"""Simulated speckle on translations to SAR."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from scipy import stats

from saropt.cli import main
from saropt.errors import OptionError
from saropt.inference import LoadOptions, TranslateOptions, Translator
from saropt.radiometry import position_speckle_db
from saropt.scenes import SceneWriter

LOOKS = 6.0


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A grey scene that varies slowly, (3, 300, 420) uint8."""
    rows, columns = np.mgrid[:300, :420]
    shade = 120 + 40 * np.sin(rows / 70) + 20 * np.cos(columns / 90)
    values = np.stack([shade, shade + 5, shade - 5]).astype(np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.tif"
    with SceneWriter(path, width=420, height=300, band_names=["B4", "B3", "B2"], dtype="uint8") as writer:
        writer.write(0, 0, values)
        writer.finish()
    return path


def read(path):
    with rasterio.open(path) as made:
        return made.read().astype(np.float64), made.tags()


@pytest.mark.parametrize("looks", [1.0, 4.6, 30.0])
def test_the_speckle_is_gamma_distributed_and_correlated(looks):
    gain = position_speckle_db(5, 1, looks, 0, 0, 600, 600)[0].astype(np.float64)
    intensity = 10.0 ** (gain / 10.0)
    assert intensity.mean() == pytest.approx(1.0, abs=0.02)
    apart = intensity[::5, ::5].ravel()
    assert stats.kstest(apart, stats.gamma(looks, scale=1 / looks).cdf).statistic < (0.02 if looks > 2 else 0.03)
    normal = np.cbrt(intensity)
    centred = normal - normal.mean()
    assert (centred[1:] * centred[:-1]).mean() / centred.var() == pytest.approx(2 / 3, abs=0.03)
    window = position_speckle_db(5, 1, looks, 37, 101, 40, 50)[0]
    assert np.array_equal(window, gain[37:77, 101:151].astype(np.float32))


def test_a_scene_has_the_looks_at_any_tile_size(photo, tmp_path):
    smooth = Translator.load("losangeles-s1", realism=0.0)
    rough = Translator.load("losangeles-s1", realism=0.0, speckle=LOOKS)
    plain, _ = read(smooth.translate(photo, tmp_path / "plain.tif"))
    small, tags = read(rough.translate(photo, tmp_path / "small.tif", tile=128))
    large, _ = read(rough.translate(photo, tmp_path / "large.tif", tile=512))
    other, _ = read(rough.translate(photo, tmp_path / "other.tif", seed=1))
    assert np.array_equal(small, large)
    assert not np.array_equal(small, other)
    ratio = (large / plain) ** 2
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert 1.0 / ratio.var() == pytest.approx(LOOKS, rel=0.1)
    assert (tags["SAROPT_SPECKLE_LOOKS"], tags["SAROPT_SEED"]) == ("6", "0")


def test_what_cannot_have_speckle_says_so(tmp_path, photo):
    with pytest.raises(OptionError, match="speckle='6': s1-losangeles makes no SAR image"):
        Translator.load("s1-losangeles", speckle=LOOKS)
    with pytest.raises(OptionError, match="the reliability holds for the image without speckle"):
        Translator.load("losangeles-s1", speckle=LOOKS, reliability=True)
    with pytest.raises(OptionError, match="must be a number of looks"):
        LoadOptions(speckle=float("nan"))
    with pytest.raises(OptionError, match="it draws no samples"):
        Translator.load("losangeles-s1", speckle=LOOKS).translate(photo, tmp_path / "two.tif", samples=2)
    asked = ["translate", str(photo), str(tmp_path / "out.tif"), "--model", "s1-losangeles", "--speckle", "4"]
    assert main(asked) == 2
    assert not (tmp_path / "out.tif").exists()


def test_a_resumed_run_knows_the_speckle(photo, tmp_path):
    """Another number of looks is other work."""
    out = tmp_path / "out.tif"
    six = Translator.load("losangeles-s1", speckle=LOOKS)
    six.translate(photo, out)
    made = {
        model: model.look(photo, out, TranslateOptions()).is_complete
        for model in (six, Translator.load("losangeles-s1"))
    }
    assert list(made.values()) == [True, False]
