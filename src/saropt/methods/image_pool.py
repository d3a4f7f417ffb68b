"""The history of generated images that discriminators are shown (Shrivastava et al., CVPR 2017, section 2.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class ImagePool(nn.Module):
    """While it is not full, the pool keeps and returns what it gets; then each image has an even chance to be swapped
    for a random kept one, which is returned in its place.

    Processes that train together share one pool: each sees the images of all, in the order of ranks, and takes the
    same decisions, so that every process holds the state that a checkpoint needs.

    Args:
        size: images kept; 0 returns what comes in.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.images: list[Tensor] = []
        self.random = torch.Generator().manual_seed(int(torch.randint(2**62, ())))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), some of them replaced by earlier ones; no gradient flows."""
        images = images.detach()
        if self.size == 0:
            return images
        everyone = [images]
        if distributed.is_available() and distributed.is_initialized():
            everyone = [torch.empty_like(images) for _ in range(distributed.get_world_size())]
            distributed.all_gather(everyone, images.contiguous())
        returned = [torch.stack([self._exchange(image) for image in part]) for part in everyone]
        return returned[distributed.get_rank() if len(everyone) > 1 else 0]

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if torch.rand((), generator=self.random) < 0.5:
            return image
        place = int(torch.randint(self.size, (), generator=self.random))
        kept, self.images[place] = self.images[place], image.clone()
        return kept

    def get_extra_state(self) -> dict[str, Tensor]:
        images = torch.stack(self.images) if self.images else torch.empty(0)
        return {"images": images, "random": self.random.get_state()}

    def set_extra_state(self, state: Any) -> None:
        self.images = [image.clone() for image in state["images"]]
        self.random.set_state(state["random"].cpu())
