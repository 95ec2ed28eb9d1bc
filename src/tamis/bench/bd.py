"""BD-rate: how many percent more or fewer bits one curve needs than another for the same measure.

The logarithm of the rate is interpolated over the measure; the mean difference of the two curves
over the measures both reach is the saving. Source: Bjontegaard, VCEG-M33 (2001); piecewise-cubic
interpolation as in VCEG-AL22 and Barman et al. `docs/concepts/bd-rate.md` explains every choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tamis.bench.interpolation import Array, Method, interpolate
from tamis.bench.sampling import Sampled, draws
from tamis.errors import TamisError

Axis = Literal["linear", "log", "log_complement"]
"""How a measure stands on the axis: as it is; `-ln m` for distances, whose best value is zero;
`-ln(1 - m)` for similarities that saturate at one."""

GRID = 200
"""Measures at which two curves are compared (midpoint rule; within 0.01 % of the integral)."""
MIN_POINTS = 3
NOISE = 3.0
"""A fall of the mean measure by more than this many standard errors is not noise."""


class CurveError(TamisError):
    """Curves whose comparison would mean nothing; the message says why."""


@dataclass(frozen=True)
class Samples:
    """One rate-measure curve whose measure is a mean over images.

    Attributes:
        rates: bits per pixel `(N, K)`: N images, K qualities.
        values: the measure `(N, K)`.
    """

    rates: Array
    values: Array

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.rates)

    def means(self, weights: Array) -> tuple[Array, Array]:
        """See `Sampled`."""
        return weights @ self.rates, weights @ self.values

    def falls(self) -> tuple[Array, Array]:
        """See `Sampled`; images are compared with themselves."""
        fall = self.values[:, :, None] - self.values[:, None, :]
        mean = fall.mean(axis=0)
        if self.count < 2:
            return mean, np.zeros_like(mean)
        return mean, fall.std(axis=0, ddof=1) / np.sqrt(self.count)


@dataclass(frozen=True)
class BdRate:
    """A saving (negative) or a cost (positive) in percent of the anchor's rate.

    Attributes:
        percent: mean difference of the rates at equal measure.
        low: lower end of the 95 % bootstrap interval over images; NaN without one.
        high: upper end of it.
        overlap: share of the anchor's range of the measure that both curves reach.
        pooled: points merged with a neighbour because noise put them in the wrong order.
    """

    percent: float
    low: float
    high: float
    overlap: float
    pooled: int


def bd_rate(
    anchor_rates: npt.ArrayLike,
    anchor_values: npt.ArrayLike,
    rates: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    axis: Axis = "linear",
    method: Method = "pchip",
    min_overlap: float = 0.25,
) -> BdRate:
    """BD-rate of one curve against another; strict: both must rise from point to point.

    Args:
        anchor_rates: rates of the anchor, any order.
        anchor_values: its measure at those rates.
        rates: rates of the curve judged.
        values: its measure.
        axis: the scale of the measure.
        method: interpolation.
        min_overlap: smallest share of the anchor's range that the curves must have in common.

    Raises:
        CurveError: fewer than three points, a value off the axis, a curve that is not
            monotone, or too little overlap.

    >>> plain = [0.2, 0.4, 0.8, 1.6]
    >>> smaller = [0.16, 0.32, 0.64, 1.28]
    >>> round(bd_rate(plain, [30, 33, 36, 39], smaller, [30, 33, 36, 39]).percent, 6)
    -20.0
    """
    curves = []
    for name, r, v in (("anchor", anchor_rates, anchor_values), ("curve", rates, values)):
        log_rate, place = _curve(np.asarray(r, float)[None], np.asarray(v, float)[None], axis)
        _check_points(name, log_rate, place)
        falls = np.flatnonzero(np.diff(place[0]) <= 0)
        if falls.size:
            where = ", ".join(f"{np.exp(log_rate[0, i + 1]):.4g}" for i in falls)
            raise CurveError(f"the {name} is not monotone: no better at rate {where} than before")
        curves.append((log_rate, place, np.array([place.shape[1]])))
    percent, overlap = _compare([curves[0]], [curves[1]], method)
    _check_overlap(float(overlap[0]), min_overlap)
    return BdRate(float(percent[0]), np.nan, np.nan, float(overlap[0]), 0)


def bootstrap_bd_rate(
    anchor: Sequence[Sampled],
    test: Sequence[Sampled],
    *,
    axis: Axis = "linear",
    method: Method = "pchip",
    min_overlap: float = 0.25,
    resamples: int = 1000,
    seed: int = 0,
) -> BdRate:
    """BD-rate of mean curves with its 95 % interval, by resampling images.

    Several curves on one side stand for the best of them at each measure (their lower envelope).
    A resample draws the same images for both sides. Points whose order is reversed by no more
    than `NOISE` standard errors are pooled (isotonic regression), in the estimate as in every
    resample.

    Args:
        anchor: curves of the anchor; all samples hold the same images in the same order.
        test: curves judged.
        axis: the scale of the measure.
        method: interpolation.
        min_overlap: smallest share of the anchor's range that the curves must have in common.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Raises:
        CurveError: too few points, a value off the axis, a fall that is not noise, too little
            overlap.
    """
    count = anchor[0].count
    for name, samples in [("anchor", s) for s in anchor] + [("curve", s) for s in test]:
        _check_falls(name, samples, axis)
    whole = np.full((1, count), 1 / count)
    sides = [
        [_pooled_mean(s, whole, axis, name) for s in side] for name, side in _named(anchor, test)
    ]
    for _, place, kept in (one for side in sides for one in side):
        _check_kept(int(kept[0]), place.shape[1])
    percent, overlap = _compare(sides[0], sides[1], method)
    _check_overlap(float(overlap[0]), min_overlap)
    pooled = sum(place.shape[1] - int(kept[0]) for side in sides for _, place, kept in side)

    low = high = np.nan
    if count > 1 and resamples > 0:
        weights = draws(count, resamples, seed)
        drawn = [[_pooled_mean(s, weights, axis) for s in side] for side in (anchor, test)]
        spread, _ = _compare(drawn[0], drawn[1], method)
        if np.isfinite(spread).mean() > 0.9:
            low, high = (float(v) for v in np.nanpercentile(spread, [2.5, 97.5]))
    return BdRate(float(percent[0]), low, high, float(overlap[0]), pooled)


def place_on_axis(values: Array, axis: Axis) -> Array:
    """Where measures stand on the axis, larger is better; NaN for a value that has no place."""
    if axis == "linear":
        return np.where(np.isfinite(values), values, np.nan)
    distance = values if axis == "log" else 1 - values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance > 0, -np.log(distance), np.nan)


_Curve = tuple[Array, Array, npt.NDArray[np.int64]]
"""Log-rates `(B, K)`, places on the axis `(B, K)`, and how many of the K points are in use."""


def _named(
    anchor: Sequence[Sampled], test: Sequence[Sampled]
) -> list[tuple[str, Sequence[Sampled]]]:
    return [("anchor", anchor), ("curve", test)]


def _curve(rates: Array, values: Array, axis: Axis) -> tuple[Array, Array]:
    order = np.argsort(rates, axis=1, kind="stable")
    rates, values = (np.take_along_axis(a, order, axis=1) for a in (rates, values))
    return np.log(rates), place_on_axis(values, axis)


def _pooled_mean(samples: Sampled, weights: Array, axis: Axis, check: str = "") -> _Curve:
    log_rate, place = _curve(*samples.means(weights), axis)
    if check:
        _check_points(check, log_rate, place)
    kept = np.full(len(place), place.shape[1])
    for row in np.flatnonzero(np.any(~(np.diff(place, axis=1) > 0), axis=1)):
        kept[row] = _pool_row(log_rate[row], place[row])
    return log_rate, place, kept


def _pool_row(log_rate: Array, place: Array) -> int:
    """Merge adjacent violators in place, each block to its means; returns how many points stay."""
    blocks: list[tuple[float, float, int]] = []
    for rate, value in zip(log_rate.tolist(), place.tolist(), strict=True):
        size = 1
        while blocks and not value > blocks[-1][1]:
            other_rate, other_value, other_size = blocks.pop()
            rate = (rate * size + other_rate * other_size) / (size + other_size)
            value = (value * size + other_value * other_size) / (size + other_size)
            size += other_size
        blocks.append((rate, value, size))
    for i, (rate, value, _) in enumerate(blocks):
        log_rate[i], place[i] = rate, value
    return len(blocks)


def _compare(
    anchor: Sequence[_Curve], test: Sequence[_Curve], method: Method
) -> tuple[Array, Array]:
    """BD-rate in percent and overlap, `(B,)` each; NaN where the curves do not meet."""
    (a_low, a_high), (t_low, t_high) = _range(anchor), _range(test)
    low, high = np.maximum(a_low, t_low), np.minimum(a_high, t_high)
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap = np.clip((high - low) / (a_high - a_low), 0, 1)
    steps = (np.arange(GRID) + 0.5) / GRID
    at = low[:, None] + np.maximum(high - low, 0)[:, None] * steps
    difference = _best(test, at, method) - _best(anchor, at, method)
    meets = (overlap > 0) & np.isfinite(difference).any(axis=1)
    total = np.nansum(difference, axis=1)
    mean = total / np.maximum(np.isfinite(difference).sum(axis=1), 1)
    return np.where(meets, 100 * np.expm1(mean), np.nan), np.nan_to_num(overlap)


def _range(side: Sequence[_Curve]) -> tuple[Array, Array]:
    lows = [place[:, 0] for _, place, _ in side]
    highs = [np.take_along_axis(place, kept[:, None] - 1, axis=1)[:, 0] for _, place, kept in side]
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _best(side: Sequence[_Curve], at: Array, method: Method) -> Array:
    """Lowest log-rate of any curve at each place; NaN where none reaches it."""
    best = np.full(at.shape, np.nan)
    for log_rate, place, kept in side:
        for points in np.unique(kept[kept >= 2]):
            rows = np.flatnonzero(kept == points)
            curve = interpolate(place[rows, :points], log_rate[rows, :points], at[rows], method)
            best[rows] = np.fmin(best[rows], curve)
    return best


def _check_points(name: str, log_rate: Array, place: Array) -> None:
    if log_rate.shape[1] < MIN_POINTS:
        raise CurveError(
            f"the {name} has {log_rate.shape[1]} points; at least {MIN_POINTS} are needed"
        )
    if not np.isfinite(log_rate).all():
        raise CurveError(f"the {name} has a rate that is not positive")
    if not np.isfinite(place).all():
        raise CurveError(f"the {name} has a measure off its axis (missing, infinite or perfect)")


def _check_falls(name: str, samples: Sampled, axis: Axis) -> None:
    """Refuse a mean curve that falls, with rising rate, by more than noise explains."""
    whole = np.full((1, samples.count), 1 / samples.count)
    rates = samples.means(whole)[0][0]
    order = np.argsort(rates, kind="stable")
    rates = rates[order]
    falls, errors = (array[np.ix_(order, order)] for array in samples.falls())
    for i in range(len(rates)):
        mean = falls[i, i + 1 :] * (-1 if axis == "log" else 1)
        error = errors[i, i + 1 :]
        if np.any((mean > NOISE * error) & (mean > 0)):
            worst = int(np.argmax(mean - NOISE * error))
            raise CurveError(
                f"the {name} is not monotone: at {rates[i + 1 + worst]:.3g} bpp it is worse than "
                f"at {rates[i]:.3g} bpp by {mean[worst]:.3g}, more than noise ({error[worst]:.2g})"
            )


def _check_kept(kept: int, points: int) -> None:
    if kept < max(MIN_POINTS, points / 2):
        raise CurveError(
            f"noise reverses so many points that {kept} of {points} remain; code more images"
        )


def _check_overlap(overlap: float, least: float) -> None:
    if overlap < least or overlap == 0:
        raise CurveError(
            f"the curves share {overlap:.0%} of the anchor's range; at least {least:.0%} is needed"
        )
