"""Pairs lie where their offset says, inside the latent."""

import numpy as np
import pytest

from tamis.analysis.pairs import ADJACENT, Offset, draw_pairs, draw_windows, offsets
from tamis.learned.context import LEE_WINDOW


@pytest.mark.parametrize("side", [2, 8, 32])
def test_pairs_are_as_far_apart_as_their_offset(side: int) -> None:
    where = offsets(side)
    first, second = draw_pairs(np.random.default_rng(0), side, where, 500)
    rows, columns = second // side - first // side, second % side - first % side
    for offset, down, right in zip(where, rows, columns, strict=True):
        assert np.all(down == offset.step[0])
        assert np.all(right == offset.step[1])
    assert min(first.min(), second.min()) == 0
    assert max(first.max(), second.max()) == side * side - 1


def test_every_pair_is_drawn_before_any_is_drawn_again() -> None:
    first, _ = draw_pairs(np.random.default_rng(0), 5, [Offset("antidiagonal", 2)], 13)
    every = {r * 5 + c for r in range(3) for c in range(2, 5)}
    assert set(first[0, :9]) == every
    assert set(first[0, 9:]) < every


def test_all_directions_and_distances_that_fit() -> None:
    assert len(offsets(32)) == 4 * 8
    assert len(offsets(4)) == 4 * 3
    assert [offsets(32)[i] for i in ADJACENT] == [Offset("horizontal", 1), Offset("vertical", 1)]


def test_windows_hold_the_target_and_what_comes_before_it() -> None:
    places = draw_windows(np.random.default_rng(0), 8, LEE_WINDOW, 300)
    assert places is not None
    assert places.shape == (15, 300)
    assert np.all(places[1:] < places[0])
    assert places.min() == 0
    assert np.all(np.abs(places[1:] % 8 - places[0] % 8) <= 2)


def test_a_latent_smaller_than_the_window_has_none() -> None:
    assert draw_windows(np.random.default_rng(0), 3, LEE_WINDOW, 10) is None
