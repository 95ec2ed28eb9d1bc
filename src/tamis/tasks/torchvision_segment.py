"""torchvision's semantic segmentation: a class for every pixel (`segment:deeplabv3_resnet50`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import torchvision.models.segmentation as zoo

from tamis.codecs import Image
from tamis.data.annotations import COCO_CLASSES, Annotations, Label
from tamis.errors import TamisError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.distance import relative_distance
from tamis.tasks.mask_scoring import (
    VOID,
    Counts,
    class_map,
    count_overlap,
    mean_iou,
    pool_mean_iou,
    record_of,
)
from tamis.tasks.pixels import batches, fit, resize
from tamis.tasks.weights import torchvision_network

MEASURES: dict[str, Measure] = {
    "kl": Measure(False, True, "KL divergence to the original's classes, mean over places (nats)"),
    "agreement": Measure(True, False, "pixels with the original's class"),
    "iou": Measure(True, False, "mean IoU of the picture's classes with the original's map"),
    "iou_labels": Measure(True, False, "mean IoU of the picture's classes with the labels"),
}
POOLED: dict[str, Measure] = {
    "miou": Measure(True, False, "mIoU with the original's maps"),
    "miou_labels": Measure(True, False, "mIoU with the labels"),
}

_VOC_NAMES = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}
"""VOC's names of COCO's classes, where they differ."""

MOST = 4
"""Pictures that go through the network at once: its maps are large."""


class TorchvisionSegmenter:
    """Semantic segmentation into the 20 classes of PASCAL VOC and background.

    A row of predictions holds the logits as the network computes them, on its own coarse grid
    (every 8 or 16 pixels); they are stretched bilinearly to the size that is compared, as the
    network itself stretches them.

    Attributes:
        name: the spec.
        size: side of the square that a photo is resized to, pixels.
    """

    measures: Mapping[str, Measure] = MEASURES
    pooled: Mapping[str, Measure] = POOLED

    def __init__(self, network: str, size: int | None = None, random: bool = False) -> None:
        """Load a network.

        Args:
            network: as torchvision calls it, `deeplabv3_resnet50`.
            size: see the class; None for the weights' own, 520.
            random: random weights, for tests.

        Raises:
            UnknownNameError: torchvision has no such network.
            TamisError: its weights are not to be had.
        """
        self._net: Any
        self._net, weights = torchvision_network(network, zoo, random)
        self._net.requires_grad_(False)
        preset = weights.transforms()
        self.size = size or int(preset.resize_size[0])
        self.name = f"segment:{network}" + (f":size={size}" if size else "")
        self.name += ":weights=random" if random else ""
        self._mean = torch.tensor(preset.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(preset.std).view(1, 3, 1, 1)
        names = list(weights.meta["categories"])
        known = [_VOC_NAMES.get(name, name) for name in COCO_CLASSES]
        self._classes = np.array([names.index(n) if n in names else 0 for n in known], np.uint8)
        self._count = len(names)

    @classmethod
    def from_spec(cls, spec: Spec) -> "TorchvisionSegmenter":
        """`segment:NAME[:size=520][:weights=random]`."""
        options = spec.options
        size, weights = options.get("size", "520"), options.get("weights", "random")
        if spec.value is None or set(options) - {"size", "weights"} or weights != "random":
            raise TamisError(
                "a segmenter is written segment:NAME[:size=PIXELS][:weights=random] "
                "or segment:mediapipe"
            )
        if not (size.isascii() and size.isdigit() and int(size) >= 32):
            raise TamisError(f"size is a number of pixels from 32, not '{size}'")
        return cls(spec.value, int(size) if "size" in options else None, "weights" in options)

    def prepare(self, image: Image) -> Image:
        """The whole image at the network's input size."""
        return resize(image, self.size, self.size)

    @torch.inference_mode()
    def predict(self, images: Sequence[Image]) -> Predictions:
        """Logits on the coarse grid, `(N, 21 * h * w)`."""
        xs = batches(images, self.size, self.size, MOST)
        return np.concatenate([self.outputs(x)["logits"].flatten(1).numpy() for x in xs])

    def outputs(self, x: torch.Tensor) -> dict[str, Any]:
        """Coarse `logits` `(N, 21, h, w)`, and the backbone's `features`, a tuple of maps."""
        x = fit(x, self.size, self.size)
        features = self._net.backbone((x - self._mean) / self._std)
        # LR-ASPP's head reads two maps, the others' one; training also returns an auxiliary one.
        single = not isinstance(self._net, zoo.LRASPP)
        logits = self._net.classifier(features["out"] if single else features)
        used = [features["out"]] if single else list(features.values())
        return {"logits": logits.float(), "features": tuple(used)}

    def loss(self, outputs: Mapping[str, Any], reference: Mapping[str, Any]) -> torch.Tensor:
        """KL(reference || outputs) in nats, the mean over places, `(N,)`."""
        return _kl(outputs["logits"], reference["logits"])

    def feature_loss(
        self, outputs: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> torch.Tensor:
        """Relative distance of what the backbone hands to the head, `(N,)`."""
        pairs = zip(outputs["features"], reference["features"], strict=True)
        return torch.stack([relative_distance(o, r) for o, r in pairs]).mean(dim=0)

    def label_loss(self, x: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """Cross-entropy with the labelled class, the mean over pixels, `(N,)`.

        Objects of classes the network does not know are background, overlaps and crowds count for
        nothing.

        Raises:
            TamisError: a label that is no `Annotations`.
        """
        if bad := [label for label in labels if not isinstance(label, Annotations)]:
            raise TamisError(f"{self.name} learns from masks of objects, not from {bad[0]}")
        truth = torch.stack([self._truth_at_input(label) for label in labels])
        logits = self._stretch(self.outputs(x)["logits"], self.size, self.size)
        each = F.cross_entropy(logits, truth, ignore_index=VOID, reduction="none").flatten(1)
        return each.sum(dim=1) / (truth != VOID).flatten(1).sum(dim=1).clamp_min(1)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure for every image, `(N,)`."""
        agreement, shared, labelled = [], [], []
        for row, original, label in self._cases(predictions, reference, labels):
            counts = self._against_original(row, original)
            agreement.append(float(counts[0].sum() / self.size**2))
            shared.append(mean_iou(counts))
            against = self._against_label(row, label)
            labelled.append(np.nan if against is None else mean_iou(against))
        kl = _kl(self._logits(predictions).double(), self._logits(reference).double())
        return {
            "kl": kl.clamp_min(0).numpy(),
            "agreement": np.array(agreement),
            "iou": np.array(shared),
            "iou_labels": np.array(labelled),
        }

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """Pixels of each class that agree with the original's map and with the label."""
        return [
            record_of(self._against_original(row, original), self._against_label(row, label))
            for row, original, label in self._cases(predictions, reference, labels)
        ]

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """mIoU over a set of images."""
        return pool_mean_iou(records)

    def _cases(
        self, predictions: Predictions, reference: Predictions, labels: Sequence[Label] | None
    ) -> Any:
        known = labels or [None] * len(predictions)
        return zip(self._logits(predictions), self._logits(reference), known, strict=True)

    def _logits(self, rows: Predictions) -> torch.Tensor:
        side = round((rows.shape[1] / self._count) ** 0.5)
        return torch.from_numpy(rows).reshape(-1, self._count, side, side)

    def _stretch(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)

    def _map(self, logits: torch.Tensor, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The likeliest class of each pixel."""
        stretched = self._stretch(logits[None], height, width)[0]
        found: npt.NDArray[np.uint8] = stretched.argmax(dim=0).to(torch.uint8).numpy()
        return found

    def _against_original(self, logits: torch.Tensor, original: torch.Tensor) -> Counts:
        sides = self.size, self.size
        return count_overlap(self._map(logits, *sides), self._map(original, *sides), self._count)

    def _against_label(self, logits: torch.Tensor, label: Label) -> Counts | None:
        if not isinstance(label, Annotations):
            return None
        found = self._map(logits, label.height, label.width)
        return count_overlap(found, class_map(label, self._classes), self._count)

    def _truth_at_input(self, label: Annotations) -> torch.Tensor:
        full = torch.from_numpy(class_map(label, self._classes))[None, None]
        return F.interpolate(full, (self.size, self.size), mode="nearest-exact")[0, 0].long()


def _kl(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    log_q, log_p = F.log_softmax(logits, dim=1), F.log_softmax(reference, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).flatten(1).mean(dim=1)
