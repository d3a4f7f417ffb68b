"""SIFT and the RIFT-like matcher on images whose relation is known."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.errors import InputError
from saropt.matching import RiftLike, Sift, find_matcher, match_pair
from saropt.matching.correspondence import mutual_matches
from saropt.matching.phase_congruency import phase_congruency

MATCHERS = [Sift(), RiftLike(48)]


@pytest.fixture(params=MATCHERS, ids=lambda matcher: matcher.name)
def matcher(request: pytest.FixtureRequest):
    return request.param


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, bool)


def test_an_image_matches_itself(matcher, texture: np.ndarray) -> None:
    found = match_pair(matcher, texture, texture, everywhere(texture), 200)
    assert found.keypoints > 100
    assert found.correct.mean() > 0.99


def test_a_cut_out_is_found_where_it_was(matcher, texture: np.ndarray) -> None:
    whole, part = (matcher.detect(i, everywhere(i), 400) for i in (texture, texture[64:320, 40:296]))
    pairs = mutual_matches(whole, part, 0.8 if matcher.name == "sift" else None, None)
    apart = np.linalg.norm(whole.points[pairs[:, 0]] - part.points[pairs[:, 1]] - (40, 64), axis=1)
    assert len(pairs) > 80
    assert (apart < 0.5).mean() > 0.7


def test_rift_does_not_mind_the_sign_of_contrast(texture: np.ndarray) -> None:
    bent = 1.0 - texture**0.5
    rift, sift = (match_pair(m, texture, bent, everywhere(texture), 300).correct for m in (RiftLike(48), Sift()))
    assert rift.mean() > 0.9
    assert sift.mean() < 0.3


def test_the_rift_descriptor_by_naive_loops(texture: np.ndarray) -> None:
    matcher = RiftLike(48)
    found = matcher.detect(texture, everywhere(texture), 10)
    strongest = phase_congruency(texture).strongest
    for point, descriptor in zip(found.points, found.descriptors, strict=True):
        column, row = (int(value) for value in point)
        counts = []
        for orientation in range(6):
            for cell_row in range(6):
                for cell_column in range(6):
                    top, left = row - 24 + 8 * cell_row, column - 24 + 8 * cell_column
                    counts.append((strongest[top : top + 8, left : left + 8] == orientation).sum())
        assert np.allclose(descriptor, np.array(counts) / np.linalg.norm(counts), atol=1e-6)


def test_limit_and_validity(matcher, texture: np.ndarray) -> None:
    valid = everywhere(texture)
    valid[:, :200] = False
    hidden = np.where(valid, texture, 7.0)
    found = matcher.detect(hidden, valid, 50)
    assert 10 < len(found) <= 50
    assert (found.points[:, 0] > 200).all()
    assert found.descriptors.dtype == np.float32


@pytest.mark.parametrize("image", [np.full((128, 128), 0.3, np.float32), np.zeros((9, 7), np.float32)])
def test_nothing_to_find(matcher, image: np.ndarray) -> None:
    found = matcher.detect(image, everywhere(image), 50)
    assert len(found) == 0
    assert found.descriptors.shape[0] == 0
    assert len(matcher.detect(image, ~everywhere(image), 50)) == 0


def test_names(tmp_path) -> None:
    assert find_matcher("sift").name == "sift"
    assert find_matcher("rift").name == "rift-like"
    with pytest.raises(InputError, match=r"neither a matcher file nor a registered matcher \(rift, sift"):
        find_matcher(tmp_path / "orb")
    with pytest.raises(ValueError, match="multiple of 6"):
        RiftLike(50)
