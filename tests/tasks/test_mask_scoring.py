"""Class maps: overlap counted by hand, maps drawn from COCO's masks, sets pooled."""

import numpy as np
import pytest

from tamis.data.annotations import Annotations
from tamis.tasks.mask_scoring import (
    VOID,
    class_map,
    count_overlap,
    iou,
    mean_iou,
    pool_mean_iou,
    record_of,
)


def square(left: int, top: int, side: int) -> list[list[float]]:
    """A polygon of COCO's."""
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def label(
    classes: list[int], masks: list[list[list[float]]], crowd: list[bool] | None = None
) -> Annotations:
    n = len(classes)
    return Annotations(
        40,
        30,
        np.zeros((n, 4), np.float32),
        np.array(classes),
        np.array(crowd or [False] * n),
        np.zeros(n, np.float32),
        tuple(masks),
    )


KINDS = np.zeros(80, np.uint8)
KINDS[[0, 2]] = 1, 2
"""A network that knows person and car."""


def test_iou_is_intersection_over_union_of_each_class() -> None:
    found = np.array([[0, 0, 1, 1]], np.uint8)
    truth = np.array([[0, 1, 1, 1]], np.uint8)
    counts = count_overlap(found, truth, 3)
    assert counts.tolist() == [[1, 2, 0], [2, 3, 0]]
    assert iou(counts)[:2] == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(iou(counts)[2])
    assert mean_iou(counts) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_void_pixels_count_for_nothing() -> None:
    truth = np.array([[0, VOID, 1, 1]], np.uint8)
    counts = count_overlap(np.array([[0, 1, 1, 1]], np.uint8), truth, 2)
    assert mean_iou(counts) == 1


def test_a_map_holds_the_masks_of_the_classes_it_knows() -> None:
    drawn = class_map(label([0, 5], [square(10, 5, 10), square(25, 5, 8)]), KINDS)
    assert drawn.shape == (30, 40)
    assert drawn[5:15, 10:20].min() == 1
    assert (drawn == 1).sum() == 100 and (drawn > 0).sum() == 100


def test_overlaps_of_two_classes_and_crowds_are_void() -> None:
    both = label(
        [0, 2, 0], [square(0, 0, 10), square(5, 0, 10), square(20, 20, 5)], [False, False, True]
    )
    drawn = class_map(both, KINDS)
    assert (drawn[:10, :5] == 1).all()
    assert (drawn[:10, 5:10] == VOID).all()
    assert (drawn[:10, 10:15] == 2).all()
    assert (drawn[20:25, 20:25] == VOID).all()


def test_overlaps_of_one_class_are_that_class() -> None:
    drawn = class_map(label([0, 0], [square(0, 0, 10), square(5, 0, 10)]), KINDS)
    assert (drawn[:10, :15] == 1).all() and (drawn == VOID).sum() == 0


def test_a_set_is_pooled_pixel_by_pixel_and_over_labelled_pictures() -> None:
    small = np.array([[5.0, 1], [5, 2]])
    large = np.array([[90.0, 0], [100, 10]])
    pooled = pool_mean_iou([record_of(small, None), record_of(large, small)])
    assert pooled["miou"] == pytest.approx((95 / 105 + 1 / 12) / 2)
    assert pooled["miou_labels"] == pytest.approx((1 + 0.5) / 2)
    assert np.isnan(pool_mean_iou([record_of(small, None)])["miou_labels"])
