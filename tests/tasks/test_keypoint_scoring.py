"""Poses against poses: OKS and PCK by hand, pairing, persons who are missing."""

import numpy as np
import pytest

from tamis.data.annotations import Annotations
from tamis.tasks.coco_overlap import SIGMAS
from tamis.tasks.detections import Detections, Packing
from tamis.tasks.keypoint_scoring import (
    MEASURES,
    POOLED,
    PoseScoring,
    correct_joints,
    mean_over_people,
)

WIDTH, HEIGHT = 200, 100
PACKING = Packing(4, keypoints=True)
SCORING = PoseScoring(PACKING)


def people(count: int = 1, seed: int = 0) -> Detections:
    """Poses in boxes side by side, every joint seen."""
    rng = np.random.default_rng(seed)
    low = np.array([[0.05 + 0.3 * i, 0.1] for i in range(count)]).reshape(-1, 2)
    boxes = np.concatenate([low, low + np.array([0.2, 0.8])], axis=1).astype(np.float32)
    spread = rng.uniform(0, 1, (count, 17, 2))
    spread[:, 0], spread[:, 1] = 0, 1
    places = low[:, None] + spread * [0.2, 0.8]
    joints = np.concatenate([places, np.ones((count, 17, 1))], axis=2).astype(np.float32)
    scores = np.linspace(0.9, 0.6, count, dtype=np.float32)
    return Detections(boxes, scores, np.zeros(count, np.int64), None, joints)


def moved(found: Detections, pixels: float) -> Detections:
    """Every joint `pixels` to the right."""
    assert found.keypoints is not None
    joints = found.keypoints + np.array([pixels / WIDTH, 0, 0], np.float32)
    return Detections(found.boxes, found.scores, found.classes, None, joints)


def label(found: Detections, seen: int = 17, area: float | None = None) -> Annotations:
    """`found` as a label whose first `seen` joints are marked."""
    assert found.keypoints is not None
    joints = found.keypoints.copy()
    joints[:, :, 2] = 2.0 * (np.arange(17) < seen)
    n = len(found)
    area = 40 * 80 * 0.5 if area is None else area
    return Annotations(
        WIDTH,
        HEIGHT,
        found.boxes,
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
        np.full(n, area, np.float32),
        ((),) * n,
        joints,
    )


def rows(*found: Detections) -> np.ndarray:
    return PACKING.pack_all(list(found), [(WIDTH, HEIGHT)] * len(found))


def test_nothing_changed_scores_one() -> None:
    same = rows(people(2))
    scores = SCORING.score(same, same, [label(people(2))])
    assert list(scores) == list(MEASURES)
    assert {name: value[0] for name, value in scores.items()} == pytest.approx(
        dict.fromkeys(MEASURES, 1.0), abs=1e-6
    )
    pooled = SCORING.pool(SCORING.records(same, same, [label(people(2))]))
    assert pooled == pytest.approx(dict.fromkeys(POOLED, 1.0))


def test_oks_is_cocos_formula() -> None:
    shift, area = 5.0, 1600.0
    expected = np.exp(-(shift**2) / (2 * area * (2 * SIGMAS) ** 2)).mean()
    found, truth = rows(moved(people(), shift)), label(people(), area=area)
    score = SCORING.score(found, found, [truth])["oks_labels"][0]
    assert score == pytest.approx(expected, rel=1e-3)


def test_joints_that_are_not_marked_count_for_nothing() -> None:
    found = people()
    assert found.keypoints is not None
    found.keypoints[0, 5:, :2] = 0
    scores = SCORING.score(rows(found), rows(found), [label(people(), seen=5)])
    assert scores["oks_labels"][0] == pytest.approx(1, abs=1e-6)
    assert scores["pck_labels"][0] == 1


def test_pck_changes_at_a_tenth_of_the_longer_side_of_the_box() -> None:
    # The box is 40 by 80 pixels.
    truth = label(people())
    assert correct_joints(moved(people(), 7.9), truth)[0, 0] == 1
    assert correct_joints(moved(people(), 8.1), truth)[0, 0] == 0


def test_the_further_joints_move_the_lower_is_oks() -> None:
    means = [SCORING.score(rows(moved(people(2), d)), rows(people(2)))["oks"][0] for d in (1, 3, 9)]
    assert 1 > means[0] > means[1] > means[2] > 0


def test_people_are_paired_so_that_the_sum_is_greatest() -> None:
    # Whoever takes the best partner first leaves the other with nothing.
    similarity = np.array([[0.9, 0.8], [0.8, 0.0]])
    assert mean_over_people(similarity, np.array([True, True])) == pytest.approx(0.8)


def test_a_person_who_is_not_found_any_more_scores_zero() -> None:
    scores = SCORING.score(rows(people(2)[np.array([0])]), rows(people(2)))
    assert scores["oks"][0] == pytest.approx(0.5, abs=1e-6)
    assert scores["pck"][0] == 0.5
    nobody = people(0)
    assert SCORING.score(rows(nobody), rows(people(2)))["oks"][0] == 0


def test_where_the_original_has_nobody_there_is_no_score() -> None:
    scores = SCORING.score(rows(people(1)), rows(people(0)), [None])
    assert all(np.isnan(value).all() for value in scores.values())


def test_labels_without_a_person_and_class_labels_give_no_score() -> None:
    found = rows(people(1), people(1))
    scores = SCORING.score(found, found, [label(people(1), seen=0), 7])
    assert np.isnan(scores["oks_labels"]).all() and np.isnan(scores["pck_labels"]).all()


def test_a_person_out_of_thin_air_lowers_the_ap_of_the_set_alone() -> None:
    # The surest is the one who is not there.
    found, reference = rows(people(2)), rows(people(2)[np.array([1])])
    assert SCORING.score(found, reference)["oks"][0] == pytest.approx(1, abs=1e-6)
    pooled = SCORING.pool(SCORING.records(found, reference))
    assert pooled["map"] == pytest.approx(0.5)
    assert np.isnan(pooled["map_labels"])
