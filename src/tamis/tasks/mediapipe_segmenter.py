"""Persons cut out by MediaPipe (`segment:mediapipe`): a black box, scored by overlap of masks."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.data.annotations import COCO_CLASSES, Annotations, Label
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.litert import LiteRtNetwork
from tamis.tasks.mask_scoring import (
    class_map,
    count_overlap,
    iou,
    pool_mean_iou,
    record_of,
)
from tamis.tasks.mediapipe_files import SELFIE_SEGMENTATION, network_path
from tamis.tasks.regions import sample

MEASURES: dict[str, Measure] = {
    "soft_iou": Measure(True, True, "overlap of probabilities with the original's person mask"),
    "change": Measure(False, True, "mean change of the person's probability"),
    "iou": Measure(True, False, "IoU with the original's person mask"),
    "iou_labels": Measure(True, False, "IoU with the labelled persons"),
}
POOLED: dict[str, Measure] = {
    "miou": Measure(True, False, "mIoU of person and background with the original's mask"),
    "miou_labels": Measure(True, False, "mIoU of person and background with the labels"),
}

LEAST = 0.005
"""Share of the picture that the original's mask must cover for an overlap with it to be told."""

_PERSON = np.array([name == "person" for name in COCO_CLASSES], np.uint8)


class MediaPipeSegmenter:
    """MediaPipe's selfie segmentation of whole photos; no gradients.

    A photo whose original shows no person (a mask below half a percent of the picture) has no
    overlap with the original (NaN); `change` counts it.

    Attributes:
        name: the spec.
    """

    name = "segment:mediapipe"
    measures: Mapping[str, Measure] = MEASURES
    pooled: Mapping[str, Measure] = POOLED

    def __init__(self) -> None:
        self.network = LiteRtNetwork(network_path(SELFIE_SEGMENTATION))

    def prepare(self, image: Image) -> Image:
        """The whole image as the network gets it, `uint8 (256, 256, 3)`, sampled bilinearly."""
        height, width = image.shape[:2]
        across, down = self.network.size
        grid = np.meshgrid(np.arange(across) * width / across, np.arange(down) * height / down)
        return sample(image, np.stack(grid, axis=-1))

    def predict(self, images: Sequence[Image]) -> Predictions:
        """The probability of a person at each of 256 x 256 places, `(N, 65536)`."""
        rows = [self.network(self.prepare(image) / 255.0)[0].ravel() for image in images]
        return np.stack(rows)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure for every image, `(N,)`.

        `soft_iou` is the sum of the smaller over the sum of the larger of both probabilities.
        """
        p, q = predictions.astype(np.float64), reference.astype(np.float64)
        shown = np.where((q > 0.5).mean(axis=1) >= LEAST, 1.0, np.nan)
        known = labels or [None] * len(p)
        hard = [_person_iou(_counts(a, b)) for a, b in zip(p, q, strict=True)]
        return {
            "soft_iou": shown * np.minimum(p, q).sum(axis=1) / np.maximum(p, q).sum(axis=1),
            "change": np.abs(p - q).mean(axis=1),
            "iou": shown * np.array(hard),
            "iou_labels": np.array(
                [self._labelled_iou(row, label) for row, label in zip(p, known, strict=True)]
            ),
        }

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """Pixels of person and background that agree with the original's mask and the label."""
        known = labels or [None] * len(predictions)
        return [
            record_of(_counts(row, original), self._against(row, label))
            for row, original, label in zip(predictions, reference, known, strict=True)
        ]

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """mIoU over a set of images."""
        return pool_mean_iou(records)

    def _labelled_iou(self, row: npt.NDArray[np.floating], label: Label) -> float:
        """IoU with the labelled persons; NaN without any, whatever the network finds."""
        counts = self._against(row, label)
        if counts is None or not isinstance(label, Annotations):
            return float("nan")
        people = _PERSON[label.classes[~label.crowd]]
        return _person_iou(counts) if people.any() else float("nan")

    def _against(
        self, row: npt.NDArray[np.floating], label: Label
    ) -> npt.NDArray[np.float64] | None:
        """Overlap with the labelled persons, in pixels of the labelled photo."""
        if not isinstance(label, Annotations):
            return None
        across, down = self.network.size
        mask = PillowImage.fromarray(row.astype(np.float32).reshape(down, across))
        full = mask.resize((label.width, label.height), PillowImage.Resampling.BILINEAR)
        return count_overlap(_binary(np.asarray(full)), class_map(label, _PERSON), 2)


def _binary(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    return (probabilities > 0.5).astype(np.uint8)


def _counts(
    row: npt.NDArray[np.floating], original: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    return count_overlap(_binary(row), _binary(original), 2)


def _person_iou(counts: npt.NDArray[np.float64]) -> float:
    return float(iou(counts)[1])
