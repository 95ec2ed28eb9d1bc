"""The four findings hold where they are true and fail where they are not."""

from collections.abc import Callable

import numpy as np
import pytest
from random_fields import ar1, as_tensor

from tamis.analysis.correlation import Correlation
from tamis.analysis.findings import absolute_interval
from tamis.analysis.jackknife import Estimate
from tamis.analysis.sources import LatentSample
from tamis.analysis.tally import Tally

Tallied = Callable[..., Tally]
CHANNELS = 12


def verdicts(tally: Tally, count: int) -> dict[tuple[int, str], bool | None]:
    result = Correlation("synthetic", tally, {"patches": count, "size": 128})
    return {(f.number, f.channels): f.holds for f in result.findings}


def predicted(random: np.random.Generator) -> LatentSample:
    """Two channels of twelve correlate in space; the mean is the left neighbour's share."""
    rhos = [0.8, 0.6] + [0.0] * (CHANNELS - 2)
    y = 4 * ar1(random, rhos, 16)
    mean = np.zeros_like(y)
    for channel, rho in enumerate(rhos):
        left, above = np.roll(y[channel], 1, 1), np.roll(y[channel], 1, 0)
        mean[channel] = rho * left + rho * above - rho**2 * np.roll(left, 1, 0)
    return LatentSample(as_tensor(y), as_tensor(mean))


def test_a_model_that_predicts_well(tallied: Tallied) -> None:
    found = verdicts(tallied(predicted, 128), 128)
    assert [found[n, "all"] for n in (1, 2, 3)] == [True, True, True]
    # Independent channels leave nothing to remove.
    assert found[4, "all"] is False


def test_white_noise_that_nothing_predicts(tallied: Tallied) -> None:
    def draw(random: np.random.Generator) -> LatentSample:
        y = 4 * random.standard_normal((CHANNELS, 16, 16))
        return LatentSample(as_tensor(y), as_tensor(np.zeros_like(y)))

    found = verdicts(tallied(draw, 128), 128)
    assert [found[n, "all"] for n in (1, 2, 3, 4)] == [False, False, True, False]


def test_channels_that_share_a_part_which_is_predicted(tallied: Tallied) -> None:
    def draw(random: np.random.Generator) -> LatentSample:
        shared = 4 * random.standard_normal((1, 16, 16))
        y = shared + 4 * random.standard_normal((CHANNELS, 16, 16))
        return LatentSample(as_tensor(y), as_tensor(np.repeat(shared, CHANNELS, 0)))

    found = verdicts(tallied(draw, 128), 128)
    assert [found[n, "all"] for n in (1, 3, 4)] == [False, False, True]


def test_without_a_mean_there_is_no_after(tallied: Tallied) -> None:
    found = verdicts(tallied(lambda r: LatentSample(as_tensor(ar1(r, [0.8, 0.1], 16)))), 96)
    assert [found[n, "all"] for n in (1, 2, 3, 4)] == [True, None, True, None]


def test_photos_of_one_group_tell_no_interval(tallied: Tallied) -> None:
    found = verdicts(tallied(predicted, 8), 8)
    assert set(found.values()) == {None}


def test_inactive_channels_do_not_hide_what_the_others_do(tallied: Tallied) -> None:
    """Channels that never leave zero have a smooth residual of no size."""

    def draw(random: np.random.Generator) -> LatentSample:
        lively = predicted(random)
        smooth = 1e-3 * ar1(random, [0.95] * 20, 16)
        y = np.concatenate([lively.y.numpy(), 1e-3 * random.standard_normal((20, 16, 16))])
        assert lively.mean is not None
        return LatentSample(as_tensor(y), as_tensor(np.concatenate([lively.mean.numpy(), smooth])))

    tally = tallied(draw, 128)
    result = Correlation("synthetic", tally, {"patches": 128, "size": 128})
    assert result.alive.tolist() == [True] * CHANNELS + [False] * 20
    found = {(f.number, f.channels): f.holds for f in result.findings}
    assert found[2, "all"] is False
    assert found[2, "active"] is True


def test_the_interval_of_an_absolute_value() -> None:
    fisher = Estimate(np.arctanh(np.array([0.5, -0.5, 0.01])), np.full(3, 0.02), 1000)
    low, high = absolute_interval(fisher)
    assert low[0] == pytest.approx(low[1])
    assert low[0] == pytest.approx(np.tanh(np.arctanh(0.5) - 1.962 * 0.02), abs=1e-4)
    assert high[1] == pytest.approx(np.tanh(np.arctanh(0.5) + 1.962 * 0.02), abs=1e-4)
    assert low[2] == 0
