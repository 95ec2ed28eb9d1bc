"""Moments merge to what one pass over everything gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.analysis.moments import Moments


@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_merged_parts_equal_one_pass(cuts: list[int], offset: float, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(offset, 1, (2, 3, 60))
    merged = Moments.of(samples[..., :0])
    for part in np.split(samples, sorted(cuts), axis=-1):
        merged = merged.merge(Moments.of(part))
    whole = Moments.of(samples)
    assert np.array_equal(merged.count, whole.count)
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=1e-9, atol=1e-8)


def test_correlation_is_pearsons() -> None:
    samples = np.random.default_rng(1).normal(3, 2, (4, 500))
    samples[1] += samples[0]
    np.testing.assert_allclose(Moments.of(samples).correlation(), np.corrcoef(samples), rtol=1e-12)


def test_no_digits_are_lost_to_a_large_mean() -> None:
    samples = np.random.default_rng(2).normal(0, 1, (2, 1000))
    parts = [Moments.of(part + 2.0**20) for part in np.split(samples, 10, axis=1)]
    r = Moments.stack(parts).pooled().correlation()[0, 1]
    assert r == pytest.approx(np.corrcoef(samples)[0, 1], abs=1e-9)


def test_weights_count_a_group_that_often() -> None:
    groups = [np.random.default_rng(i).normal(i, 1, (3, 20 + i)) for i in range(4)]
    weights = [2, 0, 1, 3]
    repeated = [g for g, weight in zip(groups, weights, strict=True) for _ in range(weight)]
    pooled = Moments.stack([Moments.of(g) for g in groups]).pooled(np.array(weights, float))
    expected = Moments.of(np.concatenate(repeated, 1))
    assert pooled.count == expected.count
    np.testing.assert_allclose(pooled.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(pooled.scatter, expected.scatter, rtol=1e-12)


def test_a_constant_has_no_variance_and_no_correlation() -> None:
    samples = np.random.default_rng(3).normal(0, 1, (2, 300))
    samples[1] = np.float32(0.1)
    moments = Moments.of(samples)
    assert moments.variance[1] == 0
    assert moments.correlation()[0, 1] == 0
