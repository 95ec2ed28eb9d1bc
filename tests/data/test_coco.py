"""COCO's JSON becomes `Annotations`; what is damaged or of another kind is told in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamis.data.annotations import COCO_CLASSES, COCO_IDS
from tamis.data.coco import read_coco
from tamis.errors import CorruptFileError, TamisError

IMAGES = [
    {"id": 7, "file_name": "a.jpg", "width": 200, "height": 100},
    {"id": 9, "file_name": "b.jpg", "width": 10, "height": 10},
]
RUNS = {"size": [100, 200], "counts": [0, 20000]}
MARKED = [
    {"id": 1, "image_id": 7, "category_id": 1, "bbox": [20, 10, 100, 50], "area": 4000.0,
     "iscrowd": 0, "segmentation": [[20, 10, 120, 10, 120, 60]]},
    {"id": 2, "image_id": 7, "category_id": 90, "bbox": [0, 0, 200, 100], "area": 20000.0,
     "iscrowd": 1, "segmentation": RUNS},
]  # fmt: skip
POSE = {**MARKED[0], "keypoints": [20, 50, 2] + [0, 0, 0] * 16}
CATEGORIES = [{"id": i, "name": n} for i, n in zip(COCO_IDS, COCO_CLASSES, strict=True)]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str = "instances.json", **changes: Any) -> Path:
        content = {"images": IMAGES, "annotations": MARKED, "categories": CATEGORIES, **changes}
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return write


def test_the_80_classes_have_their_ids() -> None:
    assert len(COCO_CLASSES) == len(COCO_IDS) == 80
    ids = dict(zip(COCO_CLASSES, COCO_IDS, strict=True))
    assert (ids["person"], ids["stop sign"], ids["toilet"], ids["toothbrush"]) == (1, 13, 70, 90)


def test_coordinates_are_relative_and_classes_contiguous(write: Write) -> None:
    photo = read_coco(write())["a.jpg"]
    np.testing.assert_allclose(photo.boxes, [[0.1, 0.1, 0.6, 0.6], [0, 0, 1, 1]], atol=1e-7)
    assert photo.classes.tolist() == [0, 79]
    assert photo.crowd.tolist() == [False, True]
    assert photo.areas.tolist() == [4000, 20000]
    assert (photo.width, photo.height, len(photo)) == (200, 100, 2)
    assert photo.masks == (MARKED[0]["segmentation"], RUNS)
    assert photo.keypoints is None
    assert [a.dtype for a in (photo.boxes, photo.classes, photo.areas)] == ["f4", "i8", "f4"]


def test_an_image_without_objects_is_known_to_be_empty(write: Write) -> None:
    empty = read_coco(write())["b.jpg"]
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)


def test_keypoints_of_a_second_file_join_the_objects_of_the_first(write: Write) -> None:
    people = write("people.json", annotations=[POSE], categories=CATEGORIES[:1])
    for files in ([write(), people], [people, write()]):
        photo = read_coco(files)["a.jpg"]
        assert photo.keypoints is not None
        assert photo.keypoints.shape == (2, 17, 3)
        person, other = (photo.keypoints[photo.classes == c][0] for c in (0, 79))
        np.testing.assert_allclose(person[0], [0.1, 0.5, 2])
        assert not other.any()


def test_renumbered_coco_categories_are_known_by_name(write: Write) -> None:
    swapped = [{"id": 90, "name": "person"}, {"id": 1, "name": "toothbrush"}]
    assert read_coco(write(categories=swapped))["a.jpg"].classes.tolist() == [79, 0]


def test_other_categories_are_counted_in_the_order_of_their_ids(write: Write) -> None:
    own = [{"id": 90, "name": "forklift"}, {"id": 1, "name": "person"}]
    assert read_coco(write(categories=own))["a.jpg"].classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"annotations": [{"id": 1, "image_id": 7, "caption": "a dog"}]}, "no boxes"),
        ({"categories": None}, "lists of images"),
        ({"images": IMAGES[1:]}, "image 7, not listed"),
        ({"categories": CATEGORIES[:1]}, "90 is missing"),
        ({"annotations": [{**MARKED[0], "bbox": [1, 2, 3]}]}, "not whole"),
        ({"annotations": [{**MARKED[0], "bbox": [1, 2, -3, 4]}]}, "without a size"),
        ({"annotations": [{**POSE, "keypoints": [1, 2]}]}, "not whole"),
        ({"images": [{"id": 7, "file_name": "a.jpg"}]}, "'width' is missing"),
        ({"images": [{**IMAGES[0], "width": 0}]}, "0x100"),
        ({"annotations": [MARKED[0], {**MARKED[0], "image_id": 9}]}, "two images"),
        ({"annotations": [5]}, "no boxes"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    write: Write, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(TamisError, match=told) as caught:
        read_coco(write(**changes))
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_corrupt(write: Write) -> None:
    path = write()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptFileError, match="not JSON"):
        read_coco(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match=r"none\.json cannot be read"):
        read_coco(tmp_path / "none.json")


def test_the_real_files_agree_with_each_other(shared: Path) -> None:
    folder = shared / "data/coco_tiny/annotations"
    found = read_coco([folder / f"{n}_train2017.json" for n in ("instances", "person_keypoints")])
    assert len(found) == 50
    assert sum(map(len, found.values())) == 470
    for photo in found.values():
        assert photo.keypoints is not None
        assert ((photo.boxes >= 0) & (photo.boxes <= 1 + 1e-6)).all()
        assert not photo.keypoints[photo.classes != 0].any()
