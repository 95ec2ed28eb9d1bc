"""The proxy contract: a differentiable stand-in for a codec."""

from typing import Protocol

import torch


class Proxy(Protocol):
    """`(x, quality) -> (x_hat, bpp)`, differentiable in `x`.

    `x` and `x_hat` are `float32 (N, 3, H, W)` in [0, 1]; `bpp` is `(N,)`, bits per source pixel.
    """

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `x` and estimate its rate as the codec would at `quality`."""
        ...
