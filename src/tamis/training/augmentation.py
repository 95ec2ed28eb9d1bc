"""One random shift, zoom and flip for the original and the decoded picture alike.

A gain that only holds on the exact pixel grid of one network is written to that network. The
tasks therefore see both pictures moved by the same amount, after coding, so that the codec's own
grid is untouched (`LEADS`: the difference between 0.56 and 0.26 nats on an unseen network).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tamis.training.recipe import AugmentationRecipe


class Augmentation:
    """A drawn augmentation of N pictures; call it on every tensor that must match.

    Args:
        matrices: `(N, 2, 3)`, affine maps from output to input coordinates in [-1, 1].
    """

    def __init__(self, matrices: Tensor) -> None:
        self.matrices = matrices

    @classmethod
    def draw(
        cls, recipe: AugmentationRecipe, count: int, rng: np.random.Generator
    ) -> "Augmentation":
        """Draw zoom, shift and flip for `count` pictures."""
        zoom = 1 + rng.uniform(-recipe.scale, recipe.scale, count)
        # A shift by a part of the side is twice that in coordinates that run from -1 to 1.
        shift = 2 * rng.uniform(-recipe.shift, recipe.shift, (count, 2))
        mirror = np.where(rng.random(count) < (0.5 if recipe.flip else 0), -1, 1)
        matrices = np.zeros((count, 2, 3), dtype=np.float32)
        matrices[:, 0, 0] = mirror * zoom
        matrices[:, 1, 1] = zoom
        matrices[:, :, 2] = shift
        return cls(torch.from_numpy(matrices))

    def __call__(self, x: Tensor) -> Tensor:
        """Move `x`, `(N, 3, H, W)`; what comes from outside the picture is mirrored in."""
        size = list(x.shape)
        grid = F.affine_grid(self.matrices.to(x.device), size, align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
