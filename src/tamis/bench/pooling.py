"""Measures of a set of images, such as mAP: records pooled, and pooled again for every resample.

A mean over images needs no second look at them; mAP does: which boxes rank where depends on all
images together. So the bench keeps what each image contributes, its record, and an interval comes
from pooling the records of resampled images.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tamis.bench.interpolation import Array
from tamis.bench.sampling import draws
from tamis.tasks.base import Record

Pool = Callable[[Sequence[Record]], Mapping[str, float]]
"""The measures of a set from its records, see `tamis.tasks.base.PooledTask`."""

RESAMPLES = 200
"""Resamples of a pooled measure at most: pooling takes a thousand times as long as a mean. An end
of a 95 % interval then has a standard error of a twentieth of its width (of a normal estimate:
sqrt(0.025 0.975 / 200) / density(1.96) = 0.19 of 3.92 standard deviations)."""
ERROR_RESAMPLES = 50
"""Resamples behind a standard error, for the bands of a figure."""


def pooled_error(records: Sequence[Record], pool: Pool) -> dict[str, float]:
    """Standard error of every pooled measure, by resampling images; NaN for one image."""
    count = len(records)
    found = [
        pool(_drawn(records, weights)) for weights in draws(count, ERROR_RESAMPLES, 0) if count > 1
    ]
    names = found[0] if found else pool(records)
    return {n: float(np.std([f[n] for f in found], ddof=1)) if found else np.nan for n in names}


@dataclass(frozen=True, eq=False)
class RecordCurve:
    """The records along one curve: the images and qualities that are complete.

    Attributes:
        images: identities `(N,)`, sorted.
        qualities: `(K,)`, by rising rate.
        rates: bits per pixel of the source `(N, K)`.
        records: for each quality those of all images, K times N.
        pool: how they become measures.
    """

    images: npt.NDArray[np.str_]
    qualities: npt.NDArray[np.int64]
    rates: Array
    records: Sequence[Sequence[Record]]
    pool: Pool
    _kept: dict[str, dict[str, Array]] = field(default_factory=dict)

    def defined(self) -> list[str]:
        """Names of the measures that have a value at some quality."""
        count = len(self.images)
        found = self.values(np.arange(count), np.full((1, count), 1 / count))
        return [name for name, values in found.items() if np.isfinite(values).any()]

    def values(self, rows: npt.NDArray[np.int64], weights: Array) -> dict[str, Array]:
        """Every measure `(B, K)` of resamples of the images in `rows`.

        Kept, because the same resamples serve every measure and every comparison of a curve.
        """
        key = hashlib.sha256(rows.tobytes() + weights.tobytes()).hexdigest()
        if key not in self._kept:
            chosen = [[one[row] for row in rows] for one in self.records]
            found = [[self.pool(_drawn(one, w)) for one in chosen] for w in weights]
            names = found[0][0]
            self._kept[key] = {
                name: np.array([[float(at[name]) for at in line] for line in found])
                for name in names
            }
        return self._kept[key]


@dataclass(frozen=True)
class PooledCurve:
    """One pooled measure along a curve of records."""

    measure: str
    of: RecordCurve

    @property
    def images(self) -> npt.NDArray[np.str_]:
        """Identities `(N,)`, sorted."""
        return self.of.images

    def samples(self, images: npt.NDArray[np.str_]) -> "PooledSamples":
        """The curve over `images` alone."""
        return PooledSamples(self.measure, self.of, np.searchsorted(self.images, images))


@dataclass(frozen=True)
class PooledSamples:
    """One pooled measure of some images, for `tamis.bench.bd`."""

    measure: str
    of: RecordCurve
    rows: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.rows)

    def means(self, weights: Array) -> tuple[Array, Array]:
        """Mean rates `(B, K)` and the measure `(B, K)` of resamples, shares `(B, N)` of images."""
        rates = weights @ self.of.rates[self.rows]
        return rates, self.of.values(self.rows, weights)[self.measure]

    def falls(self) -> tuple[Array, Array]:
        """By how much each point lies above each other `(K, K)`, and that number's standard error.

        The error comes from resampling images; with its defaults the bootstrap draws the same.
        """
        whole = self.means(np.full((1, self.count), 1 / self.count))[1][0]
        drawn = self.means(draws(self.count, RESAMPLES, 0))[1]
        spread = np.std(drawn[:, :, None] - drawn[:, None, :], axis=0, ddof=1)
        return whole[:, None] - whole[None, :], spread


def _drawn(records: Sequence[Record], weights: Array) -> list[Record]:
    times = np.rint(weights * len(records)).astype(np.int64)
    return [record for record, n in zip(records, times, strict=True) for _ in range(n)]
