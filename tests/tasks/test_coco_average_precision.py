"""Our average precision is COCO's: equal to faster-coco-eval's on boxes, masks and poses."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from coco_judge import Case, judge

from tamis.data.annotations import Annotations
from tamis.tasks.coco_matching import RANGES, Matches, match
from tamis.tasks.coco_overlap import BOXES, MASKS, POSES, Overlap
from tamis.tasks.coco_pooling import average_precision
from tamis.tasks.detections import Detections

KINDS: dict[str, Overlap] = {"bbox": BOXES, "segm": MASKS, "keypoints": POSES}
LABELS = {"all": "AP_all", "small": "AP_small", "medium": "AP_medium", "large": "AP_large"}


def random_case(seed: int, kind: str, objects: int = 12, classes: int = 3) -> Case:
    """A picture whose detections are its objects, moved, doubled, invented or left out."""
    rng = np.random.default_rng(seed)
    n, width, height = int(rng.integers(0, objects + 1)), 600, 450
    classes = 1 if kind == "keypoints" else classes
    boxes = random_boxes(rng, n)
    points = np.stack([place(rng.random((17, 2)), box) for box in boxes]) if n else None
    marked = Annotations(
        width,
        height,
        boxes,
        rng.integers(0, classes, n),
        rng.random(n) < 0.1,
        (rng.uniform(0.4, 1, n) * areas(boxes) * width * height).astype(np.float32),
        tuple(polygon(box, width, height) for box in boxes),
        None if kind != "keypoints" else keypoints(rng, points, n),
    )
    again = rng.integers(0, n, n + 4) if n else np.zeros(0, np.int64)
    moved = (boxes[again] + rng.normal(0, 0.008, (len(again), 4))).clip(0, 1).astype(np.float32)
    moved = np.concatenate([np.sort(moved.reshape(-1, 2, 2), axis=1).reshape(-1, 4),
                            random_boxes(rng, 3)])  # fmt: skip
    m = len(moved)
    joints = np.zeros((m, 17, 3), np.float32)
    if kind == "keypoints":
        for d, box in enumerate(moved):
            source = points[again[d]] if d < len(again) else place(rng.random((17, 2)), box)
            joints[d, :, :2] = source + rng.normal(0, 0.008, (17, 2))
    kinds = np.concatenate([marked.classes[again], rng.integers(0, classes, 3)])
    found = Detections(
        moved,
        np.round(rng.random(m), 1).astype(np.float32),
        np.where(rng.random(m) < 0.1, rng.integers(0, classes, m), kinds),
        rng.random((m, 7, 7), np.float32) ** 0.2 if kind == "segm" else None,
        joints if kind == "keypoints" else None,
    ).best(100)
    return found, marked


def random_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corner = rng.uniform(0, 0.7, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(0.05, 0.3, (n, 2)) ** 1.2], 1).astype("f4")


def areas(boxes: np.ndarray) -> np.ndarray:
    sides: np.ndarray = boxes[:, 2:] - boxes[:, :2]
    return sides.prod(axis=1)


def place(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    inside: np.ndarray = box[:2] + points * (box[2:] - box[:2])
    return inside


def keypoints(rng: np.random.Generator, points: np.ndarray | None, n: int) -> np.ndarray:
    marks = rng.integers(0, 3, (n, 17, 1)) * (rng.random((n, 1, 1)) < 0.85)
    if points is None:
        return np.zeros((0, 17, 3), np.float32)
    return np.concatenate([points, marks], axis=2).astype(np.float32)


def polygon(box: np.ndarray, width: int, height: int) -> list[list[float]]:
    left, top, right, bottom = (box * [width, height, width, height]).tolist()
    return [[left, top, right, top, right, bottom, left, 0.2 * top + 0.8 * bottom]]


def ours(cases: list[Case], overlap: Overlap) -> dict[str, float]:
    ap = average_precision([match(found, marked, overlap) for found, marked in cases])
    by_range = dict(zip(RANGES, ap.mean(axis=1), strict=True))
    named = {LABELS[name]: value for name, value in by_range.items()}
    return named | {"AP_50": ap[0, 0], "AP_75": ap[0, 5]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_coco_computes(kind: str, seed: int) -> None:
    cases = [random_case(100 * seed + i, kind, 8) for i in range(8)]
    computed = ours(cases, KINDS[kind])
    for name, value in judge(cases, kind).items():
        assert computed[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    assert computed["AP_all"] > 0.02


def test_a_pool_may_have_a_picture_twice() -> None:
    cases = [random_case(i, "bbox") for i in (3, 5, 5, 7)]
    assert ours(cases, BOXES)["AP_all"] == pytest.approx(judge(cases, "bbox")["AP_all"], abs=1e-9)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(lambda n: np.arange(n), 1.0), (lambda n: np.arange(0), 0.0)],
    ids=["all-found", "none-found"],
)
def test_finding_all_is_one_and_none_is_zero(
    chosen: Callable[[int], np.ndarray], expected: float
) -> None:
    _, marked = random_case(4, "bbox")
    n = len(marked)
    found = Detections(marked.boxes, np.ones(n, np.float32), marked.classes)[chosen(n)]
    assert average_precision([match(found, marked, BOXES)])[0] == pytest.approx(expected)


def test_where_there_is_nothing_to_find_precision_is_undefined() -> None:
    found, marked = random_case(4, "bbox")
    none = np.zeros(0, np.int64)
    empty = Annotations(
        200, 150, marked.boxes[none], none, none.astype(bool), marked.areas[none], ()
    )
    assert np.isnan(average_precision([match(found, empty, BOXES)])).all()


def test_a_record_holds_all_that_pooling_needs() -> None:
    found, marked = random_case(9, "bbox")
    matches = match(found, marked, BOXES)
    record = np.concatenate([matches.record(), [7.0]]).astype(np.float32)
    back, rest = Matches.read(record)
    assert record.dtype == np.float32 and rest.tolist() == [7]
    assert np.array_equal(back.found, matches.found)
    assert np.array_equal(back.marked, matches.marked)


def test_a_bootstrap_takes_seconds(record_property: Callable[[str, object], None]) -> None:
    pictures = [match(*random_case(i, "bbox", 40, 20), BOXES) for i in range(50)]
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(100):
        average_precision([pictures[i] for i in rng.integers(0, 50, 50)])
    # Recorded, not judged: a busy machine would fail it for no reason.
    record_property("seconds_per_100_pools", time.perf_counter() - start)
