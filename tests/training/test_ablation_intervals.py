"""BD-rates over seeds and photos."""

import numpy as np
import pytest

from tamis.bench.bd import Samples
from tamis.training.ablation_intervals import Estimate, seeded_bd_rate, seeded_change

RATES = np.array([0.2, 0.4, 0.8, 1.6])


def curve(factor: float = 1.0, noise: float = 0.0, seed: int = 0, photos: int = 30) -> Samples:
    """Photos whose distance is 1 / rate, coded at `factor` times the rate."""
    rng = np.random.default_rng(seed)
    photo = np.random.default_rng(9).uniform(0.5, 2, (photos, 1))
    wobble = np.exp(noise * rng.normal(size=(photos, 4)))
    return Samples(photo * RATES * factor, wobble / (photo * RATES))


def test_a_tenth_fewer_bits_are_minus_ten_percent_without_doubt() -> None:
    found = seeded_bd_rate([curve()] * 2, [curve(0.9)] * 2, 50)
    assert found.percent == pytest.approx(-10, abs=0.1)
    assert (found.low, found.high) == (pytest.approx(-10, abs=0.2), pytest.approx(-10, abs=0.2))
    assert str(found).startswith("-10.0 % (-10.")


def test_seeds_that_differ_widen_the_interval() -> None:
    alike = seeded_bd_rate([curve()] * 3, [curve(0.9, 0.05)] * 3, 100)
    seeds = [curve(0.9 * f, 0.05) for f in (0.8, 1.0, 1.25)]
    apart = seeded_bd_rate([curve()] * 3, seeds, 100)
    assert alike.high - alike.low < 8
    assert apart.high - apart.low > 3 * (alike.high - alike.low)


def test_curves_that_do_not_meet_have_a_reason_instead() -> None:
    far = Samples(curve().rates, curve().values * 1000)
    found = seeded_bd_rate([curve()], [far], 10)
    assert "share 0%" in found.reason
    assert str(found) == "none"


def test_the_rate_at_a_quality_is_a_ratio_of_means() -> None:
    before = curve().rates[:, 0]
    found = seeded_change([before] * 2, [0.8 * before, 0.6 * before], 200)
    assert found.percent == pytest.approx(-30)
    # Both seeds alike in a resample: the ends are the seeds themselves.
    assert found.low == pytest.approx(-40)
    assert found.high == pytest.approx(-20)


def test_an_estimate_without_an_interval_is_a_number() -> None:
    assert str(Estimate(-3.21)) == "-3.2 %"
