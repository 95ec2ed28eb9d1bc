"""The numbers of the analysis, from a pooled tally: correlation, information, rate, savings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from tamis.analysis.information import entropy, mutual_information
from tamis.analysis.moments import Array, Moments
from tamis.analysis.pairs import ADJACENT
from tamis.analysis.prediction import gain
from tamis.analysis.tally import SYMBOLS, Tally

HIGH = 0.3
"""An absolute correlation above this is called high."""

ALIVE = 1e-3
"""A channel is active where at least this share of its rounded values differs from the commonest.

The others say next to nothing and cost next to nothing. After prediction they hold minus the
predicted mean, which is tiny and smooth, so their "correlation" is high and means nothing.
"""

BEFORE, AFTER = "y", "residual"

Mask = npt.NDArray[np.bool_]


def active(pooled: Tally) -> Mask:
    """Which channels are active, `(M,)`."""
    symbols = pooled.counts["symbols"]
    return np.asarray(1 - symbols.max(-1) / symbols.sum(-1) >= ALIVE)


def adjacent_correlation(pooled: Tally, field: str) -> Array:
    """Pearson's r of adjacent values (horizontal and vertical pairs together), `(M,)`."""
    adjacent = Moments.stack([pooled.moments[f"pairs/{field}"][:, i] for i in ADJACENT]).pooled()
    return adjacent.correlation()[..., 0, 1]


def chance_level(tally: Tally, field: str) -> Array:
    """95 % of |r| lie below this where there is no relation, for each channel, `(M,)`.

    Adjacent pairs are torn apart: the second value is taken from a patch of another photo. Seven
    such shuffles give the variance of r without relation, but with all clustering, and Student's t
    with as many degrees of freedom gives the level. Where few photos leave fewer strangers than
    pairs, the variance is that of as many as there are pairs. NaN where all are of one photo.
    """
    pooled = tally.pooled()
    shuffled = pooled.moments[f"chance/{field}"]
    pairs = sum(pooled.moments[f"pairs/{field}"].count[:, i] for i in ADJACENT)
    # r squared times its count does not depend on the count.
    scaled = shuffled.correlation()[..., 0, 1] ** 2 * shuffled.count / pairs
    seen = (shuffled.count > 0).sum(0)
    level = stats.t.ppf(0.975, np.maximum(seen, 1)) * np.sqrt(scaled.sum(0) / np.maximum(seen, 1))
    return np.asarray(np.where(seen > 0, level, np.nan))


@dataclass(frozen=True)
class Measures:
    """All numbers that get an interval, as a function of a pooled tally.

    Attributes:
        alive: the active channels, the same for every call.
        density: latent positions per pixel: 1/256 for a stride of 16.
    """

    alive: Mask
    density: float

    def __call__(self, pooled: Tally) -> dict[str, Array]:
        """Arrays by name.

        `fisher/F` atanh of adjacent r, `cross/F` correlation between channels, `distance/F` mean
        |r| by distance and direction, `information/F` bits; `mean/F/S`, `cross_mean/F/S` and
        `cross_share/F/S` over the sets S of channels, `fall/S` and `cross_fall/S` from y to the
        residual; `gain/F` and `saving/F`; `rate`, `entropy` in bits per latent; `rank/F`.
        """
        sets = {"all": np.ones_like(self.alive), "active": self.alive}
        out: dict[str, Array] = {}
        symbols = entropy(pooled.counts["symbols"])
        rate = pooled.moments["rate"].mean[..., 0] if "rate" in pooled.moments else None
        for field in pooled.fields:
            r = adjacent_correlation(pooled, field)
            out[f"fisher/{field}"] = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
            out[f"cross/{field}"] = pooled.moments[f"channels/{field}"].correlation()
            far = pooled.moments[f"pairs/{field}"].correlation()[..., 0, 1]
            out[f"distance/{field}"] = np.abs(far[self.alive]).mean(0)
            out[f"information/{field}"] = mutual_information(pooled.counts[f"joint/{field}"])
            for name, chosen in sets.items():
                out |= _means(field, name, r, out[f"cross/{field}"], chosen)
            if rate is not None:
                out[f"rank/{field}"] = _rank(np.abs(r), rate)
        for field in ("y_hat", AFTER, "normalized"):
            if f"neighbours/{field}" in pooled.moments:
                saved = gain(pooled.moments[f"neighbours/{field}"])
                cost = symbols if field == "y_hat" or rate is None else rate
                out[f"gain/{field}"] = np.minimum(saved, cost)
                out[f"saving/{field}"] = out[f"gain/{field}"].sum() * self.density
        for name in sets:
            if f"mean/{AFTER}/{name}" in out:
                out[f"fall/{name}"] = out[f"mean/{BEFORE}/{name}"] - out[f"mean/{AFTER}/{name}"]
                before, after = (out[f"cross_mean/{f}/{name}"] for f in (BEFORE, AFTER))
                out[f"cross_fall/{name}"] = before - after
        if rate is not None:
            out["rate"] = rate
            out["bpp"] = rate.sum() * self.density
        out["entropy"] = symbols
        out["entropy_bpp"] = symbols.sum() * self.density
        return out


def shape(pooled: Tally) -> Mapping[str, Array]:
    """Feature statistics of y by channel, `(M,)` each.

    Returns:
        `deviation`, `zeros` (share of rounded values that are 0), `kurtosis` (excess; 0 for a
        Gaussian and for a constant), `clipped` (share beyond the range that is counted).
    """
    symbols = pooled.counts["symbols"]
    total = symbols.sum(-1)
    powers = pooled.moments["powers"]
    # With v the distance from the pilot's centre: E v, E v^2 and the covariances of v and v^2
    # give the fourth central moment.
    first, second = powers.mean[..., 0], powers.mean[..., 1]
    covariance = powers.scatter / powers.count[..., None, None]
    third = covariance[..., 0, 1] + first * second
    fourth = covariance[..., 1, 1] + second**2
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    variance = pooled.moments["channels/y"].variance
    excess = np.divide(central, variance**2, out=np.full_like(central, 3.0), where=variance > 0) - 3
    return {
        "deviation": np.sqrt(variance),
        "zeros": symbols[:, SYMBOLS] / total,
        "kurtosis": excess,
        "clipped": (symbols[:, 0] + symbols[:, -1]) / total,
    }


def _means(field: str, name: str, r: Array, cross: Array, chosen: Mask) -> dict[str, Array]:
    """Means over a set of channels and over its pairs; NaN where the set is too small."""
    between = np.abs(cross[np.ix_(chosen, chosen)])[np.triu_indices(int(chosen.sum()), 1)]
    nothing = np.array(np.nan)
    return {
        f"mean/{field}/{name}": np.abs(r[chosen]).mean() if chosen.any() else nothing,
        f"cross_mean/{field}/{name}": between.mean() if between.size else nothing,
        f"cross_share/{field}/{name}": (between > HIGH).mean() if between.size else nothing,
    }


def _rank(a: Array, b: Array) -> Array:
    """Spearman's rank correlation; NaN where one of them is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.array(np.nan)
    return np.asarray(stats.spearmanr(a, b).statistic)
