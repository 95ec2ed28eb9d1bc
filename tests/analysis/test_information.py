"""Mutual information and entropy against what is known in closed form."""

import numpy as np
import pytest

from tamis.analysis.information import (
    entropy,
    joint_counts,
    mutual_information,
    of_gaussian,
    quantile_edges,
)


def estimate(a: np.ndarray, b: np.ndarray) -> float:
    edges = quantile_edges(np.concatenate([a, b])[None])
    return float(mutual_information(joint_counts(a[None], b[None], edges))[0])


@pytest.mark.parametrize("r", [0.0, 0.3, 0.5, 0.8])
def test_a_gaussian_pair(r: float) -> None:
    a, new = np.random.default_rng(0).standard_normal((2, 200_000))
    b = r * a + np.sqrt(1 - r**2) * new
    expected = float(of_gaussian(np.array(r)))
    assert 0.93 * expected - 0.001 <= estimate(a, b) <= expected + 0.001


def test_the_correction_takes_the_bias_off() -> None:
    random = np.random.default_rng(1)
    found = [estimate(*random.standard_normal((2, 3000))) for _ in range(40)]
    bias = 15**2 / (2 * 3000 * np.log(2))
    assert bias > 0.05
    # Values below zero are cut off, so the mean of the corrected ones stays a little above it.
    assert np.mean(found) < bias / 10


def test_dependence_that_correlation_does_not_see() -> None:
    a, new = np.random.default_rng(2).standard_normal((2, 50_000))
    b = np.abs(a) * new
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
    assert estimate(a, b) > 0.1


def test_values_that_repeat_fall_into_one_bin() -> None:
    a = np.zeros((1, 1000))
    a[0, :10] = 1
    counts = joint_counts(a, a, quantile_edges(a))
    assert counts.sum() == 1000
    assert (counts > 0).sum() <= 2


def test_entropy_of_equal_and_of_constant_symbols() -> None:
    assert entropy(np.array([10**6] * 8)) == pytest.approx(3, abs=1e-5)
    assert entropy(np.array([0, 77, 0])) == 0
    assert entropy(np.zeros(5, dtype=int)) == 0
