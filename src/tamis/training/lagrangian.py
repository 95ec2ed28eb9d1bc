"""What a unit of task loss is worth in bits: the plain codec's own curve and its slope.

With lambda equal to minus the slope dR/dD of the plain codec, moving along the codec's own curve
(a blur, a lower quality) leaves `R + lambda D` where it is, and only what leaves the curve lowers
it. See `docs/concepts/lambda.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.proxies.coupling import RealCodec
from tamis.training.ensemble import Ensemble, Labels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlainCurve:
    """Mean rate and mean task distance of a plain codec over some photos.

    Attributes:
        qualities: the codec's settings, in order of rising rate.
        rates: mean bpp at each.
        distances: mean weighted task loss at each, in the tasks' units (nats for classifiers).
    """

    qualities: tuple[int, ...]
    rates: tuple[float, ...]
    distances: tuple[float, ...]

    def elasticity(self, quality: int) -> float:
        """d log R / d log D at `quality`: by how many percent the rate falls per percent of D.

        The derivative of a parabola through the five nearest points (all, if fewer), fitted by
        least squares: neighbouring qualities alone differ by too little to stand above the noise
        of a few dozen photos.

        Raises:
            TamisError: the distance does not fall as the rate rises, so there is no price.
        """
        log_rate, log_distance = np.log(self.rates), np.log(self.distances)
        here = self.qualities.index(quality)
        near = np.argsort(np.abs(log_rate - log_rate[here]), kind="stable")[:5]
        # Fitted as D of R, whose noise-free axis is R; inverted at the end.
        degree = min(2, len(near) - 1)
        fit = np.polynomial.Polynomial.fit(log_rate[near], log_distance[near], degree)
        slope = float(fit.deriv()(log_rate[here]))
        if slope >= 0:
            raise TamisError(
                f"the task loss does not fall with the rate around quality {quality} on "
                "these photos; hold out more photos, or give lambda as numbers"
            )
        return 1 / slope

    def slope(self, quality: int) -> float:
        """-dR/dD at `quality`, bpp per unit of task loss: the neutral lambda."""
        here = self.qualities.index(quality)
        return -self.elasticity(quality) * self.rates[here] / self.distances[here]

    def rate(self, quality: int) -> float:
        """The plain codec's mean rate at `quality`, bpp."""
        return self.rates[self.qualities.index(quality)]

    def rate_at(self, distance: float) -> float:
        """Rate at which the plain codec has `distance`, interpolated in logarithms.

        NaN outside the measured range: nothing is extrapolated.
        """
        if not min(self.distances) <= distance <= max(self.distances):
            return float("nan")
        order = np.argsort(self.distances)
        logs = np.interp(np.log(distance), np.log(self.distances)[order], np.log(self.rates)[order])
        return float(np.exp(logs))


def curve_qualities(codec: Codec, qualities: Sequence[int]) -> tuple[int, ...]:
    """`qualities` and the codec's ladder between and two entries beyond them, rising in rate."""
    every = sorted(set(codec.quality.ladder) | set(qualities))
    first = max(0, every.index(min(qualities)) - 2)
    last = every.index(max(qualities)) + 2
    chosen = every[first : last + 1]
    return tuple(chosen if codec.quality.ascending else reversed(chosen))


def measure_curve(
    codec: Codec,
    qualities: Sequence[int],
    images: Sequence[Image],
    ensemble: Ensemble,
    threads: int = 2,
    labels: Labels | None = None,
) -> PlainCurve:
    """Code `images` (one size) for real at every quality of `curve_qualities` and score them."""
    chosen = curve_qualities(codec, qualities)
    rates, distances = [], []
    for quality in chosen:
        rate, distance = code_and_score(codec, quality, images, images, ensemble, threads, labels)
        rates.append(float(rate.mean()))
        distances.append(max(float(distance.mean()), 1e-9))
    return PlainCurve(chosen, tuple(rates), tuple(distances))


def code_and_score(
    codec: Codec,
    quality: int,
    filtered: Sequence[Image],
    originals: Sequence[Image],
    ensemble: Ensemble,
    threads: int = 2,
    labels: Labels | None = None,
) -> tuple[Floats, Floats]:
    """Rate in bpp and total task distance to the originals of every filtered image, `(N,)` each."""
    rates, decoded = code(codec, quality, filtered, threads)
    return rates, ensemble.measure(decoded, originals, labels=labels)


def code(
    codec: Codec, quality: int, images: Sequence[Image], threads: int = 2
) -> tuple[Floats, list[Image]]:
    """Encode and decode `images`: real rates in bpp `(N,)`, and the reconstructions."""
    decoded, rates = RealCodec(codec, threads).code(list(images), quality)
    return np.asarray(rates, dtype=np.float64), decoded
