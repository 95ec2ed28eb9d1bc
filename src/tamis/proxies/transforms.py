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


def soft_index(
    u: torch.Tensor, threshold: float = 0.5, width: float = 0.5, leak: float = 0.0
) -> torch.Tensor:
    """Quantization index of `u`, with the gradient of what an encoder does on average.

    The identity, the usual stand-in for the gradient of rounding, promises that any change of a
    coefficient arrives at the decoder. A filter trained on it amplifies what is rounded to zero
    anyway. Here the slope is that of rounding under a dither: zero deep inside a bin, `1 / width`
    around its border.

    Args:
        u: coefficients divided by their step.
        threshold: fractional part above which the magnitude is rounded up.
        width: of the dither, in steps.
        leak: share of the identity mixed in; lets an optimiser of one picture cross a bin.
    """
    size = u.abs()
    floor = size.floor().detach()
    soft = floor + _rise(size - floor, threshold, width)
    soft = (1 - leak) * soft + leak * size
    hard = floor + (size - floor > threshold)
    return u.sign() * (soft + (hard - soft).detach())


def index_bits(
    u: torch.Tensor, knee: float, threshold: float = 0.5, width: float = 0.5
) -> torch.Tensor:
    """Bits of the index of `u` in units of its logarithm, averaged over the same dither.

    An index n costs `log2(1 + (n / knee)^2) / 2`: nothing for zero, a bit per doubling for large
    ones, as the magnitude categories of Huffman and Exp-Golomb codes. Between two indices the
    cost goes from one to the other where rounding does, so pixels hidden below a quantization
    step cost nothing and have no gradient.
    """
    size = u.abs()
    floor = size.floor().detach()
    below, above = _log_magnitude(floor, knee), _log_magnitude(floor + 1, knee)
    return below + _rise(size - floor, threshold, width) * (above - below)


def _rise(fraction: torch.Tensor, threshold: float, width: float) -> torch.Tensor:
    return ((fraction - threshold) / width + 0.5).clamp(0, 1)


def _log_magnitude(index: torch.Tensor, knee: float) -> torch.Tensor:
    return torch.log1p((index / knee).square()) * (0.5 / math.log(2))
