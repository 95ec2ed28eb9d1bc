"""What people marked in one photo: boxes, classes, masks and keypoints, in COCO's terms."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 classes of COCO, in the order of their ids; a class is its place here."""

_SKIPPED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
COCO_IDS = tuple(i for i in range(1, 91) if i not in _SKIPPED_IDS)
"""The id of each of `COCO_CLASSES` in COCO's files, which leave out ten of 1..90."""

KEYPOINTS = 17
"""Keypoints of a person in COCO, nose to right ankle."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """The marked objects of one photo.

    Coordinates are relative (0..1 of width and height), so they hold for a picture of the same
    view at any size.

    Attributes:
        width: of the photo that was marked, pixels.
        height: of it.
        boxes: left, top, right, bottom `(n, 4)`, relative.
        classes: places in `COCO_CLASSES` `(n,)`; for a dataset of other classes, places among its
            own ids in rising order.
        crowd: whether a box stands for a group that was not told apart `(n,)`.
        areas: of the object, not its box, in pixels of the photo `(n,)`.
        masks: n segmentations as COCO's files hold them, in pixels of the photo: a list of
            polygons `[x, y, x, y, ...]`, empty where there is none, or a run-length code
            `{"size": [h, w], "counts": ...}`.
        keypoints: x, y relative and visibility (0 not marked, 1 hidden, 2 seen) `(n, 17, 3)`, all
            zero for objects without; None where the files mark no keypoints at all.
    """

    width: int
    height: int
    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    crowd: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float32]
    masks: tuple[Any, ...]
    keypoints: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.boxes)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that is marked, 16 hex digits."""
        points = None if self.keypoints is None else self.keypoints.tolist()
        arrays = (self.boxes, self.classes, self.crowd, self.areas)
        parts = [*(array.tolist() for array in arrays), points]
        text = json.dumps([self.width, self.height, *parts, self.masks], default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


Label = int | Annotations | None
"""What is known of a photo: its class (ImageNet's 0..999), what people marked in it, or nothing."""
