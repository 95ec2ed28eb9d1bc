"""The two ways in which torchvision's detectors go on from the feature pyramid."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.image_list import ImageList

from tamis.tasks.weights import same_random_weights

Features = Mapping[str, torch.Tensor]
Found = dict[str, torch.Tensor]
"""`boxes` in pixels of what the network sees, `scores`, `labels`; `masks`, `keypoints`."""


class Heads(Protocol):
    """All of a detector that follows its backbone."""

    def dense(self, images: ImageList, features: Features) -> tuple[torch.Tensor, ...]:
        """What the heads say of every place, before anything is chosen, each `(N, ...)`."""
        ...

    def detect(self, images: ImageList, features: Features) -> list[Found]:
        """The objects in each picture."""
        ...

    def loss(
        self, images: ImageList, features: Features, targets: list[dict[str, torch.Tensor]]
    ) -> torch.Tensor:
        """The sum of the network's training losses, a scalar."""
        ...


class OneStage:
    """FCOS and RetinaNet: one head looks at every anchor."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def dense(self, images: ImageList, features: Features) -> tuple[torch.Tensor, ...]:
        """Class logits, box regression and, of FCOS, centredness of all anchors."""
        return tuple(self.net.head(list(features.values())).values())

    def detect(self, images: ImageList, features: Features) -> list[Found]:
        """Boxes that survive the suppression of doubles."""
        outputs, anchors = self._outputs(images, features)
        counts = self._counts(outputs, features)
        found: list[Found] = self.net.postprocess_detections(
            {name: list(torch.split(o, counts, dim=1)) for name, o in outputs.items()},
            [list(torch.split(of_picture, counts)) for of_picture in anchors],
            images.image_sizes,
        )
        return found

    def loss(
        self, images: ImageList, features: Features, targets: list[dict[str, torch.Tensor]]
    ) -> torch.Tensor:
        """Focal loss of the classes and the losses of the boxes."""
        outputs, anchors = self._outputs(images, features)
        levels = [self._counts(outputs, features)] if isinstance(self.net, FCOS) else []
        losses = self.net.compute_loss(targets, outputs, anchors, *levels)
        return _sum(losses)

    def _outputs(
        self, images: ImageList, features: Features
    ) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        levels = list(features.values())
        return self.net.head(levels), self.net.anchor_generator(images, levels)

    def _counts(self, outputs: dict[str, torch.Tensor], features: Features) -> list[int]:
        """Anchors of each level."""
        places = [f.shape[-2] * f.shape[-1] for f in features.values()]
        each = outputs["cls_logits"].shape[1] // sum(places)
        return [each * n for n in places]


class TwoStage:
    """Faster, Mask and Keypoint R-CNN: regions are proposed, then each is looked at."""

    GRIDS = (2, 4, 8)
    """Regions in a row of the regular grids that `dense` looks at instead of proposals."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def dense(self, images: ImageList, features: Features) -> tuple[torch.Tensor, ...]:
        """Objectness and boxes of all anchors; classes and boxes of regions in regular grids.

        Proposals move and change places from picture to picture, so what is said of them cannot be
        compared number by number; what is said of the same 84 regions can.
        """
        objectness, deltas = self.net.rpn.head(list(features.values()))
        heads, n = self.net.roi_heads, len(images.image_sizes)
        regions = [_grid(size, self.GRIDS) for size in images.image_sizes]
        pooled = heads.box_roi_pool(features, regions, images.image_sizes)
        classes, boxes = heads.box_predictor(heads.box_head(pooled))
        return (
            torch.cat([o.flatten(1) for o in objectness], dim=1),
            torch.cat([d.flatten(1) for d in deltas], dim=1),
            classes.reshape(n, -1),
            boxes.reshape(n, -1),
        )

    def detect(self, images: ImageList, features: Features) -> list[Found]:
        """Boxes that survive the suppression of doubles, with their masks or keypoints."""
        proposals, _ = self.net.rpn(images, features)
        found: list[Found]
        found, _ = self.net.roi_heads(features, proposals, images.image_sizes)
        for objects in found:
            if "keypoints" in objects:
                scores = objects.pop("keypoints_scores")[..., None]
                objects["keypoints"] = torch.cat([objects["keypoints"][..., :2], scores], dim=-1)
        return found

    def loss(
        self, images: ImageList, features: Features, targets: list[dict[str, torch.Tensor]]
    ) -> torch.Tensor:
        """Losses of proposals, classes, boxes, and of masks or keypoints.

        The anchors and regions that it learns from are drawn at random, the same every time.
        """
        with _training(self.net.rpn, self.net.roi_heads), same_random_weights():
            proposals, proposing = self.net.rpn(images, features, targets)
            _, judging = self.net.roi_heads(features, proposals, images.image_sizes, targets)
        return _sum(proposing) + _sum(judging)


def heads_of(net: nn.Module) -> Heads:
    """The heads of one of torchvision's detectors."""
    return OneStage(net) if isinstance(net, FCOS | RetinaNet) else TwoStage(net)


@contextmanager
def _training(*modules: nn.Module) -> Iterator[None]:
    """These modules ask for targets and return losses; those inside stay as they are.

    Batch norms inside keep their statistics: this trains what comes before the network.
    """
    for module in modules:
        module.training = True
    try:
        yield
    finally:
        for module in modules:
            module.training = False


def _grid(size: tuple[int, int], grids: Sequence[int]) -> torch.Tensor:
    """Regions of regular grids over a picture of `(height, width)`, `(R, 4)`."""
    boxes = []
    for n in grids:
        y, x = torch.meshgrid(torch.arange(n) / n, torch.arange(n) / n, indexing="ij")
        boxes.append(torch.stack([x, y, x + 1 / n, y + 1 / n], dim=-1).reshape(-1, 4))
    height, width = size
    return torch.cat(boxes) * torch.tensor([width, height, width, height])


def _sum(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()
