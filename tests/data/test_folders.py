"""Photos on disk come out as upright RGB bytes, whatever file they came in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.data import labels_of, list_photos, load_photo
from tamis.errors import CorruptFileError, TamisError

ORIENTATION = 0x0112


@pytest.fixture
def crop(photos: list[Image]) -> Image:
    return np.ascontiguousarray(photos[0][100:140, 200:260])


def save(image: Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(image).save(path, **options)
    return path


def test_photos_are_listed_in_sorted_order_to_the_depths(crop: Image, tmp_path: Path) -> None:
    names = ["b.png", "a/z.JPG", "a/deep/c.webp"]
    paths = [save(crop, tmp_path / name) for name in names]
    (tmp_path / "notes.txt").write_text("not a photo")
    save(crop, tmp_path / ".thumbnails" / "hidden.png")
    assert list_photos(tmp_path) == sorted(paths)
    assert list_photos(paths[0]) == [paths[0]]


def test_no_photos_is_an_error_that_names_the_suffixes(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match=r"no photos in .*\.jpg"):
        list_photos(tmp_path)
    with pytest.raises(TamisError, match="does not exist"):
        list_photos(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["photo.png", "photo.bmp", "photo.tif", "photo.ppm", "photo.tga"])
def test_lossless_files_are_read_exactly(crop: Image, tmp_path: Path, name: str) -> None:
    loaded = load_photo(save(crop, tmp_path / name))
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    np.testing.assert_array_equal(loaded, crop)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.webp", "photo.avif", "photo.heic"])
def test_lossy_files_are_read_as_rgb(crop: Image, tmp_path: Path, name: str) -> None:
    if name.endswith(".heic"):
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(PillowImage.fromarray(crop)).save(tmp_path / name, quality=90)
    else:
        save(crop, tmp_path / name, quality=90)
    loaded = load_photo(tmp_path / name)
    assert loaded.shape == crop.shape
    assert np.abs(loaded.astype(int) - crop).mean() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10
    upright = [
        stored,
        stored[:, ::-1],
        stored[::-1, ::-1],
        stored[::-1],
        stored.swapaxes(0, 1),
        np.rot90(stored, -1),
        stored[::-1, ::-1].swapaxes(0, 1),
        np.rot90(stored, 1),
    ]
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    path = save(stored, tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(load_photo(path), upright[orientation - 1])


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 255, 128]
    path = tmp_path / "clear.png"
    PillowImage.fromarray(rgba).save(path)
    np.testing.assert_array_equal(load_photo(path)[0, :, 0], [255, 0, 127])


def test_a_palette_with_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.array([[0, 1]], np.uint8))
    picture = picture.convert("P")
    picture.putpalette([200, 10, 10, 10, 200, 10])
    picture.save(tmp_path / "palette.png", transparency=0)
    expected = [[[255, 255, 255], [10, 200, 10]]]
    np.testing.assert_array_equal(load_photo(tmp_path / "palette.png"), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    path = tmp_path / f"deep{suffix}"
    PillowImage.fromarray(values).save(path)
    np.testing.assert_array_equal(load_photo(path)[0, :, 1], [0, 1, 128, 255])


def test_grey_bilevel_and_cmyk_become_rgb(crop: Image, tmp_path: Path) -> None:
    for mode, name in [("L", "grey.png"), ("1", "bilevel.png"), ("CMYK", "print.tif")]:
        PillowImage.fromarray(crop).convert(mode).save(tmp_path / name)
        assert load_photo(tmp_path / name).shape == crop.shape
    print_error = np.abs(load_photo(tmp_path / "print.tif").astype(int) - crop)
    assert print_error.max() <= 2


def test_broken_photos_are_refused_by_name(crop: Image, tmp_path: Path) -> None:
    whole = save(crop, tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "short.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no photo at all")
    (tmp_path / "empty.png").write_bytes(b"")
    PillowImage.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    for name in ["short.jpg", "text.jpg", "empty.png", "float.tif"]:
        with pytest.raises(CorruptFileError, match=name):
            load_photo(tmp_path / name)
    with pytest.raises(TamisError, match="does not exist"):
        load_photo(tmp_path / "missing.jpg")


def test_imagenet_names_give_the_class_index() -> None:
    paths = ["n01440764_tench.JPEG", "train/n01443537/photo_1.JPEG", "n15075141_1.jpg", "cat.jpg"]
    assert labels_of(paths) == [0, 1, 999, None]


def test_a_wordnet_id_outside_the_thousand_has_no_label() -> None:
    assert labels_of(["n00000001_x.jpg", "n014407641.jpg"]) == [None, None]
