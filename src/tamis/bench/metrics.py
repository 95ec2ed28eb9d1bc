"""What the decoded picture lost pixel by pixel: PSNR, SSIM and MS-SSIM, per image, over RGB."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.tasks.base import Measure

PIXEL_MEASURES: dict[str, Measure] = {
    "psnr": Measure(True, True, "PSNR (dB)"),
    "ms_ssim": Measure(True, True, "MS-SSIM"),
}

SIMILARITIES = ("ssim", "ms_ssim", "fsim")
"""Measures that saturate at 1: what is compared is their distance from it."""

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MS_SSIM_MIN_SIDE = (_TAPS - 1) * 2 ** (len(_WEIGHTS) - 1) + 1
"""The fifth scale must still hold one whole window: 161 pixels."""


def psnr(image: Image, source: Image) -> float:
    """Peak signal-to-noise ratio in dB of two pictures `uint8 (H, W, 3)`; inf if equal.

    >>> import numpy as np
    >>> black = np.zeros((2, 2, 3), np.uint8)
    >>> round(psnr(black + 1, black), 2)
    48.13
    """
    error = np.mean((image.astype(np.float64) - source) ** 2)
    return float(np.inf if error == 0 else 10 * np.log10(255**2 / error))


def ssim(image: Image, source: Image) -> float:
    """Structural similarity, mean over R, G and B; NaN under 11 pixels.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004: 11x11 Gaussian of sigma 1.5,
    valid windows only, at the picture's own scale.
    """
    if min(source.shape[:2]) < _TAPS:
        return float("nan")
    luminance, structure = _ssim_terms(_planes(image), _planes(source))
    return float((luminance * structure).double().mean())


def ms_ssim(image: Image, source: Image) -> float:
    """Multi-scale structural similarity in [0, 1], mean over R, G and B; NaN under 161 pixels.

    Source: Wang, Simoncelli, Bovik, Asilomar 2003: five scales, 11x11 Gaussian of sigma 1.5,
    valid windows only, 2x2 mean between scales; a negative term counts as zero.
    """
    if min(source.shape[:2]) < MS_SSIM_MIN_SIDE:
        return float("nan")
    x, y = _planes(image), _planes(source)
    product = torch.ones(3)
    for scale, weight in enumerate(_WEIGHTS):
        last = scale == len(_WEIGHTS) - 1
        luminance, structure = _ssim_terms(x, y)
        term = structure * luminance if last else structure
        product = product * term.mean(dim=(1, 2, 3)).clamp(min=0) ** weight
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return float(product.mean())


def enlarge(image: Image, source: Image) -> Image:
    """`image` at the size of `source` (Lanczos), to compare a picture stored smaller."""
    if image.shape == source.shape:
        return image
    size = (source.shape[1], source.shape[0])
    return np.asarray(PillowImage.fromarray(image).resize(size, PillowImage.Resampling.LANCZOS))


def _planes(image: Image) -> torch.Tensor:
    """R, G and B as `float32 (3, 1, H, W)` on the scale 0..255."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[:, None]


def _ssim_terms(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    channels = len(x)
    # Map by map: one fits into the processor's cache, which halves the time.
    maps = torch.cat([_blur(m[None]) for m in torch.cat([x, y, x * x, y * y, x * y])])
    mean_x, mean_y, xx, yy, xy = torch.split(maps, channels)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    structure = (2 * (xy - product) + _C2) / (xx + yy - squares + _C2)
    return (2 * product + _C1) / (squares + _C1), structure


def _blur(maps: torch.Tensor) -> torch.Tensor:
    # Eleven shifted sums along each side: four times as fast as conv2d with a single channel.
    for side in (-2, -1):
        length = maps.shape[side] - _TAPS + 1
        shifted = (maps.narrow(side, shift, length) for shift in range(_TAPS))
        total = torch.zeros_like(maps.narrow(side, 0, length))
        for part, weight in zip(shifted, _window(), strict=True):
            total.add_(part, alpha=weight)
        maps = total
    return maps


@cache
def _window() -> list[float]:
    taps = torch.arange(_TAPS) - _TAPS // 2
    window = torch.exp(-(taps**2) / (2 * _SIGMA**2))
    return list((window / window.sum()).tolist())
