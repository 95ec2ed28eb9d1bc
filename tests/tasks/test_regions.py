"""Rotated squares: points go to the picture and back, cutting samples where points say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.tasks.regions import Region, sample

ROWS, COLUMNS = np.mgrid[0:40, 0:60]
RAMP = np.stack([4 * COLUMNS, 4 * ROWS, 0 * ROWS], axis=-1).astype(np.uint8)
"""A picture whose red says the column and whose green says the row."""


@given(st.floats(20, 40), st.floats(15, 25), st.floats(4, 20), st.floats(-3.1, 3.1))
def test_a_cut_holds_what_its_points_point_at(
    x: float, y: float, side: float, angle: float
) -> None:
    region = Region(x, y, side, angle)
    cut = region.cut(RAMP, 8)
    steps = np.arange(8) / 8
    places = region.to_picture(np.stack(np.meshgrid(steps, steps), axis=-1))
    inside = ((places >= 0) & (places <= [59, 39])).all(axis=-1)
    assert np.abs(cut[..., :2] - 4 * places)[inside].max(initial=0) <= 0.51


def test_an_upright_square_of_whole_pixels_is_a_slice() -> None:
    cut = Region(30, 20, 16).cut(RAMP, 16)
    assert np.array_equal(cut, RAMP[12:28, 22:38])


def test_a_quarter_turn_clockwise_turns_the_picture_back() -> None:
    upright = Region(30, 20, 16).to_picture(np.array([[0.5, 0.0]]))
    turned = Region(30, 20, 16, np.pi / 2).to_picture(np.array([[0.5, 0.0]]))
    assert upright[0] == pytest.approx([30, 12])
    assert turned[0] == pytest.approx([38, 20])


def test_the_square_around_a_picture_holds_it_between_black_bars() -> None:
    region = Region.around(RAMP)
    assert (region.x, region.y, region.side) == (30, 20, 60)
    white = np.full_like(RAMP, 255)
    cut = region.cut(white, 60, zero_outside=True)
    assert cut[:10].max() == 0 and cut[51:].max() == 0
    assert cut[11:49].min() == 255


def test_beyond_the_edge_the_picture_goes_on_or_is_black() -> None:
    beyond = np.array([[-7.0, 20.0]])
    assert sample(RAMP, beyond)[0].tolist() == RAMP[20, 0].tolist()
    assert sample(RAMP, beyond, zero_outside=True)[0].tolist() == [0, 0, 0]
