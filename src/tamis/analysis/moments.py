"""Counts, means and scatter matrices in one pass, which merge however the data was divided.

Chan, Golub, LeVeque 1979 ("Updating formulae and a pairwise algorithm for computing sample
variances"): every part is centred on its own mean before it is squared, so nothing large is ever
subtracted from something large, as it is with sums of squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FLOAT32_STEP = float(np.finfo(np.float32).eps)
"""Latents are float32: what varies by less than this part of its mean is constant."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of vectors with D entries, for any array of data sets at once.

    Attributes:
        count: vectors seen, `(...)`.
        mean: `(..., D)`.
        scatter: sums of products of deviations from the mean, `(..., D, D)`.
    """

    count: Array
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, samples: Array) -> "Moments":
        """Of K vectors in each data set, `(..., D, K)`; K may be zero."""
        *lead, entries, length = samples.shape
        count = np.full(lead, float(length))
        if not length:
            return cls(count, np.zeros((*lead, entries)), np.zeros((*lead, entries, entries)))
        mean = samples.mean(-1)
        centred = samples - mean[..., None]
        return cls(count, mean, centred @ centred.swapaxes(-1, -2))

    @classmethod
    def none(cls, like: "Moments", groups: int) -> "Moments":
        """Nothing seen yet, with a first axis of `groups` in front of the shape of `like`."""
        arrays = (like.count, like.mean, like.scatter)
        return cls(*(np.zeros((groups, *array.shape)) for array in arrays))

    @classmethod
    def stack(cls, several: Sequence["Moments"]) -> "Moments":
        """Several of one shape, along a new first axis."""
        names = ("count", "mean", "scatter")
        return cls(*(np.stack([getattr(moments, name) for moments in several]) for name in names))

    def __getitem__(self, index: Any) -> "Moments":
        """Some of the data sets, chosen as in numpy."""
        return Moments(self.count[index], self.mean[index], self.scatter[index])

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both data sets together (Chan et al. 1979)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        delta = other.mean - self.mean
        between = delta[..., :, None] * delta[..., None, :]
        return Moments(
            count,
            self.mean + delta * share[..., None],
            self.scatter + other.scatter + between * (self.count * share)[..., None, None],
        )

    def pooled(self, weights: Array | None = None) -> "Moments":
        """All data sets along the first axis as one, each counted `weights` times, `(G,)`."""
        weights = np.ones(len(self.count)) if weights is None else weights
        counts = (self.count.T * weights).T
        total = counts.sum(0)
        share = counts / np.maximum(total, 1)
        mean = (share[..., None] * self.mean).sum(0)
        delta = np.moveaxis(self.mean - mean, 0, -1)
        between = (delta * np.moveaxis(counts, 0, -1)[..., None, :]) @ delta.swapaxes(-1, -2)
        return Moments(total, mean, np.tensordot(weights, self.scatter, 1) + between)

    @property
    def variance(self) -> Array:
        """Of each entry, `(..., D)`; exactly zero for what is constant up to float32 steps."""
        spread = np.diagonal(self.scatter, axis1=-2, axis2=-1)
        variance = spread / np.maximum(self.count, 1)[..., None]
        still = variance <= (FLOAT32_STEP * self.mean) ** 2
        return np.asarray(np.where(still, 0.0, variance))

    def correlation(self) -> Array:
        """Pearson's r between all entries, `(..., D, D)`; 0 where an entry does not vary."""
        deviation = np.sqrt(self.variance)
        product = deviation[..., :, None] * deviation[..., None, :]
        covariance = self.scatter / np.maximum(self.count, 1)[..., None, None]
        r = np.divide(covariance, product, out=np.zeros_like(covariance), where=product > 0)
        return np.asarray(np.clip(r, -1, 1))
