"""Large pictures filtered in overlapping tiles, with the result of one piece (no torch)."""

from collections.abc import Callable, Iterator

import numpy as np

from tamis.errors import TamisError
from tamis.preprocessing.padding import Planes, crop, pad

GRID = 16
"""Tiles begin on this grid: the coarsest block grid of the networks and the codecs' transforms."""


def filter_in_tiles(
    x: Planes, run: Callable[[Planes], Planes], multiple: int, halo: int, tile: int
) -> Planes:
    """Apply `run` to `x` `(N, 3, H, W)` of any size, at most about `tile x tile` pixels at once.

    Each tile is computed with `halo` pixels of its surroundings and only its inside is kept. A
    network whose receptive field is no wider than `halo` therefore gives what it gives for the
    whole picture, up to float rounding; at the picture's own border the tile ends where the
    picture ends, so the network's zero padding is the same too.

    Raises:
        TamisError: `tile` leaves no room inside the halo.
    """
    height, width = x.shape[2:]
    padded = pad(x, multiple)
    if max(padded.shape[2:]) <= tile:
        return crop(run(padded), height, width)
    core = (tile - 2 * halo) // GRID * GRID
    if core < GRID:
        raise TamisError(f"tiles of {tile} pixels are too small; at least {2 * halo + GRID}")
    out = np.empty_like(padded)
    for top, bottom, outer_top, outer_bottom in spans(padded.shape[2], core, halo):
        for left, right, outer_left, outer_right in spans(padded.shape[3], core, halo):
            piece = run(padded[:, :, outer_top:outer_bottom, outer_left:outer_right])
            out[:, :, top:bottom, left:right] = piece[
                :, :, top - outer_top : bottom - outer_top, left - outer_left : right - outer_left
            ]
    return crop(out, height, width)


def spans(size: int, core: int, halo: int) -> Iterator[tuple[int, int, int, int]]:
    """Start and stop of each tile's inside along one axis, then of the tile with its halo.

    >>> list(spans(64, 32, 16))
    [(0, 32, 0, 48), (32, 64, 16, 64)]
    """
    for start in range(0, size, core):
        stop = min(start + core, size)
        yield start, stop, max(start - halo, 0), min(stop + halo, size)
