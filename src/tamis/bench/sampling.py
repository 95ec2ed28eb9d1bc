"""What a bootstrap needs of a curve: to be measured again on images drawn with replacement."""

from typing import Protocol

import numpy as np

from tamis.bench.interpolation import Array


class Sampled(Protocol):
    """One rate-measure curve of K qualities over N images, which can be drawn from again."""

    @property
    def count(self) -> int:
        """Number of images N."""
        ...

    def means(self, weights: Array) -> tuple[Array, Array]:
        """Rates `(B, K)` and measures `(B, K)` of resamples given by shares of images `(B, N)`."""
        ...

    def falls(self) -> tuple[Array, Array]:
        """By how much each point lies above each other `(K, K)`, and that number's standard error.

        Points are in the order of `means`.
        """
        ...


def draws(count: int, resamples: int, seed: int) -> Array:
    """Shares of `count` images in each resample `(resamples, count)`, in steps of 1 / count."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count
