"""Annotations as torchvision's detectors want them in training: targets in pixels, COCO's ids."""

import numpy as np
import torch
import torch.nn.functional as F

from tamis.data.annotations import COCO_IDS, Annotations
from tamis.errors import TamisError
from tamis.tasks.coco_masks import decode_mask

Target = dict[str, torch.Tensor]


def target(
    label: object, size: tuple[int, int], masks: bool = False, keypoints: bool = False
) -> Target:
    """What is to be found in one picture.

    Crowds are left out, as torchvision's own training leaves them out, and objects that have none
    of the keypoints asked for.

    Args:
        label: the annotations of the picture.
        size: height and width of the picture that the network sees, pixels.
        masks: whether each object needs a mask at that size.
        keypoints: whether each object needs a person's joints.

    Raises:
        TamisError: `label` is no `Annotations`, or marks classes that COCO does not have.
    """
    if not isinstance(label, Annotations):
        raise TamisError(f"a detector learns from annotations of a photo, not from {label!r}")
    if (label.classes >= len(COCO_IDS)).any():
        raise TamisError(f"class {label.classes.max()} is none of COCO's {len(COCO_IDS)}")
    scale = torch.tensor([size[1], size[0], size[1], size[0]])
    boxes = torch.from_numpy(label.boxes) * scale
    # Narrower than this a box has no place on any feature map, and its loss is not finite.
    kept = ~label.crowd & (boxes[:, 2:] - boxes[:, :2] > 0.1).all(dim=1).numpy()
    if keypoints:
        kept &= _joints(label)[..., 2].any(axis=1)
    chosen = np.flatnonzero(kept)
    found: Target = {
        "boxes": boxes[chosen],
        "labels": torch.tensor(np.array(COCO_IDS)[label.classes[chosen]], dtype=torch.int64),
    }
    if masks:
        drawn = [decode_mask(label.masks[i], label.width, label.height) for i in chosen]
        found["masks"] = _resized(drawn, size)
    if keypoints:
        points = _joints(label)[chosen] * np.array([size[1], size[0], 1], np.float32)
        found["keypoints"] = torch.from_numpy(points.astype(np.float32))
    return found


def _joints(label: Annotations) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if label.keypoints is None:
        raise TamisError(
            "a keypoint network learns from annotations with keypoints; these have none"
        )
    return label.keypoints


def _resized(
    masks: list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]], size: tuple[int, int]
) -> torch.Tensor:
    if not masks:
        return torch.zeros((0, *size), dtype=torch.uint8)
    stacked = torch.from_numpy(np.stack(masks)).float()[:, None]
    return F.interpolate(stacked, size)[:, 0].to(torch.uint8)
