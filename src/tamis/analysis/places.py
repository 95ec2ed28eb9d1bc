"""The positions drawn in patches, and where they are when patches are put end to end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamis.analysis.pairs import ADJACENT, Positions, draw_pairs, draw_windows, offsets
from tamis.learned.context import LEE_WINDOW


@dataclass(frozen=True)
class Drawn:
    """Positions drawn in one patch; see `draw_pairs` and `draw_windows`."""

    first: Positions
    second: Positions
    windows: Positions | None


def draw(random: np.random.Generator, side: int, pairs: int) -> Drawn:
    """Positions for one patch: `pairs` adjacent ones, half of them horizontal, half vertical.

    As many (half of `pairs`) are drawn for every other direction and distance.
    """
    first, second = draw_pairs(random, side, offsets(side), pairs // 2)
    return Drawn(first, second, draw_windows(random, side, LEE_WINDOW, pairs))


@dataclass(frozen=True)
class Places:
    """The positions drawn in all patches of a block, as indices into its patches end to end.

    Attributes:
        pairs: `(offsets, 2, pairs)`.
        adjacent: of the pairs, the adjacent ones, `(2, pairs)`.
        strangers: pairs of positions in patches of different photos, `(2, pairs)` for each shift.
        windows: `(1 + window, positions)`, or None.
    """

    pairs: Positions
    adjacent: Positions
    strangers: list[Positions]
    windows: Positions | None

    @classmethod
    def of(
        cls, drawn: Sequence[Drawn], photos: Sequence[int], positions: int, shifts: int
    ) -> "Places":
        """Put the patches, of `positions` positions each, end to end."""
        ends = np.stack([np.stack([d.first, d.second], 1) for d in drawn])
        ends += positions * np.arange(len(drawn))[:, None, None, None]
        adjacent = ends[:, ADJACENT].swapaxes(1, 2).reshape(len(drawn), 2, -1)
        strangers = []
        for shift in range(1, shifts + 1):
            a, b = _strangers(photos, shift)
            apart = np.stack([adjacent[a, 0].ravel(), adjacent[b, 1].ravel()])
            strangers.append(apart)
        windows = [d.windows + positions * i for i, d in enumerate(drawn) if d.windows is not None]
        return cls(
            np.concatenate(list(ends), -1),
            np.concatenate(list(adjacent), -1),
            strangers,
            np.concatenate(windows, -1) if windows else None,
        )


def _strangers(photos: Sequence[int], shift: int) -> tuple[list[int], list[int]]:
    """Patches, and for each another of the block `shift` further on that shows another photo."""
    count = len(photos)
    pairs = [(i, (i + shift) % count) for i in range(count)]
    apart = [(a, b) for a, b in pairs if photos[a] != photos[b]]
    return [a for a, _ in apart], [b for _, b in apart]
