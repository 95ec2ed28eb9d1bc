"""Masks as COCO's run-length codes: polygons that people drew, grids that networks filled in."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from faster_coco_eval.core import mask as coco_mask
from torchvision.models.detection.roi_heads import paste_masks_in_image

from tamis.tasks.detections import Detections

RunLengths = dict[str, Any]
"""`{"size": [h, w], "counts": bytes}`."""


def encode_mask(mask: npt.NDArray[np.bool_]) -> RunLengths:
    """The code of a mask `(H, W)`."""
    code: RunLengths = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return code


def decode_mask(segmentation: Any, width: int, height: int) -> npt.NDArray[np.bool_]:
    """The mask `(H, W)` of a segmentation as `Annotations.masks` has it."""
    mask: npt.NDArray[np.bool_] = coco_mask.decode(run_lengths(segmentation, width, height)) > 0
    return mask


def run_lengths(segmentation: Any, width: int, height: int) -> RunLengths:
    """The code of a segmentation: polygons, none, or run lengths, counted or compressed."""
    if isinstance(segmentation, Sequence) and not segmentation:
        return encode_mask(np.zeros((height, width), np.bool_))
    code: RunLengths = coco_mask.segmToRle(segmentation, width, height)
    return code


# A picture's masks are asked for several times in a row, for overlaps and for areas.
@lru_cache(maxsize=8)
def found_masks(found: Detections, width: int, height: int) -> tuple[RunLengths, ...]:
    """Masks of detections at full size: where the grid, stretched over the box, is above half."""
    if found.masks is None or not len(found):
        return ()
    boxes = torch.from_numpy(found.boxes * np.array([width, height, width, height], np.float32))
    grids = torch.from_numpy(np.ascontiguousarray(found.masks))[:, None]
    pasted = paste_masks_in_image(grids, boxes, (height, width))[:, 0] > 0.5
    return tuple(encode_mask(mask) for mask in pasted.numpy())


def mask_areas(codes: Sequence[RunLengths]) -> npt.NDArray[np.float64]:
    """Pixels of each mask, `(n,)`."""
    return np.asarray(coco_mask.area(list(codes)), np.float64) if codes else np.zeros(0)
