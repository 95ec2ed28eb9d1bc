"""How much found and marked objects have in common, as COCO counts it: boxes, masks, poses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval.core import mask as coco_mask

from tamis.data.annotations import Annotations
from tamis.tasks.coco_masks import found_masks, mask_areas, run_lengths
from tamis.tasks.detections import Detections

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""How far people who mark a joint miss it, relative to the person's size, nose to right ankle.

https://cocodataset.org/#keypoints-eval
"""

BOX_SHARE = 0.53
"""Area of a person relative to its box, for poses whose area nobody marked (as CrowdPose has)."""


@dataclass(frozen=True)
class Overlap:
    """One way to compare objects.

    Attributes:
        matrix: overlap in 0..1 of every found with every marked object, `(D, G)`.
        areas: of found objects in a picture of a width and height, pixels, `(D,)`: by these, what
            nobody marked is small, medium or large.
        ignored: marked objects that need not be found and excuse what finds them, `(G,)`.
        mark: found objects as if someone had marked them, for later ones to agree with.
    """

    matrix: Callable[[Detections, Annotations], Matrix]
    areas: Callable[[Detections, int, int], Matrix]
    ignored: Callable[[Annotations], Flags]
    mark: Callable[[Detections, int, int], Annotations]


def box_iou(found: Detections, marked: Annotations) -> Matrix:
    """Intersection over union of boxes; over the found box alone where a crowd is marked."""
    size = marked.width, marked.height
    return _iou(_corner_and_size(found.boxes, *size), _corner_and_size(marked.boxes, *size), marked)


def mask_iou(found: Detections, marked: Annotations) -> Matrix:
    """Intersection over union of masks at the full size of the picture."""
    size = marked.width, marked.height
    return _iou(
        list(found_masks(found, *size)), [run_lengths(m, *size) for m in marked.masks], marked
    )


def keypoint_similarity(found: Detections, marked: Annotations) -> Matrix:
    """OKS: how near joints are, in units of how far annotators miss them.

    The mean over marked joints of exp(-d^2 / (2 area (2 sigma)^2)), d in pixels. Where a person
    has none, d is how far a found joint lies outside of three times the box.
    """
    size = marked.width, marked.height
    points, truth = _points(found.keypoints, *size)[:, None], _points(marked.keypoints, *size)[None]
    seen: Flags = truth[..., 2] > 0
    unmarked = np.logical_not(seen.any(axis=-1, keepdims=True))
    boxes = _corner_and_size(marked.boxes, *size)
    low, high = (boxes[:, :2] + k * boxes[:, 2:] for k in (-1, 2))
    outside = np.maximum(0, low[None, :, None] - points[..., :2])
    outside = outside + np.maximum(0, points[..., :2] - high[None, :, None])
    gaps = np.where(unmarked[..., None], outside, points[..., :2] - truth[..., :2])
    areas = marked.areas.astype(np.float64)[None, :, None] + np.spacing(1)
    near = np.exp(-(gaps**2).sum(axis=-1) / (2 * SIGMAS) ** 2 / areas / 2)
    counted = seen | unmarked
    similarity: Matrix = (near * counted).sum(axis=-1) / counted.sum(axis=-1)
    return similarity


def _box_areas(found: Detections, width: int, height: int) -> Matrix:
    boxes = _corner_and_size(found.boxes, width, height)
    return boxes[:, 2] * boxes[:, 3]


def _found_mask_areas(found: Detections, width: int, height: int) -> Matrix:
    return mask_areas(found_masks(found, width, height))


def _pose_areas(found: Detections, width: int, height: int) -> Matrix:
    points = _points(found.keypoints, width, height)[..., :2]
    area: Matrix = (points.max(axis=1) - points.min(axis=1)).prod(axis=1)
    return area


def _crowds(marked: Annotations) -> Flags:
    return marked.crowd


def _crowds_and_unmarked(marked: Annotations) -> Flags:
    return marked.crowd | ~(_points(marked.keypoints, 1, 1)[..., 2] > 0).any(axis=1)


def _mark_boxes(found: Detections, width: int, height: int) -> Annotations:
    return _mark(found, width, height, _box_areas(found, width, height))


def _mark_masks(found: Detections, width: int, height: int) -> Annotations:
    codes = found_masks(found, width, height)
    return _mark(found, width, height, mask_areas(codes), masks=codes)


def _mark_poses(found: Detections, width: int, height: int) -> Annotations:
    points = _points(found.keypoints, 1, 1).astype(np.float32)
    points[..., 2] = 2 * (points[..., 2] > 0)
    areas = BOX_SHARE * _box_areas(found, width, height)
    return _mark(found, width, height, areas, keypoints=points)


def _mark(
    found: Detections,
    width: int,
    height: int,
    areas: Matrix,
    masks: tuple[Any, ...] | None = None,
    keypoints: npt.NDArray[np.float32] | None = None,
) -> Annotations:
    return Annotations(
        width=width,
        height=height,
        boxes=found.boxes,
        classes=found.classes,
        crowd=np.zeros(len(found), np.bool_),
        areas=areas.astype(np.float32),
        masks=([],) * len(found) if masks is None else masks,
        keypoints=keypoints,
    )


def _corner_and_size(boxes: npt.NDArray[np.float32], width: int, height: int) -> Matrix:
    """Relative corners as COCO's left, top, width, height in pixels."""
    pixels = boxes.astype(np.float64) * [width, height, width, height]
    return np.concatenate([pixels[:, :2], pixels[:, 2:] - pixels[:, :2]], axis=1)


def _points(keypoints: npt.NDArray[np.float32] | None, width: int, height: int) -> Matrix:
    if keypoints is None:
        return np.zeros((0, len(SIGMAS), 3))
    return keypoints.astype(np.float64) * [width, height, 1]


def _iou(found: Any, marked: Any, annotations: Annotations) -> Matrix:
    if not len(found) or not len(marked):
        return np.zeros((len(found), len(marked)))
    return np.asarray(coco_mask.iou(found, marked, annotations.crowd.astype(int).tolist()))


BOXES = Overlap(box_iou, _box_areas, _crowds, _mark_boxes)
MASKS = Overlap(mask_iou, _found_mask_areas, _crowds, _mark_masks)
POSES = Overlap(keypoint_similarity, _pose_areas, _crowds_and_unmarked, _mark_poses)
