"""lambda from the plain codec's own curve."""

from pathlib import Path

import numpy as np
import pytest

from tamis.codecs import get_codec
from tamis.data import list_photos, load_photo, sample_photos
from tamis.errors import TamisError
from tamis.tasks import Classify
from tamis.training.ensemble import Ensemble
from tamis.training.lagrangian import PlainCurve, curve_qualities, measure_curve
from tamis.training.photos import central

DISTANCES = tuple(float(d) for d in np.geomspace(2, 0.05, 9))
# R = 0.4 D^-0.6: the slope is known in closed form.
POWER = PlainCurve(tuple(range(9)), tuple(0.4 * d**-0.6 for d in DISTANCES), DISTANCES)


@pytest.mark.parametrize("quality", [0, 4, 8])
def test_slope_of_a_known_curve(quality: int) -> None:
    assert POWER.elasticity(quality) == pytest.approx(-0.6)
    assert POWER.slope(quality) == pytest.approx(0.24 * DISTANCES[quality] ** -1.6)


def test_moving_along_the_plain_curve_is_neutral() -> None:
    here, lambda_ = POWER.rates[4] + POWER.slope(4) * POWER.distances[4], POWER.slope(4)
    blurred = DISTANCES[4] * 1.01
    change = 0.4 * blurred**-0.6 + lambda_ * blurred - here
    assert abs(change) < 1e-3 * here
    # With half of that lambda the same blur looks like progress.
    half = lambda_ / 2
    assert 0.4 * blurred**-0.6 + half * blurred < POWER.rates[4] + half * DISTANCES[4]


def test_the_equal_rate_is_interpolated_and_never_extrapolated() -> None:
    assert POWER.rate_at(0.3) == pytest.approx(0.4 * 0.3**-0.6, rel=1e-6)
    assert np.isnan(POWER.rate_at(2.1)) and np.isnan(POWER.rate_at(0.04))


def test_a_task_that_does_not_mind_the_codec_has_no_price() -> None:
    with pytest.raises(TamisError, match="does not fall with the rate"):
        PlainCurve((1, 2, 3), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3)).slope(2)


def test_the_curve_reaches_two_entries_beyond_and_rises_in_rate() -> None:
    assert curve_qualities(get_codec("jpeg"), (18, 20)) == (12, 16, 18, 20, 25, 30)


def test_on_real_files_detail_costs_more_at_higher_quality() -> None:
    photos = [central(photo, 128) for photo in sample_photos().values()]
    ensemble = Ensemble([Classify("efficientnet_lite0")], [1.0])
    curve = measure_curve(get_codec("jpeg"), (8, 65), photos, ensemble)
    assert list(curve.rates) == sorted(curve.rates)
    assert 0 < curve.slope(8) < curve.slope(65)


@pytest.mark.slow
def test_jpeg_and_lite0_are_priced_as_measured_before(shared: Path) -> None:
    task = Classify("efficientnet_lite0")
    photos = list_photos(shared / "data" / "imagenet_dev")[::5]
    images = [task.prepare(load_photo(path)) for path in photos]
    curve = measure_curve(get_codec("jpeg"), (10, 20, 30), images, Ensemble([task], [1.0]))
    for quality, expected in ((10, 0.2), (20, 1.0), (30, 1.5)):
        assert expected / 2.5 < curve.slope(quality) < expected * 2.5
