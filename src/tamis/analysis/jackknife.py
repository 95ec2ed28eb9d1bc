"""How far a number can be trusted: the delete-a-group jackknife over groups of photos.

Neither pairs nor patches are independent: a patch of grass makes all its pairs alike, two patches
of a photo resemble each other. Photos are independent, so they are dealt into groups at random,
everything is computed once more without each group in turn, and the spread of these values gives
the standard error (Wolter 2007, "Introduction to Variance Estimation", section 4.2). Intervals
use Student's t with one degree of freedom less than there are groups.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tamis.analysis.moments import Array
from tamis.analysis.tally import Tally

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of them, with its standard error.

    Attributes:
        value: from everything.
        error: standard error, the shape of `value`; NaN with fewer than two groups.
        groups: how many groups of photos it is from.
    """

    value: Array
    error: Array
    groups: int

    def interval(self, tests: int = 1) -> tuple[Array, Array]:
        """Lower and upper end, 95 % for all of `tests` such intervals together (Bonferroni)."""
        if self.groups < 2:
            nothing = np.full_like(self.value, np.nan)
            return nothing, nothing
        reach = stats.t.ppf(1 - (1 - LEVEL) / 2 / tests, self.groups - 1) * self.error
        return self.value - reach, self.value + reach


def estimate(
    tally: Tally, statistic: Callable[[Tally], Mapping[str, Array]]
) -> dict[str, Estimate]:
    """Every value of `statistic`, with its error.

    Args:
        tally: by group.
        statistic: of a pooled tally.
    """
    filled = tally.filled
    count = len(filled)
    values = statistic(tally.pooled())
    if count < 2:
        return {k: Estimate(v, np.full_like(v, np.nan), count) for k, v in values.items()}
    sums = {name: np.zeros_like(value) for name, value in values.items()}
    squares = {name: np.zeros_like(value) for name, value in values.items()}
    for group in filled:
        weights = np.ones(tally.groups)
        weights[group] = 0
        for name, without in statistic(tally.pooled(weights)).items():
            # Centred on the value from everything, so that squares stay small.
            sums[name] += without - values[name]
            squares[name] += (without - values[name]) ** 2
    return {
        name: Estimate(
            value,
            np.sqrt(np.maximum(0, squares[name] - sums[name] ** 2 / count) * (count - 1) / count),
            count,
        )
        for name, value in values.items()
    }
