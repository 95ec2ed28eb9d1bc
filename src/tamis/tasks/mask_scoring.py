"""Overlap of class maps: IoU of a picture, mIoU of a set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tamis.data.annotations import Annotations
from tamis.tasks.base import Record
from tamis.tasks.coco_masks import decode_mask

ClassMap = npt.NDArray[np.uint8]
"""A class for each pixel `(H, W)`, 0 the background."""

VOID = 255
"""Pixels that count for nothing."""

Counts = npt.NDArray[np.float64]
"""Pixels of each of C classes in both maps, and in either `(2, C)`."""


def count_overlap(found: ClassMap, truth: ClassMap, classes: int) -> Counts:
    """Intersections and unions `(2, classes)` of two maps; void pixels of `truth` are left out."""
    known = truth != VOID
    pairs = found[known].astype(np.int64) * classes + truth[known]
    table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    both = table.diagonal()
    return np.stack([both, table.sum(axis=0) + table.sum(axis=1) - both])


def iou(counts: Counts) -> Counts:
    """Intersection over union of each class `(C,)`, NaN for a class that is in neither map."""
    with np.errstate(invalid="ignore"):
        ratio: Counts = counts[0] / np.where(counts[1] > 0, counts[1], np.nan)
    return ratio


def mean_iou(counts: Counts) -> float:
    """Mean IoU of the classes that are in either map; NaN without any."""
    ratios = iou(counts)
    present = ~np.isnan(ratios)
    return float(ratios[present].mean()) if present.any() else float("nan")


def record_of(against_original: Counts, against_label: Counts | None) -> Record:
    """Counts as a record; NaN where there is no label."""
    if against_label is None:
        against_label = np.full_like(against_original, np.nan)
    return np.stack([against_original, against_label]).astype(np.float32).ravel()


def pool_mean_iou(records: Sequence[Record]) -> dict[str, float]:
    """`miou` and `miou_labels` of a set: pixels of all pictures together, then IoU, then mean."""
    counts = np.stack([record.reshape(2, 2, -1) for record in records]).astype(np.float64)
    pooled = {}
    for name, part in (("miou", counts[:, 0]), ("miou_labels", counts[:, 1])):
        known = part[~np.isnan(part).any(axis=(1, 2))]
        pooled[name] = mean_iou(known.sum(axis=0)) if len(known) else float("nan")
    return pooled


def class_map(label: Annotations, classes: npt.NDArray[np.integer]) -> ClassMap:
    """The class of each pixel of a labelled photo.

    Where objects of two classes lie over each other, and in crowds that nobody told apart, a pixel
    is void.

    Args:
        label: what was marked.
        classes: the map's class for each of COCO's, 0 for those it does not know.
    """
    truth = np.zeros((label.height, label.width), np.uint8)
    for kind, crowd, mask in zip(label.classes, label.crowd, label.masks, strict=True):
        value = classes[kind]
        if value == 0:
            continue
        inside = decode_mask(mask, label.width, label.height)
        other = inside & (truth != 0) & (truth != value)
        truth[inside] = VOID if crowd else value
        truth[other] = VOID
    return truth
