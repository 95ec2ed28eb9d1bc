"""Colour planes: neutral stays neutral, borders repeat, a round trip loses only the rounding."""

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.codecs.ycbcr import ColorFormat, Layout, Matrix, planes_to_rgb, rgb_to_planes

photo = skimage.data.astronaut()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020", "rgb", "ycgco"])
@pytest.mark.parametrize("limited", [False, True])
def test_full_resolution_round_trip_loses_only_the_rounding(matrix: Matrix, limited: bool) -> None:
    image = photo[100:200, 50:177]
    color = ColorFormat("444", matrix, limited)
    back = planes_to_rgb(rgb_to_planes(image, color), 127, 100, color)
    assert np.abs(back.astype(int) - image).max() <= (4 if limited else 2)


def test_full_range_bt601_is_jfif() -> None:
    image = photo[:64, :64]
    luma, blue, red = rgb_to_planes(image, ColorFormat("444"))
    r, g, b = np.moveaxis(image.astype(float), 2, 0)
    assert np.abs(luma - (0.299 * r + 0.587 * g + 0.114 * b)).max() <= 0.501
    assert np.abs(blue - (128 + (b - luma) / 1.772)).max() <= 1
    assert np.abs(red - (128 + (r - luma) / 1.402)).max() <= 1


def test_limited_range_black_and_white() -> None:
    image = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)]).reshape(
        8, 4, 3
    )
    luma = rgb_to_planes(image, ColorFormat("444", limited=True))[0]
    assert sorted(set(luma.flat)) == [16, 235]


@given(st.integers(0, 255), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=30)
def test_grey_survives_chroma_subsampling_exactly(grey: int, height: int, width: int) -> None:
    image = np.full((height, width, 3), grey, np.uint8)
    planes = rgb_to_planes(image, ColorFormat())
    assert planes[1].shape == ((height + 1) // 2, (width + 1) // 2)
    assert np.array_equal(planes_to_rgb(planes, width, height, ColorFormat()), image)


def test_subsampled_photo_comes_back_close() -> None:
    image = photo[20:221, 100:333]
    back = planes_to_rgb(rgb_to_planes(image, ColorFormat()), 233, 201, ColorFormat())
    assert psnr(back, image) > 37


@pytest.mark.parametrize("layout", ["400", "420", "422", "444"])
def test_padding_outside_the_picture_changes_nothing(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    color = ColorFormat(layout)
    tall, wide = (2 if layout == "420" else 1), (1 if layout == "444" else 2)
    planes = [rng.integers(0, 256, (13, 21), np.uint8)]
    if layout != "400":
        planes += [rng.integers(0, 256, (-(-13 // tall), -(-21 // wide)), np.uint8) for _ in "br"]
    padded = [np.pad(p, ((0, 8), (0, 8)), constant_values=77) for p in planes]
    assert np.array_equal(
        planes_to_rgb(planes, 21, 13, color), planes_to_rgb(padded, 21, 13, color)
    )


@pytest.mark.parametrize("layout", ["420", "422"])
def test_bands_have_no_seams(layout: Layout) -> None:
    """A tall picture, converted in several bands, equals its own lower part away from the cut."""
    rng = np.random.default_rng(1)
    planes = [rng.integers(0, 256, (200, 16), np.uint8)]
    planes += [rng.integers(0, 256, (100 if layout == "420" else 200, 8), np.uint8) for _ in "br"]
    whole = planes_to_rgb(planes, 16, 200, ColorFormat(layout))
    cut = [p[len(p) // 5 :] for p in planes]
    part = planes_to_rgb(cut, 16, 160, ColorFormat(layout))
    assert np.array_equal(whole[50:], part[10:])


def test_cosited_chroma_is_half_a_sample_to_the_left() -> None:
    ramp = np.tile(np.arange(0, 128, 4, dtype=np.uint8), (8, 1))
    planes = [np.full((16, 64), 128, np.uint8), np.full((8, 32), 128, np.uint8), ramp]
    red = [
        planes_to_rgb(planes, 64, 16, ColorFormat(cosited=c))[8, 20:40, 0] for c in (False, True)
    ]
    shift = np.mean(red[1].astype(float) - red[0]) / 1.402
    assert 0.8 < shift < 1.2  # two grey levels a luma sample, moved by half of one
