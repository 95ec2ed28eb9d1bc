"""A folder of photos becomes a folder of files, whole, once, and whatever some photos are like."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import tamis
from tamis.codecs import Image
from tamis.compression import compress, decompress
from tamis.errors import TamisError


@pytest.fixture
def tree(photos: list[Image], tmp_path: Path) -> Path:
    """Six small photos in a tree, of two sizes, one of them a damaged file."""
    root = tmp_path / "photos"
    for i, name in enumerate(["a.png", "b.png", "deep/c.png", "deep/er/d.webp", "e.bmp", "f.png"]):
        crop = photos[i][100:164, 100 : 196 if i % 2 else 164]
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(crop).save(path)
    (root / "f.png").write_bytes((root / "f.png").read_bytes()[:500])
    return root


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_tree_is_mirrored_with_the_suffix_of_the_codec(tree: Path, tmp_path: Path) -> None:
    compress([tree], tmp_path / "out", quality=40, preprocessor="none")
    assert sorted(files(tmp_path / "out")) == [
        "a.jpg",
        "b.jpg",
        "deep/c.jpg",
        "deep/er/d.jpg",
        "e.jpg",
    ]


def test_every_file_is_what_encode_makes_of_its_photo(tree: Path, tmp_path: Path) -> None:
    compress([tree], tmp_path / "out", quality=40, preprocessor="blur:1.0", workers=2)
    photo = np.array(PillowImage.open(tree / "deep" / "c.png"))
    expected = tamis.encode(photo, "jpeg", 40, "blur:1.0")
    assert (tmp_path / "out" / "deep" / "c.jpg").read_bytes() == expected


def test_a_damaged_photo_is_reported_and_the_rest_is_done(tree: Path, tmp_path: Path) -> None:
    summary = compress([tree], tmp_path / "out")
    assert summary.written == 5
    assert [f.source.name for f in summary.failures] == ["f.png"]
    assert "\n" not in summary.failures[0].reason


def test_the_summary_counts_what_was_written(tree: Path, tmp_path: Path) -> None:
    summary = compress([tree], tmp_path / "out")
    written = files(tmp_path / "out")
    assert summary.target_bytes == sum(map(len, written.values()))
    pixels = sum(np.prod(tamis.decode(data).shape[:2]) for data in written.values())
    assert summary.pixels == pixels
    assert summary.bpp == pytest.approx(8 * summary.target_bytes / pixels)


def test_a_second_run_goes_on_where_the_first_stopped(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compress([tree], out)
    whole = files(out)
    (out / "b.jpg").unlink()
    (out / ".b.jpg.part").write_bytes(b"what a killed run left behind")
    (out / "a.jpg").write_bytes(b"untouched")
    summary = compress([tree], out)
    assert (summary.written, summary.skipped) == (1, 4)
    assert files(out) == whole | {"a.jpg": b"untouched"}
    assert compress([tree], out, overwrite=True).written == 5
    assert files(out) == whole


def test_two_sources_of_one_target_are_refused_before_anything_is_written(
    tree: Path, tmp_path: Path
) -> None:
    (tree / "a.bmp").write_bytes((tree / "e.bmp").read_bytes())
    with pytest.raises(TamisError, match=r"a\.bmp and .*a\.png would both become .*a\.jpg"):
        compress([tree], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_file_given_twice_is_done_once(tree: Path, tmp_path: Path) -> None:
    summary = compress([tree / "a.png", tree / "a.png"], tmp_path / "out")
    assert summary.written == 1


def test_a_source_is_never_overwritten(tree: Path) -> None:
    PillowImage.new("RGB", (8, 8)).save(tree / "x.jpg")
    with pytest.raises(TamisError, match="would overwrite the source"):
        compress([tree / "x.jpg"], tree, overwrite=True)


def test_output_below_the_source_folder_is_not_compressed_again(tree: Path) -> None:
    compress([tree], tree / "small")
    again = compress([tree], tree / "small")
    assert (again.written, again.skipped) == (0, 5)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_decompress_writes_the_decoded_pixels_as_png(
    tree: Path, tmp_path: Path, codec: str
) -> None:
    compress([tree], tmp_path / "small", codec)
    suffix = tamis.get_codec(codec).suffix
    summary = decompress([tmp_path / "small"], tmp_path / "png")
    assert summary.written == 5
    decoded = np.array(PillowImage.open(tmp_path / "png" / "deep" / "er" / "d.png"))
    data = (tmp_path / "small" / "deep" / "er" / f"d{suffix}").read_bytes()
    np.testing.assert_array_equal(decoded, tamis.decode(data))


def test_a_damaged_file_does_not_stop_decoding(tree: Path, tmp_path: Path) -> None:
    compress([tree], tmp_path / "small")
    (tmp_path / "small" / "b.jpg").write_bytes(b"\xff\xd8\xff nothing")
    summary = decompress([tmp_path / "small"], tmp_path / "png")
    assert summary.written == 4
    assert [f.source.name for f in summary.failures] == ["b.jpg"]


def test_a_target_that_cannot_be_written_ends_the_run(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(TamisError, match="cannot write"):
        compress([tree], tmp_path / "out")


def test_the_result_does_not_depend_on_the_number_of_workers(tree: Path, tmp_path: Path) -> None:
    compress([tree], tmp_path / "one", workers=1)
    compress([tree], tmp_path / "three", workers=3)
    assert files(tmp_path / "one") == files(tmp_path / "three")
    with pytest.raises(TamisError, match="at least 1"):
        compress([tree], tmp_path / "none", workers=0)


def test_progress_counts_every_photo_once(tree: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    compress([tree], tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
