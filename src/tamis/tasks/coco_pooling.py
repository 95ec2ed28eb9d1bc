"""Average precision over any pictures, from what `match` noted of each."""

from collections.abc import Sequence

import numpy as np

from tamis.tasks.coco_matching import RANGES, THRESHOLDS, Matches
from tamis.tasks.coco_overlap import Matrix

_RECALLS = np.linspace(0.0, 1.0, 101)
_SHIFTS = np.arange(len(THRESHOLDS))[None, :, None]


def average_precision(pictures: Sequence[Matches]) -> Matrix:
    """AP of each of `RANGES` and `THRESHOLDS`, a mean over classes, `(4, 10)`.

    The precision, made to fall, at 101 recalls from 0 to 1 (`accumulate` of COCO's API). A class
    counts in the ranges in which it has objects to find; NaN where none has. Detections of equal
    scores stay in the order of the pictures.

    It goes through true positives alone, and through all classes, ranges and thresholds at once: a
    bootstrap asks for it hundreds of times.
    """
    found = np.concatenate([picture.found for picture in pictures])
    marked = np.concatenate([picture.marked for picture in pictures])
    classes, place = np.unique(marked[:, 0], return_inverse=True)
    totals = np.zeros((len(classes), len(RANGES)))
    np.add.at(totals, place, marked[:, 1:])
    found = found[np.isin(found[:, 0], classes)]
    found = found[np.lexsort((-found[:, 1], found[:, 0]))]
    kinds = np.searchsorted(classes, found[:, 0])
    starts = np.searchsorted(kinds, np.arange(len(classes)))
    codes = found[:, 2:].T.astype(np.int32)[:, None, :]
    wrong = np.cumsum((codes >> (_SHIFTS + len(THRESHOLDS))) & 1, axis=-1)
    a, t, d = np.nonzero((codes >> _SHIFTS) & 1)
    curve = (a * len(THRESHOLDS) + t) * len(classes) + kinds[d]
    first = starts[kinds[d]]
    false = wrong[a, t, d] - np.where(first > 0, wrong[a, t, first - 1], 0)
    # `nonzero` goes through each curve in order, so a place in it is a number of true positives.
    true = np.arange(1, len(curve) + 1) - np.searchsorted(curve, curve)
    precision = _falling(true / (true + false), curve)
    total = totals[kinds[d], a]
    # Recall 0 belongs to the first true positive; without one the precision there is 0.
    steps = _reached(true / total) - np.where(true > 1, _reached((true - 1) / total), 0)
    shape = len(RANGES), len(THRESHOLDS), len(classes)
    area = np.bincount(curve, precision * steps, minlength=int(np.prod(shape))).reshape(shape)
    counted = (totals > 0).T[:, None, :]
    number = counted.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        mean: Matrix = np.where(counted, area, 0.0).sum(axis=-1) / len(_RECALLS) / number
    return mean


def _reached(recall: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """How many of the 101 recalls are not above `recall`."""
    return np.searchsorted(_RECALLS, recall, side="right")


def _falling(precision: Matrix, curve: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Matrix:
    """The greatest precision from each point of its curve on."""
    # Curves stand one after the other; a step between them keeps the maximum from crossing over.
    lift = 2.0 * (curve.max(initial=0) - curve)
    greatest: Matrix = np.maximum.accumulate((precision + lift)[::-1])[::-1] - lift
    return greatest
