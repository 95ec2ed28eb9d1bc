"""Wavefronts: every position once, after all it sees, with the parameters of raster order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.codecs import Image
from tamis.learned import wavefront
from tamis.learned.compressor import Compressor
from tamis.learned.context import LEE_WINDOW, MINNEN_WINDOW, Window
from tamis.learned.integer import slope
from tamis.learned.payload import HyperPayload
from tamis.learned.reference import Reference

CONTEXT = ["joint", "context-adaptive", "hybrid"]


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([LEE_WINDOW, MINNEN_WINDOW]))
def test_everything_a_window_sees_is_in_an_earlier_front(
    height: int, width: int, window: Window
) -> None:
    fronts = wavefront.wavefronts(height, width, window.slope)
    number = np.full((height, width), -1)
    for i, front in enumerate(fronts):
        assert (number.flat[front] == -1).all()
        assert len(front)
        number.flat[front] = i
    assert (number >= 0).all()
    for row, column in np.ndindex(height, width):
        for down, right in window.offsets:
            r, c = row + down, column + right
            if 0 <= r < height and 0 <= c < width:
                assert number[r, c] < number[row, column]


@pytest.mark.parametrize("window", [LEE_WINDOW, MINNEN_WINDOW])
def test_the_slope_of_stored_offsets_is_the_windows(window: Window) -> None:
    assert slope(np.array(window.offsets)) == window.slope


def test_a_photo_takes_far_fewer_steps_than_it_has_positions() -> None:
    assert len(wavefront.wavefronts(32, 48, LEE_WINDOW.slope)) == 48 + 2 * 31


@pytest.mark.parametrize("kind", CONTEXT)
def test_parameters_in_one_pass_are_those_of_raster_order(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    compressor = compressors[kind]
    payload = compressor.payload
    assert isinstance(payload, HyperPayload)
    z, y = compressor.latents(compressor.compress([crops[1]])[0])
    assert z is not None
    z, y = z.transpose(1, 2, 0), y.transpose(1, 2, 0)
    entropy = payload.entropy
    features = entropy.features(z[None])
    found = wavefront.parameters(entropy, features, y[None, ..., : entropy.context_channels])
    reference = Reference(entropy.to_tensors(), payload.z.tables, payload.tables)
    assert np.array_equal(reference.features(z), features[0])
    for row, column in np.ndindex(y.shape[:2]):
        scales, means = reference.parameters(features[0].astype(int), y, row, column)
        assert np.array_equal(found.scales[0, row, column], scales)
        assert np.array_equal(found.means[0, row, column], means)
    assert len(np.unique(found.means)) > 20


@pytest.mark.parametrize("kind", CONTEXT)
def test_what_is_not_yet_decoded_has_no_influence(
    compressors: dict[str, Compressor], kind: str
) -> None:
    payload = compressors[kind].payload
    assert isinstance(payload, HyperPayload)
    entropy = payload.entropy
    random = np.random.default_rng(0)
    features = entropy.features(random.integers(-2, 3, (1, 2, 2, 8)))
    y = random.integers(-3, 4, (1, 8, 8, entropy.context_channels))
    before = wavefront.parameters(entropy, features, y)
    y[0, 4, 3:] += 5
    y[0, 5:] += 5
    after = wavefront.parameters(entropy, features, y)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a[0, :4], b[0, :4])
        assert np.array_equal(a[0, 4, :4], b[0, 4, :4])
        assert not np.array_equal(a[0, 4, 4:], b[0, 4, 4:])
