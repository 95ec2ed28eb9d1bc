"""COCO's JSON files, instances and person keypoints, as `Annotations` by file name."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tamis.data.annotations import COCO_CLASSES, KEYPOINTS, Annotations
from tamis.errors import CorruptFileError, TamisError

_Entry = dict[str, Any]


def read_coco(files: Path | str | Iterable[Path | str]) -> dict[str, Annotations]:
    """The annotations of every image that `files` list, by the image's file name.

    Of several files that mark the same objects (`instances_*.json`, `person_keypoints_*.json`) each
    adds what the others lack. An image without objects has empty `Annotations`: nothing is there,
    which is known. Where every category bears the name of one of COCO's, a class is its place in
    `COCO_CLASSES`, whatever ids the files use; else its place among the files' own category ids.

    Raises:
        TamisError: no such file, or JSON of another kind (captions, panoptic).
        CorruptFileError: not JSON, or entries that do not fit together.
    """
    paths = [files] if isinstance(files, str | Path) else list(files)
    images: dict[int, _Entry] = {}
    marked: dict[int, _Entry] = {}
    names: dict[int, str] = {}
    for path in map(Path, paths):
        content = _content(path)
        try:
            names |= {int(c["id"]): str(c["name"]) for c in content["categories"]}
            images |= {int(image["id"]): image for image in content["images"]}
            for entry in content["annotations"]:
                _merge(marked, entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptFileError(f"{path}: not COCO annotations: {_told(error)}") from error
    classes = _classes(names)
    objects: dict[int, list[_Entry]] = defaultdict(list)
    for entry in marked.values():
        objects[entry["image_id"]].append(entry)
    posed = any("keypoints" in entry for entry in marked.values())
    if unknown := set(objects) - set(images):
        raise CorruptFileError(f"{_listed(paths)}: objects of image {min(unknown)}, not listed")
    try:
        return {
            str(image["file_name"]): _annotations(image, objects[number], classes, posed)
            for number, image in images.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(
            f"{_listed(paths)}: not whole COCO annotations: {_told(error)}"
        ) from error


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise TamisError(f"annotations {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CorruptFileError(f"{path}: not JSON: {error}") from error
    kinds = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in kinds):
        raise TamisError(f"{path}: COCO annotations have lists of {', '.join(kinds)}; these do not")
    if any(not isinstance(e, dict) or "bbox" not in e for e in content["annotations"]):
        raise TamisError(
            f"{path}: its annotations have no boxes; give COCO instances or person keypoints"
        )
    return content


def _merge(marked: dict[int, _Entry], entry: _Entry) -> None:
    known = marked.setdefault(int(entry["id"]), {})
    if known and known["image_id"] != entry["image_id"]:
        raise ValueError(f"object {entry['id']} is in two images")
    known |= entry


def _classes(names: Mapping[int, str]) -> dict[int, int]:
    """Class of every category id."""
    places = {name: place for place, name in enumerate(COCO_CLASSES)}
    if all(name in places for name in names.values()):
        return {number: places[name] for number, name in names.items()}
    return {number: place for place, number in enumerate(sorted(names))}


def _annotations(
    image: _Entry, objects: Sequence[_Entry], classes: Mapping[int, int], posed: bool
) -> Annotations:
    width, height = int(image["width"]), int(image["height"])
    if width < 1 or height < 1:
        raise ValueError(f"{image['file_name']} is {width}x{height} pixels")
    size = np.array([width, height, width, height], np.float64)
    boxes = np.array([o["bbox"] for o in objects], np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise ValueError(f"{image['file_name']} has a box without a size")
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) / size
    areas = [o.get("area", o["bbox"][2] * o["bbox"][3]) for o in objects]
    return Annotations(
        width=width,
        height=height,
        boxes=corners.astype(np.float32),
        classes=np.array([classes[int(o["category_id"])] for o in objects], np.int64),
        crowd=np.array([bool(o.get("iscrowd", 0)) for o in objects], np.bool_),
        areas=np.array(areas, np.float32),
        masks=tuple(o.get("segmentation", []) for o in objects),
        keypoints=_keypoints(objects, width, height) if posed else None,
    )


def _keypoints(objects: Sequence[_Entry], width: int, height: int) -> Any:
    unmarked = [0.0] * (3 * KEYPOINTS)
    rows = [o.get("keypoints", unmarked) for o in objects]
    points = np.array(rows, np.float64).reshape(-1, KEYPOINTS, 3)
    return (points / [width, height, 1]).astype(np.float32)


def _listed(paths: Iterable[Path | str]) -> str:
    return ", ".join(map(str, paths))


def _told(error: Exception) -> str:
    return f"{error} is missing or unknown" if isinstance(error, KeyError) else str(error)
