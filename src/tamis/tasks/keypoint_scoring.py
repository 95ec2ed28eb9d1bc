"""Scores of poses: OKS and PCK for each picture, OKS-AP over a set.

Against labels, and against the poses that the same network found on the originals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from tamis.data.annotations import Annotations, Label
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.coco_overlap import POSES, keypoint_similarity
from tamis.tasks.coco_scoring import CocoScoring
from tamis.tasks.detections import Detections, Packing

PCK_REACH = 0.1
"""How far a joint may be off, relative to the longer side of the person's box."""

MEASURES: dict[str, Measure] = {
    "oks": Measure(True, True, "similarity (OKS) to the original's poses"),
    "pck": Measure(True, False, "joints where the original has them (PCK 0.1)"),
    "oks_labels": Measure(True, True, "similarity (OKS) to the labelled poses"),
    "pck_labels": Measure(True, False, "joints where the labels have them (PCK 0.1)"),
}
"""What a single picture has."""

POOLED: dict[str, Measure] = {
    f"{name}{suffix}": Measure(True, name == "map", f"{label} against {whom}")
    for suffix, whom in (("", "the original's poses"), ("_labels", "labels"))
    for name, label in (("map", "OKS mAP"), ("ap50", "OKS AP50"), ("ap75", "OKS AP75"))
}
"""What a set has."""

Matrix = npt.NDArray[np.float64]


def correct_joints(found: Detections, marked: Annotations, reach: float = PCK_REACH) -> Matrix:
    """PCK of every found person with every marked one, `(D, G)`.

    The share of marked joints that are found within `reach` times the longer side of the person's
    box; 0 for a person without marked joints (Yang and Ramanan, Articulated Human Detection with
    Flexible Mixtures of Parts, TPAMI 2013, section 6).
    """
    size = np.array([marked.width, marked.height], np.float64)
    truth = _joints(marked.keypoints)
    gaps = (_joints(found.keypoints)[:, None, :, :2] - truth[None, :, :, :2]) * size
    sides = (marked.boxes[:, 2:] - marked.boxes[:, :2]) * size
    near = np.hypot(gaps[..., 0], gaps[..., 1]) <= reach * sides.max(axis=1, initial=0)[:, None]
    seen = truth[..., 2] > 0
    share: Matrix = (near & seen).sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1)
    return share


def mean_over_people(similarity: Matrix, asked: npt.NDArray[np.bool_]) -> float:
    """Mean over the people asked for of their similarity to the found person that is theirs.

    Found and marked people are paired so that the sum is greatest; who was not found has 0.

    Args:
        similarity: of each found with each marked person `(D, G)`.
        asked: who of the marked people counts `(G,)`; NaN comes back if none does.
    """
    if not asked.any():
        return float("nan")
    shared = similarity[:, asked]
    pairs = linear_sum_assignment(shared, maximize=True)
    return float(shared[pairs].sum() / asked.sum())


@dataclass(frozen=True)
class PoseScoring:
    """Scores rows of packed poses.

    Attributes:
        packing: of the rows.
    """

    packing: Packing
    _coco: CocoScoring = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_coco", CocoScoring(self.packing, POSES, confident=0.0))

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure of `MEASURES` for every picture, `(N,)`.

        NaN against the original where nobody was found on it, against labels where they mark no
        person's joints. A person who is found in the picture alone costs nothing here; the AP of
        the set counts it.
        """
        rows: dict[str, list[float]] = {name: [] for name in MEASURES}
        known = labels or [None] * len(predictions)
        for row, original, label in zip(predictions, reference, known, strict=True):
            found = self.packing.unpack(row)[0]
            truth = POSES.mark(*self.packing.unpack(original))
            for suffix, people in (("", truth), ("_labels", label)):
                oks, pck = _compare(found, people)
                rows[f"oks{suffix}"].append(oks)
                rows[f"pck{suffix}"].append(pck)
        return {name: np.array(values, np.float64) for name, values in rows.items()}

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """What COCO's AP needs to know of each picture."""
        return self._coco.records(predictions, reference, labels)

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """`POOLED` over `records`."""
        values = self._coco.pool(records)
        return {name: values[name] for name in POOLED}


def _compare(found: Detections, marked: Label) -> tuple[float, float]:
    """OKS and PCK of a picture."""
    if not isinstance(marked, Annotations) or marked.keypoints is None:
        return float("nan"), float("nan")
    asked = ~POSES.ignored(marked)
    return (
        mean_over_people(keypoint_similarity(found, marked), asked),
        mean_over_people(correct_joints(found, marked), asked),
    )


def _joints(keypoints: npt.NDArray[np.float32] | None) -> Matrix:
    return np.zeros((0, 17, 3)) if keypoints is None else keypoints.astype(np.float64)
