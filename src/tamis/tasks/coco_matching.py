"""Who found what in one picture, by COCO's rules, small enough to keep in a table's row."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.data.annotations import Annotations
from tamis.tasks.coco_overlap import Flags, Matrix, Overlap
from tamis.tasks.detections import Detections

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which an object counts as found."""

RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Areas in pixels, both ends belong: objects outside of one need not be found and cost nothing."""

_BITS = len(THRESHOLDS)
_LIMITS = np.array(list(RANGES.values()))


@dataclass(frozen=True, eq=False)
class Matches:
    """What the average precision needs to know of a picture.

    Attributes:
        found: class and score of each detection, then a whole number for each of `RANGES`: bit t
            says that it found an object at `THRESHOLDS[t]`, bit 10 + t that it found none and
            counts as wrong; neither is set where it is excused `(D, 6)`.
        marked: class, then how many objects there are to find in each of `RANGES`, `(C, 5)`.
    """

    found: npt.NDArray[np.float32]
    marked: npt.NDArray[np.float32]

    def record(self) -> npt.NDArray[np.float32]:
        """All of it as one row of numbers, which `read` takes apart."""
        head = np.array([len(self.found), len(self.marked)], np.float32)
        return np.concatenate([head, self.found.ravel(), self.marked.ravel()])

    @classmethod
    def read(cls, record: npt.NDArray[np.float32]) -> tuple["Matches", npt.NDArray[np.float32]]:
        """The matches at the beginning of `record`, and what follows them."""
        wide, tall = 2 + len(RANGES), 1 + len(RANGES)
        middle = 2 + int(record[0]) * wide
        end = middle + int(record[1]) * tall
        found, marked = record[2:middle].reshape(-1, wide), record[middle:end].reshape(-1, tall)
        return cls(found, marked), record[end:]


def match(found: Detections, marked: Annotations, overlap: Overlap) -> Matches:
    """Match detections, which stand in falling order of score, with marked objects of their class.

    Each takes the object that it overlaps most of those still free; one that is ignored only where
    there is no other (`evaluateImg` of COCO's API, https://github.com/cocodataset/cocoapi).
    """
    matrix = overlap.matrix(found, marked)
    small, large = _LIMITS[:, :1], _LIMITS[:, 1:]
    outside = (marked.areas < small) | (marked.areas > large)
    ignored = outside | overlap.ignored(marked)
    areas = overlap.areas(found, marked.width, marked.height)
    beyond = (areas < small) | (areas > large)
    hit, missed = (np.zeros((len(RANGES), _BITS, len(found)), np.bool_) for _ in range(2))
    for kind in np.unique(found.classes):
        d, g = np.flatnonzero(found.classes == kind), np.flatnonzero(marked.classes == kind)
        taken, excused = _assign(matrix[np.ix_(d, g)], ignored[:, g], marked.crowd[g])
        hit[..., d] = taken & ~excused
        missed[..., d] = ~taken & ~beyond[:, None, d]
    weights = 1 << np.arange(_BITS)
    codes = np.einsum("atd,t->da", hit, weights) + np.einsum("atd,t->da", missed, weights << _BITS)
    kinds = np.unique(marked.classes)
    counts = [(~ignored[:, marked.classes == kind]).sum(axis=1) for kind in kinds]
    return Matches(
        np.column_stack([found.classes, found.scores, codes]).astype(np.float32),
        np.column_stack([kinds, np.reshape(counts, (-1, len(RANGES)))]).astype(np.float32),
    )


def _assign(matrix: Matrix, ignored: Flags, crowd: Flags) -> tuple[Flags, Flags]:
    """Whether each detection takes an object, and whether an ignored one, both `(A, T, D)`.

    Args:
        matrix: overlaps of detections of one class, the surest first, and objects `(D, G)`.
        ignored: for each range of areas `(A, G)`.
        crowd: objects that any number may take `(G,)`.
    """
    shape = len(ignored), _BITS
    taken, excused = (np.zeros((*shape, len(matrix)), np.bool_) for _ in range(2))
    objects = matrix.shape[1]
    if not objects:
        return taken, excused
    free = np.ones((*shape, objects), np.bool_)
    preferred = 2.0 * ~ignored[:, None, :]
    for d, row in enumerate(matrix):
        usable = (free | crowd) & (row >= THRESHOLDS[:, None])
        # Of equals COCO takes the last.
        rank = np.where(usable, row + preferred, -1.0)[..., ::-1]
        best = objects - 1 - rank.argmax(axis=-1)
        taken[..., d] = usable.any(axis=-1)
        excused[..., d] = taken[..., d] & np.take_along_axis(ignored, best, axis=1)
        a, t = np.nonzero(taken[..., d])
        free[a, t, best[a, t]] = False
    return taken, excused
