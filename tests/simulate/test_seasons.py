"""Seasons, clouds, changed fields, quad-polarised covariance, speed, and sameness over processors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from saropt.simulate import COVER_INDEX, COVERS, SEASONS, SceneConfig, covers_of, quad_pol_covariance, simulate_scene
from saropt.simulate.polarimetric import _KINDS

DIGEST = "8053fffea0f00e5ef20bf1054a6cc12b83065255e8b3ac1359c33ca41aa0d546"


def eight_bit_digest() -> str:
    """Of the 8-bit images of small scenes, without and with everything switched on."""
    total = hashlib.sha256()
    for config in (SceneConfig(), SceneConfig(season="summer", clouds=0.2, change=0.4)):
        scene = simulate_scene(96, 7, config=config)
        decibels = np.clip((10 * np.log10(scene.sigma0, dtype=np.float64) + 30) * 8, 0, 255)
        for image in (decibels, scene.optical * 255, scene.label, scene.cover, scene.hidden, scene.changed):
            total.update(np.rint(image).astype(np.uint8).tobytes())
    return total.hexdigest()


def test_eight_bit_images_are_pinned():
    assert eight_bit_digest() == DIGEST


@pytest.mark.parametrize("kept", [0, 1])
def test_other_processors_give_the_same_eight_bits(kept):
    """numpy picks its loops by the processor; without those for newer ones the images stay the same."""
    features = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)][kept:]
    if not features:
        pytest.skip("this processor has nothing to do without")
    code = (
        "import importlib.util, sys; s = importlib.util.spec_from_file_location('m', sys.argv[1]);"
        "m = importlib.util.module_from_spec(s); s.loader.exec_module(m); print(m.eight_bit_digest());"
        "print(*[n for n, v in m.__cpu_features__.items() if v])"
    )
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(features)}
    command = [sys.executable, "-c", code, __file__]
    done = subprocess.run(command, capture_output=True, env=environment, check=False, text=True)
    digest, left = done.stdout.splitlines()
    assert not set(features) & set(left.split())
    assert digest == DIGEST


def test_seasons_change_what_grows_and_nothing_else():
    scenes = {season: simulate_scene(256, 3, config=SceneConfig(season=season)) for season in SEASONS}
    autumn = scenes["autumn"]
    assert covers_of("autumn") == COVERS
    for season in ("spring", "summer", "winter"):
        np.testing.assert_array_equal(scenes[season].label, autumn.label)
        same = np.isin(autumn.cover, [COVER_INDEX["sea"], COVER_INDEX["roof"]])
        np.testing.assert_allclose(
            scenes[season].sigma0_clean[:, same].mean(), autumn.sigma0_clean[:, same].mean(), rtol=0.05
        )
        grown = autumn.cover == COVER_INDEX["ploughed field"]
        assert abs(scenes[season].optical[:, grown].mean() - autumn.optical[:, grown].mean()) > 0.01
        for cover in covers_of(season):
            assert -24 <= cover.vh_db <= -6 or cover.label in (1, 5)
            assert cover.vh_db < cover.vv_db
    crop = autumn.cover == COVER_INDEX["green crop"]
    greenness = {s: (one.optical[1] - one.optical[0])[crop].mean() for s, one in scenes.items()}
    assert greenness["spring"] > greenness["winter"]
    with pytest.raises(ValueError, match="monsoon"):
        SceneConfig(season="monsoon")


def test_clouds_cover_their_share_and_hide_the_ground():
    clear, cloudy = (simulate_scene(256, 5, config=SceneConfig(clouds=share)) for share in (0.0, 0.25))
    np.testing.assert_array_equal(clear.sigma0, cloudy.sigma0)
    np.testing.assert_array_equal(clear.label, cloudy.label)
    assert not clear.hidden.any()
    white = cloudy.optical.min(axis=0) > clear.optical.min(axis=0) + 0.05
    assert 0.1 < white.mean() < 0.3
    assert 0.2 < cloudy.hidden.mean() < 0.6
    np.testing.assert_allclose(cloudy.optical[:, ~cloudy.hidden], clear.optical[:, ~cloudy.hidden], atol=0.2)
    darker = cloudy.hidden & (cloudy.optical.mean(axis=0) < 0.8 * clear.optical.mean(axis=0))
    assert darker.mean() > 0.03
    assert 0 <= cloudy.optical.min() <= cloudy.optical.max() <= 1


def test_changed_fields_are_whole_fields_of_the_optical_image():
    config = {"fields": 0.6, "commerce": 0.1, "hills": 0.1}
    before = simulate_scene(256, 6, config=SceneConfig(**config))
    after = simulate_scene(256, 6, config=SceneConfig(**config, change=0.5))
    np.testing.assert_array_equal(before.sigma0, after.sigma0)
    np.testing.assert_array_equal(before.label, after.label)
    crops = np.isin(before.cover, [COVER_INDEX[name] for name in ("ploughed field", "green crop", "stubble field")])
    assert (after.changed & ~crops).sum() == 0
    assert after.changed[crops].mean() == pytest.approx(0.5, abs=0.2)
    moved = np.abs(after.optical - before.optical).max(axis=0)
    assert moved[after.changed].mean() > 5 * moved[~after.changed].mean()


@pytest.mark.parametrize("looks", [1, 6])
def test_covariance_has_the_powers_coherence_and_phase_of_its_covers(looks):
    scene = simulate_scene(400, 2, config=SceneConfig(psf_px=0.0))
    c3 = quad_pol_covariance(scene, looks)
    for name in ("sea", "forest", "houses"):
        here = scene.cover == COVER_INDEX[name]
        vv, vh = scene.sigma0_clean[:, here].mean(axis=1, dtype=np.float64)
        ratio, coherence, phase = _KINDS[name]
        c11, c22, c33, c13 = (c3[key][here].mean(dtype=np.complex128) for key in ("C11", "C22", "C33", "C13"))
        assert c33.real == pytest.approx(vv, rel=0.06)
        assert c22.real == pytest.approx(2 * vh, rel=0.06)
        assert c11.real == pytest.approx(vv * 10 ** (ratio / 10), rel=0.06)
        found = c13 / np.sqrt(c11 * c33)
        assert abs(found) == pytest.approx(coherence, abs=0.05)
        assert abs(np.rad2deg(np.angle(found * np.exp(-1j * np.deg2rad(phase))))) < 6
    sea = scene.cover == COVER_INDEX["sea"]
    ratio = c3["C33"][sea] / scene.sigma0_clean[0][sea]
    assert 1 / ratio.var(dtype=np.float64) == pytest.approx(looks, rel=0.15)
    assert (np.abs(c3["C13"]) ** 2 <= c3["C11"] * c3["C33"] * 1.001).all()
    with pytest.raises(ValueError, match="whole number"):
        quad_pol_covariance(scene, 0)


@pytest.mark.slow
def test_four_megapixels_in_five_seconds_of_two_cores():
    start = time.process_time()
    simulate_scene(2048, 0)
    assert time.process_time() - start < 10.0
