"""torchvision's detectors: boxes, masks of instances, keypoints of persons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision.models.detection as zoo
from torchvision.models import list_models
from torchvision.models.detection.image_list import ImageList

from tamis.codecs import Image
from tamis.data.annotations import COCO_IDS, Label
from tamis.errors import TamisError, UnknownNameError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.coco_overlap import BOXES, MASKS, POSES, Overlap
from tamis.tasks.coco_scoring import MEASURES, CocoScoring, pooled_measures
from tamis.tasks.detect_onnx import confidence
from tamis.tasks.detections import Detections, Packing
from tamis.tasks.distance import relative_distance
from tamis.tasks.pixels import resize, to_tensor
from tamis.tasks.torchvision_heads import Features, Found, heads_of
from tamis.tasks.torchvision_targets import target
from tamis.tasks.weights import torchvision_network

Outputs = Mapping[str, tuple[torch.Tensor, ...]]
"""`heads`: what they say of every place; `features`: the levels of the pyramid."""

_CLASSES = np.full(max(COCO_IDS) + 1, -1)
_CLASSES[list(COCO_IDS)] = np.arange(len(COCO_IDS))


@dataclass(frozen=True)
class Kind:
    """What a family of networks finds.

    Attributes:
        families: how their names begin.
        overlap: what counts as the same object.
        packing: of their detections.
    """

    families: tuple[str, ...]
    overlap: Overlap
    packing: Packing


KINDS: Mapping[str, Kind] = {
    "detect": Kind(("fcos", "retinanet", "fasterrcnn"), BOXES, Packing()),
    "instances": Kind(("maskrcnn",), MASKS, Packing(mask_side=28)),
    "keypoints": Kind(("keypointrcnn",), POSES, Packing(keypoints=True)),
}
"""By the first word of a spec."""


class TorchvisionDetector:
    """`detect:NAME`, `instances:NAME` or `keypoints:NAME`, networks with a feature pyramid.

    The loss of a picture is the mean of two relative distances to the outputs on the original: of
    the pyramid's levels, and of what the heads say of every place.

    Attributes:
        name: the spec.
        scoring: of the detections.
    """

    measures: Mapping[str, Measure] = MEASURES
    pooled: Mapping[str, Measure] = pooled_measures()

    def __init__(
        self,
        network: str,
        kind: str = "detect",
        random: bool = False,
        size: int | None = None,
        confident: float = 0.5,
    ) -> None:
        """Load a network.

        Args:
            network: as torchvision calls it, `fcos_resnet50_fpn`.
            kind: a key of `KINDS`.
            random: random weights instead of COCO's.
            size: shorter side of what the network sees, pixels; None for its own, mostly 800.
            confident: see `CocoScoring`.

        Raises:
            UnknownNameError: torchvision has no such network of that kind.
            TamisError: its weights are not to be had.
        """
        known = [n for n in list_models(zoo) if n.startswith(KINDS[kind].families)]
        if network not in known:
            raise UnknownNameError(f"network for {kind}", network, known)
        self.name = f"{kind}:{network}"
        sides = {} if size is None else {"min_size": size, "max_size": size * 5 // 3}
        self._net: Any = torchvision_network(network, zoo, random, **sides)[0].requires_grad_(False)
        self._kind = kind
        self._heads = heads_of(self._net)
        self.scoring = CocoScoring(KINDS[kind].packing, KINDS[kind].overlap, confident)

    @classmethod
    def from_spec(cls, spec: Spec) -> "TorchvisionDetector":
        """`detect|instances|keypoints:NAME[:weights=random][:size=N][:confident=0.5]`."""
        options = dict(spec.options)
        weights, size = options.pop("weights", "default"), options.pop("size", "")
        confident = confidence(options)
        options.pop("confident", None)
        if spec.value is None or options or weights not in ("default", "random"):
            raise TamisError(
                f"a network for {spec.name} is written "
                f"{spec.name}:NAME[:weights=random][:size=N][:confident=0.5]"
            )
        if size and not (size.isdecimal() and int(size) >= 32):
            raise TamisError(f"size is a number of pixels from 32, not '{size}'")
        return cls(
            spec.value,
            spec.name,
            weights == "random",
            int(size) if size else None,
            confident or 0.5,
        )

    def prepare(self, image: Image) -> Image:
        """The whole image at the size that the network makes of it, its aspect ratio kept."""
        height, width = image.shape[:2]
        low, high = self._net.transform.min_size[-1], self._net.transform.max_size
        scale = min(low / min(height, width), high / max(height, width))
        return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))

    @torch.inference_mode()
    def predict(self, images: Sequence[Image]) -> Predictions:
        """Packed detections, `(N, K)`; each picture for itself, as others would pad it."""
        found, sizes = [], []
        for image in images:
            seen, features = self._see(to_tensor([image]))
            (objects,) = self._heads.detect(seen, features)
            found.append(_detections(objects, seen.image_sizes[0]))
            sizes.append((image.shape[1], image.shape[0]))
        return self.scoring.packing.pack_all(found, sizes)

    def outputs(self, x: torch.Tensor) -> Outputs:
        """What the heads say of every place, and the pyramid, for `x`, `(N, 3, H, W)` in [0, 1]."""
        seen, features = self._see(x)
        return {"heads": self._heads.dense(seen, features), "features": tuple(features.values())}

    def loss(self, outputs: Outputs, reference: Outputs) -> torch.Tensor:
        """See the class, `(N,)`."""
        heads = _mean_distance(outputs["heads"], reference["heads"])
        return (heads + self.feature_loss(outputs, reference)) / 2

    def feature_loss(self, outputs: Outputs, reference: Outputs) -> torch.Tensor:
        """Relative distance of the pyramid's levels alone, `(N,)`."""
        return _mean_distance(outputs["features"], reference["features"])

    def label_loss(self, x: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """The sum of the network's training losses against annotations, `(N,)`.

        Raises:
            TamisError: a label that is no `Annotations`, or lacks the keypoints asked for.
        """
        seen, features = self._see(x)
        return torch.stack(
            [
                self._heads.loss(
                    ImageList(seen.tensors[i : i + 1], [size]),
                    {name: level[i : i + 1] for name, level in features.items()},
                    [target(label, size, self._kind == "instances", self._kind == "keypoints")],
                )
                for i, (label, size) in enumerate(zip(labels, seen.image_sizes, strict=True))
            ]
        )

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """See `CocoScoring.score`."""
        return self.scoring.score(predictions, reference, labels)

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """See `CocoScoring.records`."""
        return self.scoring.records(predictions, reference, labels)

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """mAP and its parts, see `CocoScoring.pool`."""
        return self.scoring.pool(records)

    def describe(self, row: npt.NDArray[np.float32]) -> str:
        """What is surely in a picture, in words."""
        return self.scoring.describe(row)

    def _see(self, x: torch.Tensor) -> tuple[ImageList, Features]:
        seen, _ = self._net.transform(list(x))
        return seen, self._net.backbone(seen.tensors)


def _detections(found: Found, size: tuple[int, int]) -> Detections:
    """`found` in a picture of `(height, width)`; ids that COCO does not use and empty boxes go."""
    labels = found["labels"].numpy()
    classes = np.where(labels < len(_CLASSES), _CLASSES[np.minimum(labels, len(_CLASSES) - 1)], -1)
    scale = np.array([size[1], size[0]] * 2, np.float32)
    masks, keypoints = found.get("masks"), found.get("keypoints")
    if keypoints is not None:
        keypoints = keypoints / torch.tensor([size[1], size[0], 1.0])
    boxes = (found["boxes"].numpy() / scale).astype(np.float32)
    kept = (classes >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(
        boxes,
        found["scores"].numpy(),
        classes,
        None if masks is None else masks[:, 0].numpy(),
        None if keypoints is None else keypoints.numpy(),
    )[kept]


def _mean_distance(
    outputs: tuple[torch.Tensor, ...], reference: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    gaps = [relative_distance(o, r) for o, r in zip(outputs, reference, strict=True)]
    return torch.stack(gaps).mean(dim=0)
