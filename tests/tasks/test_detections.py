"""Detections survive their fixed rows; parts that do not fit are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import TamisError
from tamis.tasks.detections import Detections, Packing


def random_detections(n: int, seed: int, side: int = 0, keypoints: bool = False) -> Detections:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((n, 2, 2), np.float32), axis=1)
    return Detections(
        corners.reshape(n, 4),
        np.sort(rng.random(n, np.float32))[::-1],
        rng.integers(0, 80, n),
        rng.random((n, side, side), np.float32) if side else None,
        rng.random((n, 17, 3), np.float32) if keypoints else None,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.sampled_from([0, 4]), st.booleans(), st.integers(0, 9))
def test_what_is_packed_comes_back(n: int, side: int, keypoints: bool, seed: int) -> None:
    found = random_detections(n, seed, side, keypoints)
    packing = Packing(12, side, keypoints)
    row = packing.pack(found, 640, 427)
    assert row.shape == (packing.width,) and row.dtype == np.float32
    back, width, height = packing.unpack(row)
    assert (width, height, len(back)) == (640, 427, n)
    for name in ("boxes", "scores", "classes", "masks", "keypoints"):
        a, b = getattr(found, name), getattr(back, name)
        assert (a is None and b is None) or np.array_equal(a, b)


def test_a_row_keeps_the_surest() -> None:
    found = random_detections(9, 1)[np.arange(9)[::-1]]
    back, _, _ = Packing(3).unpack(Packing(3).pack(found, 10, 10))
    assert back.scores.tolist() == sorted(found.scores.tolist())[::-1][:3]


def test_rows_of_several_pictures_have_one_length() -> None:
    found = [random_detections(n, n) for n in (0, 2, 5)]
    assert Packing(4).pack_all(found, [(8, 9)] * 3).shape == (3, Packing(4).width)
    assert Packing(4).pack_all([], []).shape == (0, Packing(4).width)


@pytest.mark.parametrize("name", ["scores", "classes", "masks", "keypoints"])
def test_parts_that_do_not_fit_are_refused(name: str) -> None:
    parts = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "classes": np.zeros(2, np.int64)}
    with pytest.raises(TamisError, match=f"{name} of 2 detections have shape"):
        Detections(**{**parts, name: np.zeros(3)})  # type: ignore[arg-type]
