"""What a learned codec is trained for: rate plus lambda times distortion."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from tamis.learned.models import Output
from tamis.training.codec_recipe import SMALLEST_MS_SSIM

Metric = Literal["mse", "ms-ssim"]


class Cost(NamedTuple):
    """Of a batch, each the mean over its pictures, without dimensions.

    Attributes:
        loss: what is minimised, in bpp.
        bpp: rate by the likelihoods.
        mse: squared error, pixels in [0, 1].
    """

    loss: torch.Tensor
    bpp: torch.Tensor
    mse: torch.Tensor


class CodecObjective:
    """`R + lambda 255^2 MSE` (Ballé 2018, section 6.1) or `R + lambda (1 - MS-SSIM)`.

    The same for `reduction`: its rate sees detached latents, so that it teaches the densities and
    nothing else.

    Args:
        metric: the distortion.
        price: lambda.
    """

    def __init__(self, metric: Metric, price: float) -> None:
        self.metric = metric
        self.price = price

    def __call__(self, output: Output, x: torch.Tensor) -> Cost:
        """Cost of `output` for `x`, `(N, 3, H, W)` in [0, 1]."""
        bpp = output.bpp.mean()
        mse = (output.x_hat - x).square().mean()
        distortion = 255**2 * mse if self.metric == "mse" else 1 - ms_ssim(output.x_hat, x)
        return Cost(bpp + self.price * distortion, bpp, mse)


def ms_ssim(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multi-scale structural similarity of `(N, 3, H, W)` in [0, 1], the mean over pictures.

    Negative similarities of a scale, which an untrained model has, count as zero: their powers
    are not real numbers. A picture too small for the fifth scale is continued by its mirror image.
    """
    x_hat, x = _mirrored(x_hat), _mirrored(x)
    return torch.as_tensor(
        multiscale_structural_similarity_index_measure(x_hat, x, data_range=1.0, normalize="relu")
    )


def _mirrored(x: torch.Tensor) -> torch.Tensor:
    for axis in (2, 3):
        length = x.shape[axis]
        if length < SMALLEST_MS_SSIM:
            mirror = np.pad(np.arange(length), (0, SMALLEST_MS_SSIM - length), "symmetric")
            x = x.index_select(axis, torch.from_numpy(mirror).to(x.device))
    return x
