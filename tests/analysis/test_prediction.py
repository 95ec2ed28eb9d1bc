"""Linear prediction from the causal window saves what theory says it does."""

import numpy as np
import pytest
from random_fields import ar1

from tamis.analysis.moments import Moments
from tamis.analysis.pairs import draw_windows
from tamis.analysis.prediction import determination, gain
from tamis.learned.context import LEE_WINDOW


def windows(rhos: list[float], patches: int = 120) -> Moments:
    random = np.random.default_rng(0)
    values = []
    for _ in range(patches):
        places = draw_windows(random, 32, LEE_WINDOW, 200)
        values.append(ar1(random, rhos).reshape(len(rhos), -1)[:, places])
    return Moments.of(np.concatenate(values, -1))


def test_separable_ar1_fields() -> None:
    # The new part of a separable field has variance (1 - rho^2)^2; three neighbours suffice.
    rhos = [0.3, 0.6, 0.9]
    expected = [-np.log2(1 - rho**2) for rho in rhos]
    np.testing.assert_allclose(gain(windows(rhos)), expected, rtol=0.02, atol=0.005)


def test_white_noise_saves_nothing() -> None:
    assert gain(windows([0.0] * 8)).mean() < 0.001


def test_constants_save_nothing() -> None:
    assert determination(Moments.of(np.ones((2, 15, 100)))) == pytest.approx(0)
