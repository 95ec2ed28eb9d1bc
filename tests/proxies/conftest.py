"""Crops of the sample photos, many and different: a proxy must rank pictures by their rate."""

import numpy as np
import pytest

from tamis.codecs import Image


@pytest.fixture(scope="session")
def crops(photos: list[Image]) -> list[Image]:
    """Twenty-eight crops of 128 x 128, four of each photo, from smooth to detailed."""
    rng = np.random.default_rng(5)
    cut = []
    for photo in photos:
        for _ in range(4):
            top, left = (int(rng.integers(0, side - 128)) for side in photo.shape[:2])
            cut.append(np.ascontiguousarray(photo[top : top + 128, left : left + 128]))
    return cut
