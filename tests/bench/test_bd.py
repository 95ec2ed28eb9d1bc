"""BD-rate: exact where the answer is known, equal to the bjontegaard package, honest intervals."""

import bjontegaard
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from tamis.bench.bd import CurveError, Samples, bd_rate, bootstrap_bd_rate
from tamis.bench.interpolation import interpolate

RATES = np.array([0.2, 0.35, 0.5, 0.8, 1.2, 1.9])
PSNR = np.array([28.0, 30.5, 32.1, 34.0, 36.2, 38.1])


def noisy(seed, images=100, factor=1.0, noise=0.3):
    """Photos of different difficulty; the curve judged needs `factor` times the rate."""
    rng = np.random.default_rng(seed)
    difficulty = rng.lognormal(0, 0.4, (images, 1))
    rates = RATES * difficulty * factor * rng.lognormal(0, 0.05, (images, RATES.size))
    values = 0.5 * RATES**-1.2 * rng.lognormal(-(noise**2) / 2, noise, (images, RATES.size))
    return Samples(rates, values)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.37])
@pytest.mark.parametrize("axis", ["linear", "log", "log_complement"])
def test_scaled_rates_give_exactly_the_scale(factor, axis):
    values = {"linear": PSNR, "log": 1 / PSNR, "log_complement": 1 - 1 / PSNR}[axis]
    result = bd_rate(RATES, values, RATES * factor, values, axis=axis)
    assert result.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert result.overlap == 1


@pytest.mark.parametrize("method", ["pchip", "akima"])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_bjontegaard_package(method, seed):
    rng = np.random.default_rng(seed)
    rates = RATES * rng.uniform(0.6, 1.4)
    values = PSNR + np.sort(rng.uniform(-1, 1, PSNR.size))
    theirs = bjontegaard.bd_rate(RATES, PSNR, rates, values, method=method, min_overlap=0)
    assert bd_rate(RATES, PSNR, rates, values, method=method).percent == pytest.approx(
        theirs, abs=0.01
    )


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 5), min_size=3, max_size=9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([("pchip", PchipInterpolator), ("akima", Akima1DInterpolator)]),
)
def test_interpolation_equals_scipy(steps, seed, kind):
    method, reference = kind
    x = np.cumsum(steps)
    y = np.random.default_rng(seed).normal(size=x.size)
    at = np.linspace(x[0], x[-1], 50)
    np.testing.assert_allclose(
        interpolate(x[None], y[None], at[None], method)[0], reference(x, y)(at), atol=1e-8
    )


def test_order_of_points_does_not_matter():
    shuffled = np.random.default_rng(0).permutation(RATES.size)
    a = bd_rate(RATES, PSNR, RATES * 0.9, PSNR)
    b = bd_rate(RATES[shuffled], PSNR[shuffled], RATES * 0.9, PSNR)
    assert a.percent == pytest.approx(b.percent, abs=1e-12)


def test_a_curve_that_falls_is_refused_with_the_rate():
    falling = PSNR.copy()
    falling[3] = falling[2] - 1
    with pytest.raises(CurveError, match=r"the curve is not monotone.*0\.8"):
        bd_rate(RATES, PSNR, RATES, falling)


def test_too_little_overlap_is_refused_with_the_share():
    with pytest.raises(CurveError, match=r"share 41% .* at least 50%"):
        bd_rate(RATES, PSNR, RATES, PSNR + 6, min_overlap=0.5)
    assert bd_rate(RATES, PSNR, RATES, PSNR + 6, min_overlap=0.4).overlap == pytest.approx(
        0.406, abs=1e-3
    )


def test_no_overlap_is_refused_whatever_is_asked():
    with pytest.raises(CurveError, match="share 0%"):
        bd_rate(RATES, PSNR, RATES, PSNR + 60, min_overlap=0)


def test_two_points_are_refused():
    with pytest.raises(CurveError, match="has 2 points"):
        bd_rate(RATES[:2], PSNR[:2], RATES, PSNR)


def test_a_perfect_distance_has_no_place_on_the_log_axis():
    with pytest.raises(CurveError, match="off its axis"):
        bd_rate(RATES, 1 / PSNR, RATES, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0], axis="log")


def test_bootstrap_estimate_is_the_bd_rate_of_the_mean_curves():
    anchor, test = noisy(1, factor=1.0, noise=0.05), noisy(2, factor=0.8, noise=0.05)
    estimate = bootstrap_bd_rate([anchor], [test], axis="log", resamples=50)
    direct = bd_rate(
        anchor.rates.mean(0),
        anchor.values.mean(0),
        test.rates.mean(0),
        test.values.mean(0),
        axis="log",
    )
    assert estimate.percent == pytest.approx(direct.percent)
    assert estimate.low < estimate.percent < estimate.high


def test_bootstrap_is_the_same_for_the_same_seed():
    a = bootstrap_bd_rate([noisy(1)], [noisy(2)], axis="log", resamples=50, seed=3)
    assert a == bootstrap_bd_rate([noisy(1)], [noisy(2)], axis="log", resamples=50, seed=3)
    assert a != bootstrap_bd_rate([noisy(1)], [noisy(2)], axis="log", resamples=50, seed=4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth, hits, trials = -20.0, 0, 80
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        anchor = noisy(trial, images=60)
        test = Samples(
            anchor.rates * 0.8, anchor.values * rng.lognormal(-0.02, 0.2, anchor.values.shape)
        )
        result = bootstrap_bd_rate([anchor], [test], axis="log", resamples=200, seed=trial)
        hits += result.low <= truth <= result.high
    assert 0.87 <= hits / trials <= 1.0


def test_noise_that_swaps_two_points_is_pooled_and_counted():
    anchor = noisy(1, images=30, noise=0.05)
    values = anchor.values.copy()
    values[:, 3] = values[:, 2] * np.random.default_rng(0).lognormal(0.02, 0.5, 30)
    result = bootstrap_bd_rate([anchor], [Samples(anchor.rates, values)], axis="log", resamples=50)
    assert result.pooled == 1


def test_a_fall_beyond_noise_is_refused():
    anchor = noisy(1, noise=0.02)
    values = anchor.values.copy()
    values[:, 4] *= 3
    with pytest.raises(CurveError, match="more than noise"):
        bootstrap_bd_rate([anchor], [Samples(anchor.rates, values)], axis="log")


def test_several_curves_stand_for_the_best_of_them():
    plain = noisy(1, noise=0.02)
    cheap_when_low = Samples(plain.rates * np.linspace(0.7, 1.4, 6), plain.values)
    alone = bootstrap_bd_rate([plain], [cheap_when_low], axis="log", resamples=20).percent
    best = bootstrap_bd_rate([plain], [plain, cheap_when_low], axis="log", resamples=20).percent
    assert best < alone and best < 0
    against_best = bootstrap_bd_rate([plain, cheap_when_low], [plain], axis="log", resamples=20)
    assert against_best.percent > 0


def test_a_curve_that_is_mostly_noise_is_refused():
    anchor = noisy(1, images=4, noise=0.02)
    noise = np.random.default_rng(0).normal(size=anchor.values.shape)
    values = 5 + noise - noise.mean(axis=0) + 0.001 * np.arange(6)
    with pytest.raises(CurveError, match="code more images"):
        bootstrap_bd_rate([anchor], [Samples(anchor.rates, values)], axis="log", min_overlap=0)
