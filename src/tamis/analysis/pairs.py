"""Pairs of positions in a latent: neighbours in four directions at distances 1 to 8."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tamis.learned.context import Window

Positions = npt.NDArray[np.int64]

DIRECTIONS = {
    "horizontal": (0, 1),
    "vertical": (1, 0),
    "diagonal": (1, 1),
    "antidiagonal": (1, -1),
}
"""(rows, columns) from the first position of a pair to the second, at distance 1."""

DISTANCES = 8


class Offset(NamedTuple):
    """Where the second position of a pair lies, seen from the first."""

    direction: str
    distance: int

    @property
    def step(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = DIRECTIONS[self.direction]
        return rows * self.distance, columns * self.distance


def offsets(side: int) -> list[Offset]:
    """Every direction at every distance that fits a latent of `side` positions a side.

    The first four are at distance 1; of these the first two, horizontal and vertical, are the
    adjacent positions of the published protocol.
    """
    distances = range(1, min(DISTANCES, side - 1) + 1)
    return [Offset(direction, k) for k in distances for direction in DIRECTIONS]


ADJACENT = [0, 1]
"""Places of horizontal and vertical neighbours in `offsets()`."""


def draw_pairs(
    random: np.random.Generator, side: int, where: list[Offset], count: int
) -> tuple[Positions, Positions]:
    """First and second positions of `count` random pairs for each offset.

    No pair is drawn again before all of its offset have been.

    Returns:
        Indices into a latent flattened in raster order, `(offsets, count)` both.
    """
    firsts, seconds = [], []
    for offset in where:
        down, right = offset.step
        wide = side - abs(right)
        rows, columns = np.divmod(_shuffled(random, (side - down) * wide, count), wide)
        columns += max(0, -right)
        firsts.append(rows * side + columns)
        seconds.append((rows + down) * side + columns + right)
    return np.stack(firsts), np.stack(seconds)


def draw_windows(
    random: np.random.Generator, side: int, window: Window, count: int
) -> Positions | None:
    """`count` random positions whose causal window lies inside, each before what the window holds.

    Returns:
        Indices, `(1 + window positions, count)`; None where the latent is smaller than the window.
    """
    if side <= window.above or side <= window.left + window.right:
        return None
    wide = side - window.left - window.right
    rows, columns = np.divmod(_shuffled(random, (side - window.above) * wide, count), wide)
    rows, columns = rows + window.above, columns + window.left
    inside = [(0, 0), *window.offsets]
    return np.stack([(rows + down) * side + columns + right for down, right in inside])


def _shuffled(random: np.random.Generator, available: int, count: int) -> Positions:
    """`count` numbers below `available` in random order, each once before any comes twice."""
    return np.resize(random.permutation(available), count)
