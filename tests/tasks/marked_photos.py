"""Sample photos with a COCO file that marks a few objects in each, made up but consistent."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tamis.codecs import Image
from tamis.data.annotations import Annotations
from tamis.data.coco import read_coco


def mark(photos: list[Image], folder: Path) -> list[Annotations]:
    """Annotations of `photos`, by way of a file of persons with joints, dogs and one crowd."""
    names = [f"{i}.png" for i in range(len(photos))]
    images = [
        {"id": i, "file_name": name, "width": photo.shape[1], "height": photo.shape[0]}
        for i, (name, photo) in enumerate(zip(names, photos, strict=True))
    ]
    objects = [o for i, photo in enumerate(photos) for o in _objects(i, photo)]
    content = {
        "images": images,
        "annotations": [{**o, "id": i} for i, o in enumerate(objects)],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    path = folder / "marked.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    known = read_coco(path)
    return [known[name] for name in names]


def _objects(image: int, photo: Image) -> list[dict[str, Any]]:
    height, width = photo.shape[:2]
    rng = np.random.default_rng(image)
    found = []
    for category, crowd, box in (
        (1, 0, (0.1, 0.2, 0.4, 0.7)),
        (18, 0, (0.5, 0.4, 0.4, 0.5)),
        (1, 1, (0.6, 0.1, 0.3, 0.2)),
    ):
        x, y, w, h = np.multiply(box, (width, height, width, height)).tolist()
        entry = {
            "image_id": image,
            "category_id": category,
            "iscrowd": crowd,
            "bbox": [x, y, w, h],
            "area": w * h,
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        }
        if category == 1 and not crowd:
            joints = rng.uniform(0.1, 0.9, (17, 2)) * (w, h) + (x, y)
            entry["keypoints"] = np.column_stack([joints, np.full(17, 2)]).ravel().tolist()
        found.append(entry)
    return found
