"""The four published findings as tests that were fixed before any number was seen.

Lee, Jeong, Choi 2019 looked at sorted bars and at matrices. Here each finding is a rule on an
interval over photos, so that it can fail:

1. Spatial correlation remains in some channels of y: at least one channel has |r| of adjacent
   values above 0.3 with its whole interval, which is widened (Bonferroni) so that the chance of one
   false channel among all is 5 %.
2. It falls after prediction: the mean over channels of |r| of y, minus that of the residual, has
   an interval above 0.
3. Inter-channel correlation of y is low: the mean of |r| over pairs of channels lies below 0.1 and
   the share of pairs above 0.3 below 5 %, both with the upper end of their intervals.
4. It is lower after prediction: that mean for y, minus that for the residual, has an interval
   above 0.

Each is judged over all channels, as published, and over the active ones (see `measures.ALIVE`).
"""

from dataclasses import dataclass

import numpy as np

from tamis.analysis.jackknife import Estimate
from tamis.analysis.measures import AFTER, BEFORE, HIGH, Mask
from tamis.analysis.moments import Array

LOW_MEAN = 0.1
LOW_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One finding over one set of channels.

    Attributes:
        number: 1 to 4.
        claim: what was published.
        channels: `all` or `active`.
        holds: None where it cannot be tested: no prediction, or photos of one group only.
        evidence: the numbers, in words.
    """

    number: int
    claim: str
    channels: str
    holds: bool | None
    evidence: str

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "holds", False: "does not hold", None: "not testable"}[self.holds]


CLAIMS = {
    1: "Spatial correlation remains in some channels of y.",
    2: "Spatial correlation falls after prediction.",
    3: "Correlation between the channels of y is low.",
    4: "Correlation between channels is lower after prediction.",
}


def findings(estimates: dict[str, Estimate], alive: Mask) -> list[Finding]:
    """All findings, over all channels and over the active ones.

    Args:
        estimates: of `measures.Measures`.
        alive: the active channels, `(M,)`.
    """
    found = []
    for name, chosen in (("all", np.ones_like(alive)), ("active", alive)):
        for number, (holds, evidence) in {
            1: _remains(estimates, chosen),
            2: _falls(estimates, "mean", f"fall/{name}", name),
            3: _low(estimates, name, chosen),
            4: _falls(estimates, "cross_mean", f"cross_fall/{name}", name),
        }.items():
            found.append(Finding(number, CLAIMS[number], name, holds, evidence))
    return sorted(found, key=lambda finding: finding.number)


def absolute_interval(fisher: Estimate, tests: int = 1) -> tuple[Array, Array]:
    """Interval of |r| from an estimate of atanh(r); it begins at 0 where the sign is not sure."""
    low, high = fisher.interval(tests)
    nearest = np.where(low * high < 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
    nearest = np.where(np.isnan(low), np.nan, nearest)
    return np.tanh(nearest), np.tanh(np.maximum(np.abs(low), np.abs(high)))


def chance_between(cross: Estimate, chosen: Mask) -> float:
    """Mean |r| between channels that would be found if every true r were zero.

    A normal variable with mean 0 is sqrt(2 / pi) standard deviations from it on average.
    """
    errors = cross.error[np.ix_(chosen, chosen)][np.triu_indices(int(chosen.sum()), 1)]
    return float(np.sqrt(2 / np.pi) * errors.mean()) if errors.size else float("nan")


def between(estimate: Estimate, digits: int = 3) -> str:
    """`0.123 (0.101 to 0.145)`."""
    low, high = estimate.interval()
    if not np.isfinite(low):
        return f"{float(estimate.value):.{digits}f} (no interval)"
    value = float(estimate.value)
    return f"{value:.{digits}f} ({float(low):.{digits}f} to {float(high):.{digits}f})"


def _remains(estimates: dict[str, Estimate], chosen: Mask) -> tuple[bool | None, str]:
    fisher = estimates[f"fisher/{BEFORE}"]
    r = np.abs(np.tanh(fisher.value[chosen]))
    if not r.size:
        return None, "there are no such channels"
    low, _ = absolute_interval(fisher, tests=int(chosen.sum()))
    sure = int((low[chosen] > HIGH).sum())
    evidence = (
        f"{int((r > HIGH).sum())} of {r.size} channels have |r| above {HIGH}, {sure} of them with "
        f"their whole simultaneous 95 % interval; median {np.median(r):.3f}, largest {r.max():.3f}"
    )
    return (None if np.isnan(low).all() else sure > 0), evidence


def _falls(
    estimates: dict[str, Estimate], mean: str, fall: str, name: str
) -> tuple[bool | None, str]:
    if fall not in estimates:
        return None, "the model predicts no mean"
    before, after = (estimates[f"{mean}/{field}/{name}"] for field in (BEFORE, AFTER))
    low, _ = estimates[fall].interval()
    evidence = (
        f"mean |r| {between(before)} before, {between(after)} after; "
        f"paired difference {between(estimates[fall])}"
    )
    return (bool(low > 0) if np.isfinite(low) else None), evidence


def _low(estimates: dict[str, Estimate], name: str, chosen: Mask) -> tuple[bool | None, str]:
    mean = estimates[f"cross_mean/{BEFORE}/{name}"]
    share = estimates[f"cross_share/{BEFORE}/{name}"]
    chance = chance_between(estimates[f"cross/{BEFORE}"], chosen)
    by_chance = f" (by chance {chance:.3f})" if np.isfinite(chance) else ""
    evidence = (
        f"mean |r| between channels {between(mean)}{by_chance}, "
        f"{100 * float(share.value):.1f} % of the pairs above {HIGH}"
    )
    tops = mean.interval()[1], share.interval()[1]
    if not np.isfinite(tops).all():
        return None, evidence
    return bool(tops[0] < LOW_MEAN and tops[1] < LOW_SHARE), evidence
