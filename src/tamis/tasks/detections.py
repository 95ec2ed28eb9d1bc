"""What a detector says of one picture, and the fixed row of numbers that keeps it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.data.annotations import KEYPOINTS
from tamis.errors import TamisError
from tamis.tasks.base import Predictions

Floats = npt.NDArray[np.float32]

_HEAD = 3
_BOX = 6


@dataclass(frozen=True, eq=False)
class Detections:
    """Found objects. Coordinates are relative: 0..1 of the picture's width and height.

    Attributes:
        boxes: left, top, right, bottom `(n, 4)`.
        scores: confidence in 0..1, `(n,)`.
        classes: places in `COCO_CLASSES`, or in the detector's own list `(n,)`.
        masks: share of the object in each cell of a grid over its box `(n, side, side)`, in 0..1.
        keypoints: x, y and score of a person's joints `(n, 17, 3)`.

    Raises:
        TamisError: parts that do not have one entry for each box.

    >>> found = Detections(np.array([[0, 0, 0.5, 0.5]]), np.array([0.9]), np.array([17]))
    >>> len(found)
    1
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.int64]
    masks: Floats | None = None
    keypoints: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        expected = {
            "boxes": (n, 4),
            "scores": (n,),
            "classes": (n,),
            "keypoints": (n, KEYPOINTS, 3),
        }
        for name, shape in expected.items():
            part = getattr(self, name)
            if part is not None and part.shape != shape:
                raise TamisError(f"{name} of {n} detections have shape {part.shape}, not {shape}")
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != n):
            raise TamisError(f"masks of {n} detections have shape {self.masks.shape}")

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.boxes)

    def __getitem__(self, chosen: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Detections":
        """Some of the objects, by index or by a mask over them."""
        return Detections(
            self.boxes[chosen],
            self.scores[chosen],
            self.classes[chosen],
            None if self.masks is None else self.masks[chosen],
            None if self.keypoints is None else self.keypoints[chosen],
        )

    def best(self, most: int) -> "Detections":
        """The `most` surest objects, the surest first."""
        return self[np.argsort(-self.scores, kind="stable")[:most]]


@dataclass(frozen=True)
class Packing:
    """Rows of one length for detections of any number.

    A row is: width and height of the picture in pixels, number of objects, then for each of
    `most` places box, score, class, mask and keypoints, zeros where there is no object. The size
    is kept because small, medium and large objects are told apart in pixels.

    Attributes:
        most: objects kept of a picture, the surest; COCO's scores read 100.
        mask_side: cells of a mask along each side; 0 for detectors without masks.
        keypoints: whether each object has them.
    """

    most: int = 100
    mask_side: int = 0
    keypoints: bool = False

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return _HEAD + self.most * self._entry

    @property
    def _entry(self) -> int:
        return _BOX + self.mask_side**2 + 3 * KEYPOINTS * self.keypoints

    def pack(self, detections: Detections, width: int, height: int) -> Floats:
        """The row `(self.width,)` of a picture of `width` by `height` pixels."""
        kept = detections.best(self.most)
        n = len(kept)
        row = np.zeros(self.width, np.float32)
        row[:_HEAD] = width, height, n
        if n:
            names = ("boxes", "scores", "classes", "masks", "keypoints")
            parts = [getattr(kept, name) for name in names]
            entries = [p.reshape(n, -1).astype(np.float32) for p in parts if p is not None]
            row[_HEAD : _HEAD + n * self._entry] = np.concatenate(entries, axis=1).ravel()
        return row

    def unpack(self, row: Floats) -> tuple[Detections, int, int]:
        """The detections of a row, surest first, and the picture's width and height."""
        width, height, n = (int(value) for value in row[:_HEAD])
        entries = row[_HEAD : _HEAD + n * self._entry].reshape(n, self._entry)
        cells = _BOX + self.mask_side**2
        side = self.mask_side
        return (
            Detections(
                entries[:, :4],
                entries[:, 4],
                entries[:, 5].astype(np.int64),
                entries[:, _BOX:cells].reshape(n, side, side) if side else None,
                entries[:, cells:].reshape(n, KEYPOINTS, 3) if self.keypoints else None,
            ),
            width,
            height,
        )

    def pack_all(self, found: list[Detections], sizes: list[tuple[int, int]]) -> Predictions:
        """Rows `(N, self.width)` of N pictures and their sizes `(width, height)`."""
        rows = [self.pack(d, *size) for d, size in zip(found, sizes, strict=True)]
        return np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
