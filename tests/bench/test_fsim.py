"""FSIM against piq, and where it must be perfect or undecided."""

import numpy as np
import pytest

from tamis.bench.fsim import fsim


def posterized(photo):
    return photo // 48 * 48 + 24


def blurred(photo):
    wide = photo.astype(np.float64)
    shifted = [np.roll(wide, (y, x), (0, 1)) for y in range(3) for x in range(3)]
    return (sum(shifted) / 9).astype(np.uint8)


def tinted(photo):
    return np.clip(photo + np.array([40, 0, -25]), 0, 255).astype(np.uint8)


PIQ = [
    ("astronaut", posterized, 0.874273),
    ("astronaut", blurred, 0.913690),
    ("astronaut", tinted, 0.969106),
    ("cat", posterized, 0.807339),
    ("cat", blurred, 0.899060),
    ("cat", tinted, 0.990799),
    ("flower", posterized, 0.830848),
    ("flower", blurred, 0.964395),
]
"""`piq.fsim` of piq 0.8.0 (chromatic) on these pictures of scikit-image and scikit-learn."""


@pytest.mark.parametrize(("name", "change", "theirs"), PIQ)
def test_fsim_agrees_with_piq(named_photos, name, change, theirs):
    photo = named_photos[name]
    # The largest difference is 1.5e-4, for a tint: piq turns RGB into another YIQ than the paper.
    assert fsim(change(photo), photo) == pytest.approx(theirs, abs=2e-4)


def test_equal_pictures_are_perfect(named_photos):
    photo = named_photos["cat"]
    assert fsim(photo, photo) == pytest.approx(1, abs=1e-6)


def test_colour_counts(named_photos):
    photo = named_photos["coffee"]
    luminance = photo @ np.array([0.299, 0.587, 0.114])
    grey = np.repeat(luminance.round().astype(np.uint8)[..., None], 3, axis=2)
    assert 0.8 < fsim(grey, photo) < 0.98
