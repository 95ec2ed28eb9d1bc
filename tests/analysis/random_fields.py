"""Sources whose latents are random fields of known correlation."""

from collections.abc import Callable
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import lfilter

from tamis.analysis.sources import LatentSample, Source

Field = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator], LatentSample]


def ar1(random: np.random.Generator, rhos: list[float], side: int = 32) -> Field:
    """Separable AR(1) fields of variance 1: r is `rho ** (rows + columns)`; `(C, side, side)`."""
    fields = random.standard_normal((len(rhos), side, side))
    for field, rho in zip(fields, rhos, strict=True):
        for axis in (0, 1):
            gain = np.sqrt(1 - rho**2)
            # The first value is stationary already, the others are driven by what is new.
            driven = np.moveaxis(field, axis, 0) * gain
            driven[0] /= gain
            field[:] = np.moveaxis(lfilter([1], [1, -rho], driven, axis=0), 0, axis)
    return fields


def as_tensor(field: Field) -> torch.Tensor:
    return torch.from_numpy(field.astype(np.float32))


def source_of(draw: Draw) -> Source:
    """A source that draws latents, the same for the same patch."""

    def source(images: torch.Tensor) -> LatentSample:
        drawn = [draw(np.random.default_rng(crc32(image.numpy().tobytes()))) for image in images]
        parts = zip(*drawn, strict=True)
        return LatentSample(*(None if p[0] is None else torch.stack(p) for p in parts))

    return source
