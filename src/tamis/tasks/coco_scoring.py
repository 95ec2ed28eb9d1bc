"""Scores of found objects: COCO's mAP over a set, an overlap and an AP for each picture.

Against labels, and against what the same detector found on the originals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.data.annotations import COCO_CLASSES, Annotations, Label
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.coco_matching import RANGES, THRESHOLDS, Matches, match
from tamis.tasks.coco_overlap import BOXES, Overlap
from tamis.tasks.coco_pooling import average_precision
from tamis.tasks.detections import Detections, Packing

_LABELLED = "_labels"

MEASURES: dict[str, Measure] = {
    "overlap": Measure(True, True, "overlap with the original's detections, weighted by score"),
    "image_ap": Measure(True, False, "AP of the picture against the original's detections"),
    f"image_ap{_LABELLED}": Measure(True, False, "AP of the picture against labels"),
}
"""What a single picture has."""

_POOLED = {
    "map": ("mAP", slice(None), "all"),
    "ap50": ("AP50", 0, "all"),
    "ap75": ("AP75", int(np.searchsorted(THRESHOLDS, 0.75)), "all"),
    "ap_small": ("mAP of small objects", slice(None), "small"),
    "ap_medium": ("mAP of medium objects", slice(None), "medium"),
    "ap_large": ("mAP of large objects", slice(None), "large"),
}


def pooled_measures() -> dict[str, Measure]:
    """mAP and its parts, against the detections on the originals and against labels."""
    return {
        f"{name}{suffix}": Measure(True, name == "map", f"{label} against {whom}")
        for suffix, whom in (("", "the original's detections"), (_LABELLED, "labels"))
        for name, (label, _, _) in _POOLED.items()
    }


@dataclass(frozen=True)
class CocoScoring:
    """Scores rows of packed detections.

    Attributes:
        packing: of the rows; numbers after the packed ones play no part.
        overlap: what counts as the same object.
        confident: what the detector finds on an original with at least this score is what it must
            find on the decoded picture.
    """

    packing: Packing
    overlap: Overlap = BOXES
    confident: float = 0.5

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure of `MEASURES` for every picture, `(N,)`.

        `overlap` is 1 where nothing changed, see `soft_overlap`. The APs are means over classes
        and `THRESHOLDS`, NaN where there is nothing to find.
        """
        rows: dict[str, list[float]] = {name: [] for name in MEASURES}
        cases = zip(predictions, reference, _annotations(labels, len(predictions)), strict=True)
        for row, original, label in cases:
            found, (expected, *size) = self._found(row), self.packing.unpack(original)
            shared = self.overlap.matrix(found, self.overlap.mark(expected, *size))
            truth = self._truth(expected, *size)
            rows["overlap"].append(soft_overlap(found, expected, shared))
            rows["image_ap"].append(self._precision(found, truth))
            rows[f"image_ap{_LABELLED}"].append(
                np.nan if label is None else self._precision(found, label)
            )
        return {name: np.array(values, np.float64) for name, values in rows.items()}

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """The `Matches` of each picture with the original's detections, then with its label."""
        records = []
        cases = zip(predictions, reference, _annotations(labels, len(predictions)), strict=True)
        for row, original, label in cases:
            found, truth = self._found(row), self._truth(*self.packing.unpack(original))
            truths = [truth] if label is None else [truth, label]
            parts = [match(found, truth, self.overlap).record() for truth in truths]
            records.append(np.concatenate(parts))
        return records

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """mAP and its parts over `records`; those against labels use the pictures that have any."""
        against_original, against_label = [], []
        for record in records:
            matches, rest = Matches.read(record)
            against_original.append(matches)
            if len(rest):
                against_label.append(Matches.read(rest)[0])
        return _named(against_original, "") | _named(against_label, _LABELLED)

    def describe(self, row: npt.NDArray[np.float32]) -> str:
        """What is surely in a picture, in words: `"2 person, dog"`."""
        found, _, _ = self.packing.unpack(row)
        kinds, counts = np.unique(found.classes[found.scores >= self.confident], return_counts=True)
        return ", ".join(
            f"{count} {_class_name(kind)}" if count > 1 else _class_name(kind)
            for kind, count in zip(kinds, counts, strict=True)
        )

    def _found(self, row: npt.NDArray[np.float32]) -> Detections:
        return self.packing.unpack(row)[0]

    def _truth(self, expected: Detections, width: int, height: int) -> Annotations:
        return self.overlap.mark(expected[expected.scores >= self.confident], width, height)

    def _precision(self, found: Detections, truth: Annotations) -> float:
        return float(average_precision([match(found, truth, self.overlap)])[0].mean())


def soft_overlap(found: Detections, expected: Detections, shared: npt.NDArray[np.float64]) -> float:
    """How much of two sets of detections is the same, 1 if all, 0 if nothing.

    Each object is worth its squared score and gets the best of `shared` with an object of its
    class in the other set, times the smaller of the two worths:

        overlap = (sum_d max_e o(d, e) w(d, e) + sum_e max_d o(d, e) w(d, e)) / (sum_d w + sum_e w)

    No threshold decides whether an object counts, so it moves gradually with the pixels; squares,
    because a hundred faint boxes would outweigh three sure ones.

    Args:
        found: D detections.
        expected: E detections.
        shared: overlap of each pair in 0..1, `(D, E)`.
    """
    worth, due = (d.scores.astype(np.float64) ** 2 for d in (found, expected))
    total = worth.sum() + due.sum()
    if total == 0:
        return 1.0
    same = found.classes[:, None] == expected.classes[None]
    kept = shared * same * np.minimum(worth[:, None], due[None])
    both = kept.max(axis=1, initial=0).sum() + kept.max(axis=0, initial=0).sum()
    return float(both / total)


def _annotations(labels: Sequence[Label] | None, n: int) -> list[Annotations | None]:
    """The labels that mark objects; a class of the whole photo says nothing of them."""
    return [label if isinstance(label, Annotations) else None for label in labels or [None] * n]


def _named(pictures: Sequence[Matches], suffix: str) -> dict[str, float]:
    shape = len(RANGES), len(THRESHOLDS)
    ap = average_precision(pictures) if pictures else np.full(shape, np.nan)
    by_range = dict(zip(RANGES, ap, strict=True))
    return {
        f"{name}{suffix}": float(np.mean(by_range[span][chosen]))
        for name, (_, chosen, span) in _POOLED.items()
    }


def _class_name(kind: int) -> str:
    return COCO_CLASSES[kind] if kind < len(COCO_CLASSES) else f"class {kind}"
