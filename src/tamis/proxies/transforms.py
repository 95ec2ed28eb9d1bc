"""Differentiable pieces of a block codec: colour, chroma planes, block DCT, rounding, bits."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

_RGB_TO_YCBCR = torch.tensor(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ]
)


def rgb_to_ycbcr(x: torch.Tensor) -> torch.Tensor:
    """Full-range BT.601 as in JFIF: RGB `(N, 3, H, W)` to Y in its range, Cb and Cr around zero."""
    return torch.einsum("kc,nchw->nkhw", _RGB_TO_YCBCR.to(x), x)


def ycbcr_to_rgb(x: torch.Tensor) -> torch.Tensor:
    """Inverse of `rgb_to_ycbcr`."""
    return torch.einsum("kc,nchw->nkhw", torch.linalg.inv(_RGB_TO_YCBCR).to(x), x)


def pad_to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the right and bottom edge until both sides are multiples, as encoders do."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def upsample(plane: torch.Tensor) -> torch.Tensor:
    """Twice the size by the triangle filter of libjpeg's fancy upsampling, `(N, C, H, W)`."""
    return F.interpolate(plane, scale_factor=2, mode="bilinear", align_corners=False)


@lru_cache
def dct_basis(size: int) -> torch.Tensor:
    """Orthonormal two-dimensional DCT-II of `size` x `size` blocks as a square matrix."""
    k = torch.arange(size, dtype=torch.float64)
    line = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * size)) * math.sqrt(2 / size)
    line[0] /= math.sqrt(2)
    return torch.kron(line, line).to(torch.float32)


def block_dct(plane: torch.Tensor, size: int) -> torch.Tensor:
    """`(N, 1, H, W)` to coefficients `(N, size^2, H / size, W / size)`, row frequency first."""
    blocks = F.pixel_unshuffle(plane, size)
    return F.conv2d(blocks, dct_basis(size).to(plane)[:, :, None, None])


def inverse_block_dct(coefficients: torch.Tensor, size: int) -> torch.Tensor:
    """Inverse of `block_dct`."""
    basis = dct_basis(size).to(coefficients).T.contiguous()
    return F.pixel_shuffle(F.conv2d(coefficients, basis[:, :, None, None]), size)


def straight_through_round(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer; the gradient is that of the identity."""
    return x + (x.round() - x).detach()


def log_magnitude(x: torch.Tensor, knee: float) -> torch.Tensor:
    """Soft count of the bits of quantization indices `x`: `log2(1 + (x / knee)^2) / 2`.

    Quadratic below the knee, where an index is on its way to zero, and one bit per doubling
    above it, as the magnitude categories of Huffman and Exp-Golomb codes.
    """
    return torch.log1p((x / knee).square()) * (0.5 / math.log(2))
