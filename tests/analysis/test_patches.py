"""Patches depend on the seed and their number only; groups share no photo."""

from pathlib import Path

import numpy as np
import pytest

from tamis.analysis.patches import BLOCK, Patches, at_least
from tamis.codecs import Image
from tamis.errors import TamisError


def test_a_patch_depends_on_seed_and_number_only(noise: list[Path]) -> None:
    few, many = Patches(tuple(noise), 12, 128), Patches(tuple(noise), 400, 128)
    for a, b in zip(few.block(1), many.block(1)[:4], strict=True):
        assert a.photo == b.photo
        assert np.array_equal(a.image, b.image)
        assert a.random.random() == b.random.random()
    other = Patches(tuple(noise), 400, 128, seed=1)
    assert [p.photo for p in other.block(0)] != [p.photo for p in many.block(0)]


def test_groups_share_no_photo_and_cover_all(noise: list[Path]) -> None:
    patches = Patches(tuple(noise), 10_000, 128)
    seen: dict[int, set[int]] = {}
    for block in range(patches.groups * 12):
        seen.setdefault(block % patches.groups, set()).update(p.photo for p in patches.block(block))
    assert patches.groups == 32
    assert sum(len(photos) for photos in seen.values()) == len(noise)
    assert set().union(*seen.values()) == set(range(len(noise)))


def test_the_last_block_holds_what_is_left(noise: list[Path]) -> None:
    patches = Patches(tuple(noise), 2 * BLOCK + 3, 128)
    assert [len(patches.block(b)) for b in range(patches.blocks)] == [BLOCK, BLOCK, 3]


def test_a_patch_is_cut_from_its_photo(noise: list[Path]) -> None:
    from tamis.data import load_photo

    patch = Patches(tuple(noise), 8, 128).block(0)[0]
    photo = load_photo(noise[patch.photo])
    windows = np.lib.stride_tricks.sliding_window_view(photo, (128, 128, 3))[:, :, 0]
    assert any(np.array_equal(patch.image, cut) for row in windows for cut in row)


def test_small_photos_are_mirrored(photos: list[Image]) -> None:
    small = photos[0][:70, :200]
    grown = at_least(small, 128, "reflect")
    assert grown.shape == (128, 200, 3)
    assert np.array_equal(grown[29:99], small)
    assert np.array_equal(grown[28], small[1])
    assert np.array_equal(grown[99], small[-2])


def test_small_photos_are_enlarged_in_proportion(photos: list[Image]) -> None:
    small = photos[0][:70, :200]
    grown = at_least(small, 128, "resize")
    assert grown.shape == (128, 366, 3)
    assert abs(float(grown.mean()) - float(small.mean())) < 1


def test_large_photos_stay_as_they_are(photos: list[Image]) -> None:
    assert at_least(photos[0], 128, "reflect") is photos[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 100}, "multiple of 64"), ({"size": 64}, "at least 128"), ({"count": 0}, "at least")],
)
def test_settings_out_of_range(noise: list[Path], settings: dict[str, int], message: str) -> None:
    with pytest.raises(TamisError, match=message):
        Patches(tuple(noise), **settings)  # type: ignore[arg-type]
