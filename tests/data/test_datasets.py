"""Every kind of dataset gives the same thing: photos that load, with what is known of them."""

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tamis.data import Annotations, LabelledPhoto, open_dataset, open_datasets
from tamis.data.folders import decode_photo, load_photo
from tamis.errors import CorruptFileError, TamisError, UnknownNameError

BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 4, 4]}


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def shades(photos: list[LabelledPhoto]) -> list[int]:
    return [int(photo.load()[0, 0, 0]) for photo in photos]


def labels(photos: list[LabelledPhoto]) -> list[object]:
    return [photo.label for photo in photos]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """COCO's layout: `val/a.png`, `val/b.png`, and annotations of `a.png` alone."""
    (tmp_path / "val").mkdir()
    (tmp_path / "annotations").mkdir()
    for name, shade in (("a.png", 10), ("b.png", 20)):
        (tmp_path / "val" / name).write_bytes(png(shade))
    images = [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}]
    content = {"images": images, "annotations": [BOX], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "annotations/instances_val.json").write_text(json.dumps(content))
    return tmp_path


def write_shard(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_a_folder_has_the_classes_that_names_tell(tmp_path: Path) -> None:
    (tmp_path / "n01440764_tench.png").write_bytes(png(3))
    (tmp_path / "other.png").write_bytes(png(4))
    photos = open_dataset(tmp_path)
    assert labels(photos) == [0, None]
    assert shades(photos) == [3, 4]
    assert photos[0].source.place == str(tmp_path / "n01440764_tench.png")


def test_a_path_with_a_colon_is_a_path_if_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / "coco:2017"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(1))
    assert len(open_dataset(str(folder))) == 1


def test_several_datasets_are_one(tmp_path: Path, coco: Path) -> None:
    (tmp_path / "c.png").write_bytes(png(30))
    photo = LabelledPhoto(open_dataset(coco / "val/b.png")[0].source, 7)
    photos = open_datasets([f"coco:{coco}/val", tmp_path / "c.png", photo])
    assert shades(photos) == [10, 30, 20]
    assert labels(photos)[1:] == [None, 7]


def test_coco_finds_its_annotations_where_coco_puts_them(coco: Path) -> None:
    (photo,) = open_dataset(f"coco:{coco}/val")
    assert isinstance(photo.label, Annotations)
    np.testing.assert_allclose(photo.label.boxes, [[0.25, 1 / 3, 0.75, 1]], atol=1e-6)
    assert photo.source.name == "a.png"


def test_coco_takes_annotations_from_anywhere(coco: Path) -> None:
    moved = coco / "mine.json"
    (coco / "annotations/instances_val.json").rename(moved)
    assert len(open_dataset(f"coco:{coco}/val:labels={moved}")) == 1
    assert len(open_dataset(f"coco:{coco}/val:labels={moved}+{moved}")) == 1
    with pytest.raises(TamisError, match=r"say where: coco:.*labels=FILE"):
        open_dataset(f"coco:{coco}/val")
    (coco / "val/a.png").unlink()
    with pytest.raises(TamisError, match="of no photo in"):
        open_dataset(f"coco:{coco}/val:labels={moved}")


def test_shards_give_photos_and_classes_by_their_keys(tmp_path: Path) -> None:
    write_shard(tmp_path / "s-08.tar", {"x/0001.png": png(1), "x/0001.cls": b"7\n"})
    write_shard(
        tmp_path / "s-09.tar", {"2.cls": b"5", "2.seg.txt": b"", "2.png": png(2), "3.png": png(3)}
    )
    for pattern in ("s-{08..09}.tar", "s-*.tar"):
        photos = open_dataset(f"webdataset:{tmp_path}/{pattern}")
        assert shades(photos) == [1, 2, 3]
        assert labels(photos) == [7, 5, None]
    assert photos[0].source.place == f"{tmp_path}/s-08.tar/x/0001.png"
    assert photos[0].source.name == "0001.png"
    assert shades(pickle.loads(pickle.dumps(photos))) == [1, 2, 3]


def test_damaged_shards_are_told_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "a.tar"
    write_shard(whole, {"1.png": png(1), "1.cls": b"cat"})
    with pytest.raises(CorruptFileError, match=r"\.cls is not the number"):
        open_dataset(f"webdataset:{whole}")
    write_shard(whole, {"1.png": png(1)}, "w:gz")
    with pytest.raises(CorruptFileError, match="not a whole, uncompressed tar"):
        open_dataset(f"webdataset:{whole}")
    write_shard(whole, {"1.txt": b"text"})
    with pytest.raises(TamisError, match="no photos in the shards"):
        open_dataset(f"webdataset:{whole}")
    with pytest.raises(TamisError, match="there is no shard"):
        open_dataset(f"webdataset:{tmp_path}/none.tar")


@pytest.mark.parametrize(
    "spec",
    ["coco", "coco::labels=a", "coco:a:masks=b", "webdataset:label=x", "hf:x:splits=y", "hf:a:b"],
)
def test_a_spec_that_is_not_one_is_told_what_would_be(spec: str) -> None:
    with pytest.raises(TamisError) as caught:
        open_dataset(spec)
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_is_answered_by_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'coco'"):
        open_dataset("cocoa:somewhere")


def test_photos_decode_from_bytes_as_from_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(9))
    np.testing.assert_array_equal(decode_photo(path.read_bytes(), "a.png"), load_photo(path))
    with pytest.raises(CorruptFileError, match=r"^a\.png: not a photo"):
        decode_photo(b"text", "a.png")
    path.unlink()
    with pytest.raises(TamisError, match="does not exist"):
        load_photo(path)


def test_the_same_marks_have_the_same_fingerprint(coco: Path) -> None:
    (first,), (again,) = (open_dataset(f"coco:{coco}/val") for _ in range(2))
    path = coco / "annotations/instances_val.json"
    path.write_text(path.read_text().replace("[2, 2, 4, 4]", "[2, 2, 4, 3]"))
    (changed,) = open_dataset(f"coco:{coco}/val")
    marks = [photo.label for photo in (first, again, changed)]
    prints = [mark.fingerprint for mark in marks if isinstance(mark, Annotations)]
    assert prints[0] == prints[1] != prints[2]
