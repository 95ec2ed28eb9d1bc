"""The baselines do exactly what their names say, on pictures of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tamis.codecs import Image, get_codec
from tamis.preprocessing import get_preprocessor

JPEG = get_codec("jpeg")


def apply(spec: str, image: Image) -> Image:
    return get_preprocessor(spec)(image, JPEG, 20)


def test_none_returns_the_image(photos: list[Image]) -> None:
    assert apply("none", photos[0]) is photos[0]


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_blur_is_a_gaussian(sigma: float, photos: list[Image]) -> None:
    image = photos[0][:70, :50]
    expected = gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="reflect", truncate=4)
    assert np.abs(apply(f"blur:{sigma}", image) - expected).max() <= 0.6


def test_blur_leaves_a_flat_picture_alone() -> None:
    flat = np.full((9, 5, 3), 77, np.uint8)
    assert np.array_equal(apply("blur:2", flat), flat)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.01, 0.5, 0.75, 0.99]))
def test_downscale_stores_a_smaller_picture_of_at_least_one_pixel(
    height: int, width: int, factor: float
) -> None:
    small = apply(f"downscale:{factor}", np.zeros((height, width, 3), np.uint8))
    assert small.shape == (max(1, round(height * factor)), max(1, round(width * factor)), 3)


def test_lowpass_keeps_what_is_slow_and_takes_what_is_fast() -> None:
    waves = {
        period: np.rint(128 + 100 * np.cos(2 * np.pi * np.arange(120) / period))
        for period in (12, 2.5)
    }
    slow, fast = (
        np.tile(wave[None, :, None], (40, 1, 3)).astype(np.uint8) for wave in waves.values()
    )
    inside = np.s_[10:-10, 10:-10]
    assert np.abs(apply("lowpass:0.5", slow).astype(int) - slow)[inside].max() <= 6
    assert np.abs(apply("lowpass:0.5", fast).astype(int) - 128)[inside].max() <= 20


@given(st.integers(1, 20), st.integers(1, 20))
def test_lowpass_keeps_any_size(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    assert apply("lowpass:0.6", image).shape == image.shape


@given(st.integers(1, 20), st.integers(1, 20))
def test_blur_keeps_any_size(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    assert apply("blur:3", image).shape == image.shape
