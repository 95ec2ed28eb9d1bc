"""What a picture scores on its own, and what records say of a set."""

import numpy as np
import pytest

from tamis.data.annotations import Annotations
from tamis.tasks.coco_scoring import MEASURES, CocoScoring, pooled_measures, soft_overlap
from tamis.tasks.detections import Detections, Packing

PACKING = Packing(8)
SCORING = CocoScoring(PACKING, confident=0.5)


def found(*objects: tuple[float, float, int]) -> Detections:
    """Boxes 0.2 wide from the left edge given, with a score and a class."""
    boxes = np.array([[x, 0.1, x + 0.2, 0.9] for x, _, _ in objects], np.float32).reshape(-1, 4)
    scores = np.array([s for _, s, _ in objects], np.float32)
    return Detections(boxes, scores, np.array([c for _, _, c in objects], np.int64))


def rows(*pictures: Detections) -> np.ndarray:
    return PACKING.pack_all(list(pictures), [(200, 100)] * len(pictures))


def label(objects: Detections) -> Annotations:
    return SCORING.overlap.mark(objects, 200, 100)


THREE = found((0.0, 0.9, 1), (0.3, 0.7, 2), (0.6, 0.2, 2))


def overlap(now: Detections, before: Detections) -> float:
    return float(SCORING.score(rows(now), rows(before))["overlap"][0])


def test_nothing_changed_is_one_and_nothing_left_is_zero() -> None:
    assert overlap(THREE, THREE) == pytest.approx(1)
    assert overlap(found(), THREE) == 0 == overlap(THREE, found())
    assert overlap(found(), found()) == 1
    assert overlap(found((0.3, 0.9, 1)), found((0.3, 0.9, 2))) == 0


def test_overlap_is_the_same_in_both_directions() -> None:
    other = found((0.02, 0.5, 1), (0.33, 0.8, 2))
    assert overlap(THREE, other) == pytest.approx(overlap(other, THREE))


def test_overlap_falls_gradually_as_a_box_moves_or_fades() -> None:
    moved = [overlap(found((x, 0.9, 1)), found((0.0, 0.9, 1))) for x in np.linspace(0, 0.2, 41)]
    faded = [overlap(found((0.0, s, 1)), found((0.0, 0.9, 1))) for s in np.linspace(0.9, 0, 41)]
    for values in (moved, faded):
        steps = np.diff(values)
        assert (steps < 0).all() and (steps > -0.1).all()
        assert values[0] == pytest.approx(1) and values[-1] == pytest.approx(0, abs=1e-5)


def test_faint_boxes_weigh_little() -> None:
    assert overlap(THREE[np.arange(2)], THREE) > 0.97
    assert overlap(THREE[np.arange(1, 3)], THREE) < 0.7


def test_the_formula_by_hand() -> None:
    now, before = found((0.0, 0.6, 1)), found((0.1, 0.8, 1))
    iou, kept = 1 / 3, 0.36
    expected = 2 * iou * kept / (0.36 + 0.64)
    shared = np.array([[iou]])
    assert soft_overlap(now, before, shared) == pytest.approx(expected)
    assert overlap(now, before) == pytest.approx(expected, rel=1e-4)


def test_only_confident_boxes_of_the_original_must_be_found() -> None:
    scores = SCORING.score(rows(THREE[np.arange(2)]), rows(THREE))
    assert scores["image_ap"] == pytest.approx([1])
    strict = CocoScoring(PACKING, confident=0.1)
    assert strict.score(rows(THREE[np.arange(2)]), rows(THREE))["image_ap"][0] < 1


def test_pools_know_labels_from_agreement() -> None:
    predictions, reference = rows(THREE, found(), THREE), rows(THREE, THREE, found())
    labels = [label(THREE), None, 7]
    scores = SCORING.score(predictions, reference, labels)
    assert list(scores) == list(MEASURES)
    assert np.isnan(scores["image_ap_labels"]).tolist() == [False, True, True]
    assert np.isnan(scores["image_ap"]).tolist() == [False, False, True]
    records = SCORING.records(predictions, reference, labels)
    assert all(record.dtype == np.float32 and record.ndim == 1 for record in records)
    pooled = SCORING.pool(records)
    assert list(pooled) == list(pooled_measures())
    assert pooled["map_labels"] == pytest.approx(1)
    # Each class is found in one of two pictures: half of the recalls are reached.
    assert 0.2 < pooled["map"] < 0.6
    assert np.isnan(pooled["ap_small"]) and np.isnan(SCORING.pool(records[1:])["map_labels"])


def test_a_picture_in_words() -> None:
    assert SCORING.describe(PACKING.pack(THREE, 200, 100)) == "bicycle, car"
    two = found((0.0, 0.9, 0), (0.5, 0.8, 0), (0.5, 0.8, 95))
    assert SCORING.describe(PACKING.pack(two, 200, 100)) == "2 person, class 95"
