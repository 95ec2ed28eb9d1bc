"""Crops: found, cut and repeated by step number."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tamis.errors import RecipeError, TamisError
from tamis.training.photos import Photos, central, cut
from tamis.training.recipe import DataRecipe

DATA = DataRecipe(folders=("sample",), crop=64, held_out=3, cropping=("resized", "whole", "native"))


def test_a_step_gets_the_same_crops_whatever_came_before() -> None:
    first, second = Photos(DATA, 0), Photos(DATA, 0)
    for step in range(3):
        first.batch(step, 4)
    assert np.array_equal(first.batch(3, 4), second.batch(3, 4))
    assert not np.array_equal(first.batch(3, 4), first.batch(4, 4))


def test_held_out_photos_are_not_trained_on_and_every_other_is_seen_each_epoch() -> None:
    photos = Photos(DATA, 0)
    assert len(photos.held_out) == 3
    seen = [photos._at(i) for i in range(len(photos.training))]
    assert sorted(seen) == sorted(photos.training)
    assert not set(seen) & set(photos.held_out)


@pytest.mark.parametrize("cropping", ["resized", "whole", "native", "reflected"])
@pytest.mark.parametrize("size", [(40, 90), (300, 200), (64, 64)])
def test_crops_have_the_crop_size(cropping: str, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert cut(image, cropping, DATA, np.random.default_rng(0)).shape == (64, 64, 3)


def test_a_photo_smaller_than_the_crop_is_reflected() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 64, 3), np.uint8)
    crop = cut(image, "reflected", DATA, np.random.default_rng(1))
    straight = crop if np.array_equal(crop[:20], image) else crop[:, ::-1]
    assert np.array_equal(straight[:20], image)
    assert np.array_equal(straight[20:40], image[::-1])
    assert np.array_equal(straight[40:60], image)


def test_native_crops_keep_the_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 80, 3), np.uint8)
    crop = cut(image, "native", DATA, np.random.default_rng(1))
    windows = np.lib.stride_tricks.sliding_window_view(image, (64, 64, 3)).reshape(-1, 64, 64, 3)
    assert any(np.array_equal(w, crop) or np.array_equal(w[:, ::-1], crop) for w in windows)


def test_the_central_square_is_centred() -> None:
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = 255
    assert (central(image, 64) == 255).all()


def test_large_photos_are_kept_small(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("RGB", (900, 300), (i, 0, 0)).save(tmp_path / f"{i}.jpg")
    data = DataRecipe(folders=(str(tmp_path),), held_out=1, cache_side=300)
    photos = Photos(data, 0)
    assert photos.photo(photos.training[0]).shape == (100, 300, 3)


def test_photos_are_kept_whole_if_the_recipe_says_so(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("RGB", (900, 300), (i, 0, 0)).save(tmp_path / f"{i}.jpg")
    photos = Photos(DataRecipe(folders=(str(tmp_path),), held_out=1, cache_side=None), 0)
    assert photos.photo(photos.training[0]).shape == (300, 900, 3)


def test_too_few_photos_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="too few to hold out"):
        Photos(DataRecipe(folders=("sample",), held_out=50), 0)
    with pytest.raises(TamisError, match="no photos"):
        Photos(DataRecipe(folders=(str(tmp_path),)), 0)
