"""FSIM: how alike two pictures are where the eye finds structure, by phase and by gradient.

Where the Fourier components of a picture agree in phase (lines, edges, corners) the eye finds
something to see. FSIM compares phase congruency and gradient magnitude of two pictures place by
place and gives weight to places by phase congruency; FSIMc compares two chrominance planes too.
Source: Zhang, Zhang, Mou, Zhang, "FSIM: A Feature Similarity Index for Image Quality Assessment",
IEEE TIP 20(8), 2011; phase congruency with its noise threshold after Kovesi, "Image Features from
Phase Congruency", Videre 1(3), 1999. Constants are those of the paper.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from tamis.codecs import Image

VIEWED_SIDE = 256
"""Pictures are averaged down until the shorter side is about this many pixels, as if seen whole."""

SCALES, ORIENTATIONS = 4, 4
SHORTEST_WAVE, WAVE_STEP = 6.0, 2.0
"""Wavelength of the finest log-Gabor filter, pixels, and the factor to the next."""
BANDWIDTH = 0.55
"""Standard deviation of a filter's Gaussian over log frequency, relative to its centre."""
ANGULAR_WIDTH = math.pi / ORIENTATIONS / 1.2
LOWPASS, LOWPASS_ORDER = 0.45, 15
"""Butterworth low-pass that keeps the corners of the spectrum out."""
NOISE_DEVIATIONS, NOISE_SCALE = 2.0, 1.7
"""Energy up to this many deviations above the mean of noise counts as none, over the scale."""
EPSILON = 1e-4

T_PHASE, T_GRADIENT, T_CHROMA = 0.85, 160.0, 200.0
CHROMA_POWER = 0.03

_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=torch.float32
)
_SCHARR = torch.tensor([[3.0, 0.0, -3.0], [10.0, 0.0, -10.0], [3.0, 0.0, -3.0]]) / 16


def fsim(image: Image, source: Image) -> float:
    """FSIMc of two colour pictures `uint8 (H, W, 3)` of one size, in [0, 1]; 1 if equal.

    The downsampling takes the mean of whole squares, without the zeros that a filter would see
    beyond the border.

    >>> flat = np.full((40, 60, 3), 128, np.uint8)
    >>> fsim(flat, flat)
    1.0
    """
    rgb = torch.from_numpy(np.stack([image, source]).astype(np.float32)).permute(0, 3, 1, 2)
    yiq = torch.einsum("cd,ndhw->nchw", _YIQ, rgb)
    yiq = F.avg_pool2d(yiq, max(1, round(min(source.shape[:2]) / VIEWED_SIDE)))
    luminance, chroma = yiq[:, 0], yiq[:, 1:]
    congruency, gradient = phase_congruency(luminance), _gradient(luminance)
    weight = congruency.amax(dim=0)
    alike = _alike(congruency, T_PHASE) * _alike(gradient, T_GRADIENT)
    alike = alike * _real_power(_alike(chroma, T_CHROMA).prod(dim=0), CHROMA_POWER)
    total = weight.double().sum()
    # Two pictures without any structure: every place counts the same.
    return float((alike.double() * weight).sum() / total if total else alike.double().mean())


def phase_congruency(planes: torch.Tensor) -> torch.Tensor:
    """How far local Fourier components agree in phase, `(N, H, W)` in [0, 1], for each plane.

    The energy of the summed responses of log-Gabor filters, less what noise would give (estimated
    from the finest scale), over the sum of their amplitudes. Kovesi 1999, equations 14 and 21.

    Args:
        planes: grey levels `(N, H, W)` on the scale 0..255.
    """
    bank = _bank(planes.shape[1], planes.shape[2])
    spectra = torch.fft.fft2(planes)
    energy, amplitude = torch.zeros_like(planes), torch.full_like(planes, 1e-12)
    for orientation in range(ORIENTATIONS):
        responses = torch.fft.ifft2(spectra[:, None] * bank.filters[orientation])
        amplitudes = responses.abs()
        direction = responses.sum(dim=1)
        direction = direction / (direction.abs() + EPSILON)
        aligned = responses * direction.conj()[:, None]
        agreeing = (aligned.real - aligned.imag.abs()).sum(dim=1)
        noise = bank.noise[orientation] * amplitudes[:, 0].square().flatten(1).median(dim=1).values
        energy += (agreeing - _noise_energy(noise)[:, None, None]).clamp(min=0)
        amplitude += amplitudes.sum(dim=1)
    return energy / amplitude


def _noise_energy(power: torch.Tensor) -> torch.Tensor:
    """Threshold of the energy: noise energy is Rayleigh-distributed, `power` its second moment."""
    tau = (power / 2).sqrt()
    mean, deviation = tau * math.sqrt(math.pi / 2), tau * math.sqrt(2 - math.pi / 2)
    return (mean + NOISE_DEVIATIONS * deviation) / NOISE_SCALE


@dataclass(frozen=True)
class _Bank:
    """Log-Gabor filters of one size of picture.

    Attributes:
        filters: over frequencies `(orientation, scale, H, W)`, zero for half of all directions,
            so that real and imaginary part of a response are its even and its odd filter's.
        noise: for each orientation, noise energy by the median squared amplitude at the finest
            scale, `(orientation,)`.
    """

    filters: torch.Tensor
    noise: torch.Tensor


@lru_cache(maxsize=4)
def _bank(height: int, width: int) -> _Bank:
    y, x = torch.meshgrid(torch.fft.fftfreq(height), torch.fft.fftfreq(width), indexing="ij")
    radius, angle = torch.hypot(x, y), torch.atan2(-y, x)
    radius[0, 0] = 1
    low = 1 / (1 + (radius / LOWPASS) ** (2 * LOWPASS_ORDER))
    waves = [SHORTEST_WAVE * WAVE_STEP**scale for scale in range(SCALES)]
    radial = torch.stack(
        [
            torch.exp(-((radius * w).log() ** 2) / (2 * math.log(BANDWIDTH) ** 2)) * low
            for w in waves
        ]
    )
    radial[:, 0, 0] = 0
    centres = [i * math.pi / ORIENTATIONS for i in range(ORIENTATIONS)]
    turns = [torch.atan2((angle - c).sin(), (angle - c).cos()) for c in centres]
    spread = torch.stack([torch.exp(-(turn**2) / (2 * ANGULAR_WIDTH**2)) for turn in turns])
    filters = spread[:, None] * radial
    return _Bank(filters, _noise_of(filters))


def _noise_of(filters: torch.Tensor) -> torch.Tensor:
    """See `_Bank.noise`: noise of a flat spectrum, whose amplitude has a known median."""
    kernels = torch.fft.ifft2(filters).real * math.sqrt(filters[0, 0].numel())
    products = torch.einsum("oshw,othw->ost", kernels, kernels)
    alone = products.diagonal(dim1=1, dim2=2).sum(dim=1)
    between = products.triu(diagonal=1).sum(dim=(1, 2))
    power = 1 / math.log(2) / filters[:, 0].square().sum(dim=(1, 2))
    return power * (2 * alone + 4 * between)


def _gradient(planes: torch.Tensor) -> torch.Tensor:
    """Magnitude of Scharr's gradient, `(N, H, W)`; beyond the border all is zero."""
    kernels = torch.stack([_SCHARR, _SCHARR.T])[:, None]
    across, down = F.conv2d(planes[:, None], kernels, padding=1).unbind(dim=1)
    return torch.hypot(across, down)


def _alike(pair: torch.Tensor, constant: float) -> torch.Tensor:
    """Similarity of two maps `(2, ...)`, at most 1 (equations 4, 5 and 10 of the paper)."""
    a, b = pair.unbind(dim=0)
    return (2 * a * b + constant) / (a.square() + b.square() + constant)


def _real_power(base: torch.Tensor, power: float) -> torch.Tensor:
    """Real part of `base ** power`, for bases of either sign, as in the authors' own code."""
    turned = math.cos(math.pi * power)
    return base.abs() ** power * torch.where(base < 0, turned, 1.0)
