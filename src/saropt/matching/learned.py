"""A trained matcher: a matcher file, loaded (needs torch)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saropt.artifacts import MatcherCard, load_matcher, load_matcher_module
from saropt.errors import InputError
from saropt.inference.runtimes import torch_device
from saropt.matching.features import Features, Image, Mask, surrounded

if TYPE_CHECKING:
    from saropt.networks import KeypointCNN

MATCHER_FILE = "matcher.safetensors"
THRESHOLD = 0.015
_APART = 6


class LearnedMatcher:
    """A matcher file. Use `LearnedMatcher.load`.

    Keypoints are pixels of probability above .015 that are the largest within 6 pixels (XPoint's boxes of 8 pixels that
    may share a tenth); descriptors are read between cells bilinearly.
    """

    ratio = None

    def __init__(self, card: MatcherCard, network: KeypointCNN, device: str) -> None:
        self.card = card
        self.name = card.name
        self.margin = -(-card.receptive_field // 16) * 8
        self._network = network.to(device).eval()
        self._device = device

    @classmethod
    def load(cls, model: str | Path, device: str = "auto") -> LearnedMatcher:
        """Load a matcher file, or the matcher of a run folder.

        Raises:
            InputError: no such file, or one that cannot be used, such as a translator.
            MissingExtraError: torch is not installed.
        """
        path = Path(model)
        if path.is_dir():
            path = path / MATCHER_FILE
            if not path.is_file():
                raise InputError(model, f"is a folder without {MATCHER_FILE}")
        card, weights = load_matcher(path)
        chosen = torch_device(path, "matcher", device, None)
        network = load_matcher_module(path, card, weights)
        return cls(card, network, chosen)  # type: ignore[arg-type]

    def detect(self, image: Image, valid: Mask, limit: int) -> Features:
        """See `Matcher`; descriptors have length 256."""
        return extract(self._network, image, valid, limit, self._device)


def standardised(image: Image, valid: Mask) -> Image:
    """An image (h, w) of mean 0 and standard deviation 1 over its valid pixels, 0 elsewhere.

    >>> standardised(np.array([[1.0, 3.0, 9.0]], np.float32), np.array([[True, True, False]])).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    if not valid.any():
        return np.zeros_like(image)
    values = image[valid]
    spread = max(float(values.std()), 1e-6)
    return np.where(valid, (image - values.mean()) / spread, 0.0).astype(np.float32)


def extract(network: KeypointCNN, image: Image, valid: Mask, limit: int, device: str) -> Features:
    """The `limit` strongest keypoints of an image (h, w) and their descriptors.

    Keypoints whose receptive field is not wholly inside the image and valid are left out: what lies outside would tell
    the network where it looks.

    >>> from saropt.networks import KeypointCNN
    >>> image = np.random.default_rng(0).random((160, 160)).astype(np.float32)
    >>> found = extract(KeypointCNN(width=8).eval(), image, np.ones((160, 160), bool), limit=5, device="cpu")
    >>> len(found)
    5
    """
    import torch
    from torch.nn import functional

    from saropt.networks import heat_map

    height, width = image.shape
    below, right = (max(16, -(-size // 8) * 8) - size for size in (height, width))
    padded = np.pad(standardised(image, valid), ((0, below), (0, right)))
    inside = torch.from_numpy(surrounded(valid, network.receptive_field // 2)).to(device)
    with torch.inference_mode():
        _, logits, descriptors = network(torch.from_numpy(padded)[None, None].to(device))
        heat = heat_map(logits)
        peaks = heat == functional.max_pool2d(heat, 2 * _APART + 1, stride=1, padding=_APART)
        kept = (peaks & (heat > THRESHOLD))[0, 0, :height, :width] & inside
        rows, columns = kept.nonzero(as_tuple=True)
        order = heat[0, 0, rows, columns].argsort(descending=True, stable=True)[:limit]
        points = torch.stack([columns[order], rows[order]], dim=1) + 0.5
        size = torch.tensor(padded.shape[::-1], device=device)
        read = functional.grid_sample(descriptors, (points / size * 2.0 - 1.0)[None, None], align_corners=False)
        described = functional.normalize(read[0, :, 0], dim=0).T
    return Features(points.cpu().numpy().astype(np.float64), described.cpu().numpy())
