"""BD-rates of runs with several seeds, with intervals over seeds and photos together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.bench.bd import BdRate, CurveError, Samples, bootstrap_bd_rate
from tamis.training.ablation_scores import Array

ENOUGH = 0.9
"""Share of the resamples that must have a BD-rate for there to be an interval."""


@dataclass(frozen=True)
class Estimate:
    """A number in percent, its 95 % interval, or the reason why there is none."""

    percent: float = np.nan
    low: float = np.nan
    high: float = np.nan
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return "none"
        if np.isnan(self.low):
            return f"{self.percent:+.1f} %"
        return f"{self.percent:+.1f} % ({self.low:+.1f} to {self.high:+.1f})"


def seeded_bd_rate(
    anchor: Sequence[Samples], test: Sequence[Samples], resamples: int = 1000, seed: int = 0
) -> Estimate:
    """BD-rate of the mean curve over seeds and photos; negative is a saving. Distances, log axis.

    A resample draws seeds, and photos within them, with replacement; the same of both for both
    sides. With two or three seeds that still understates how much seeds differ: three draws from
    three are the same seed three times in one case of nine.

    Args:
        anchor: one curve a seed, `(N, K)`.
        test: curves of the same seeds and photos.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    try:
        percent = _bd_rate(_together(anchor), _together(test)).percent
    except CurveError as error:
        return Estimate(reason=str(error))
    rng = np.random.default_rng(seed)
    count, photos = len(test), test[0].rates.shape[0]
    drawn = []
    for _ in range(resamples):
        seeds = rng.integers(count, size=count)
        rows = rng.integers(photos, size=(photos,))
        try:
            sides = (_together([side[i] for i in seeds], rows) for side in (anchor, test))
            drawn.append(_bd_rate(*sides).percent)
        except CurveError:
            continue
    if len(drawn) < ENOUGH * max(resamples, 1):
        return Estimate(percent)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(percent, float(low), float(high))


def seeded_change(
    anchor: Sequence[Array], test: Sequence[Array], resamples: int = 1000, seed: int = 0
) -> Estimate:
    """By how many percent the mean of `test` is above that of `anchor`; `(N,)` each a seed."""
    a, t = np.stack(anchor), np.stack(test)
    rng = np.random.default_rng(seed)
    count, photos = t.shape
    ratios = np.empty(resamples)
    for i in range(resamples):
        at = np.ix_(rng.integers(count, size=count), rng.integers(photos, size=photos))
        ratios[i] = t[at].mean() / a[at].mean()
    low, high = 100 * (np.percentile(ratios, [2.5, 97.5]) - 1) if resamples else (np.nan, np.nan)
    return Estimate(float(100 * (t.mean() / a.mean() - 1)), float(low), float(high))


def _together(side: Sequence[Samples], rows: npt.NDArray[np.int64] | None = None) -> Samples:
    """The curves of several seeds as one, whose mean is the mean over seeds and photos."""
    at = slice(None) if rows is None else rows
    return Samples(
        np.concatenate([one.rates[at] for one in side]),
        np.concatenate([one.values[at] for one in side]),
    )


def _bd_rate(anchor: Samples, test: Samples) -> BdRate:
    return bootstrap_bd_rate([anchor], [test], axis="log", resamples=0)
