"""Any size goes in, the same size comes out, and tiles leave no seam."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.errors import TamisError
from tamis.preprocessing.module import TorchPreprocessor
from tamis.preprocessing.network import Network
from tamis.preprocessing.padding import crop, pad, to_images, to_planes
from tamis.preprocessing.tiling import filter_in_tiles, spans

Make = Callable[[str], Network]


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([8, 16]))
def test_padding_reaches_the_multiple_and_comes_off_again(
    height: int, width: int, multiple: int
) -> None:
    x = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    padded = pad(x, multiple)
    assert all(
        0 <= new - old < multiple and new % multiple == 0
        for old, new in zip(x.shape[2:], padded.shape[2:], strict=True)
    )
    assert np.array_equal(crop(padded, height, width), x)


def test_padding_mirrors_about_the_last_pixel() -> None:
    row = np.arange(6, dtype=np.float32).reshape(1, 1, 1, 6)
    assert pad(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]


@given(st.integers(1, 500), st.integers(1, 4), st.integers(0, 3))
def test_tiles_cover_every_pixel_once_and_begin_on_the_grid(
    size: int, core: int, halo: int
) -> None:
    tiles = list(spans(size, 16 * core, 16 * halo))
    assert [i for start, stop, _, _ in tiles for i in range(start, stop)] == list(range(size))
    assert all(outer % 16 == 0 for _, _, outer, _ in tiles)


def test_every_level_survives_the_way_to_float_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_images(to_planes(levels)), levels)


@pytest.mark.parametrize(("name", "tile"), [("npp-lite", 160), ("npp-narrow", 352)])
def test_tiles_give_what_one_piece_gives(name: str, tile: int, shaken: Make) -> None:
    x = np.random.default_rng(1).random((1, 3, 300, 700), np.float32)
    network = shaken(name)
    whole = TorchPreprocessor(network).filter(x, 0.3)
    tiled = TorchPreprocessor(network, tile=tile).filter(x, 0.3)
    assert np.abs(whole - x).max() > 10 / 255
    assert np.abs(whole - tiled).max() < 1e-5
    levels = [to_images(y).astype(int) for y in (whole, tiled)]
    assert np.abs(levels[0] - levels[1]).max() <= 1


def test_a_tile_without_room_for_its_halo_is_refused() -> None:
    with pytest.raises(TamisError, match="at least 112"):
        filter_in_tiles(np.zeros((1, 3, 200, 200), np.float32), lambda x: x, 16, 48, 96)
