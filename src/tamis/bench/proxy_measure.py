"""Each proxy beside the codec it stands for: rates, pictures, gradients, and what they cost."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tamis.bench.bd import BdRate, CurveError, Samples, bootstrap_bd_rate
from tamis.bench.proxy_gradients import (
    centre,
    cosines,
    differences,
    mean_and_interval,
    softened,
)
from tamis.codecs import Codec, Image, get_codec
from tamis.errors import TamisError
from tamis.proxies import Proxy, RealCodec, get_proxy
from tamis.proxies.learned import LearnedProxy
from tamis.tasks.pixels import to_tensor

BATCH = 8
REPEATS = 5
Rates = npt.NDArray[np.float64]


class ProxyTables(NamedTuple):
    """What was measured.

    Attributes:
        rows: one for every codec, proxy and quality.
        summary: one for every codec and proxy.
    """

    rows: pl.DataFrame
    summary: pl.DataFrame


@dataclass(frozen=True)
class _Coded:
    """Photos `x`, `(N, 3, H, W)`, as a codec or proxy codes them at one quality."""

    x_hat: torch.Tensor
    rate: Rates
    softer: Rates

    def psnr(self, x: torch.Tensor) -> Rates:
        errors = (self.x_hat - x).square().flatten(1).mean(dim=1).clamp(min=1e-10)
        return np.asarray(-10 * errors.log10().double().numpy())


def measure(
    photos: Sequence[Image],
    codecs: Sequence[str | Codec],
    proxies: Sequence[str] = ("dct",),
    qualities: Mapping[str, Sequence[int]] | None = None,
    directions: int = 0,
) -> ProxyTables:
    """Every proxy beside its codec, over photos of one size.

    `rows` has the columns `codec`, `proxy`, `quality`, `correlation` of predicted and real bpp over
    photos, `ratio` of their means (real / predicted), `slope` and `slope_correlation` of real
    against predicted bpp *differences* when the photos are slightly blurred, which is what drives
    a filter, `error`, the mean absolute difference of both reconstructions in grey levels, and with
    `directions` the cosines of `proxy_gradients`, means over photos with `_low` and `_high`.

    `summary` has `bd_rate`, of the proxy's own rates against the codec's in PSNR (positive: the
    proxy needs more bits), `bd_rate_calibrated`, the same after a factor per quality that makes the
    mean rates equal, both with their intervals; means of the columns above over qualities; and
    `milliseconds` of processor time of a forward and backward pass per photo. Rates of a learned
    proxy are those of its likelihoods, without the factors on its card.

    Args:
        photos: of one size, at least three.
        codecs: codec specs.
        proxies: names, see `get_proxy`.
        qualities: by codec spec; by default the codec's ladder, as far as every proxy goes.
        directions: random directions at every photo, 0 for none.

    Raises:
        TamisError: fewer than three photos, or a codec without such a proxy.
    """
    if len(photos) < 3:
        raise TamisError(f"a correlation needs at least 3 photos; there are {len(photos)}")
    rows: list[dict[str, Any]] = []
    summary = []
    for spec in codecs:
        codec = get_codec(spec)
        made = {name: _uncalibrated(get_proxy(codec, name=name)) for name in proxies}
        chosen = (qualities or {}).get(str(spec)) or _common(codec, list(made.values()))
        found = _Measurement(codec, photos, chosen, directions)
        for name, proxy in made.items():
            own, total = found.of(proxy)
            named = {"codec": codec.name, "proxy": name}
            rows += [named | row for row in own]
            summary.append(named | total)
    return ProxyTables(pl.DataFrame(rows), pl.DataFrame(summary))


class _Measurement:
    """One codec over photos, coded once, beside any number of proxies."""

    def __init__(
        self, codec: Codec, photos: Sequence[Image], qualities: Sequence[int], directions: int
    ) -> None:
        self.qualities = qualities
        self.x = to_tensor(photos)
        self.softer = softened(self.x)
        real = RealCodec(codec)
        self.real = {q: self._coded(real, q) for q in qualities}
        self.known = {
            q: [
                differences(centre(photo), real, q, directions, np.random.default_rng((q, place)))
                for place, photo in enumerate(photos)
            ]
            for q in qualities
            if directions
        }

    @torch.no_grad()
    def _coded(self, code: Proxy, quality: int) -> _Coded:
        pairs = [code(x, quality) for x in torch.split(self.x, BATCH)]
        softer = [code(x, quality)[1] for x in torch.split(self.softer, BATCH)]
        x_hat, rate = (torch.cat(part) for part in zip(*pairs, strict=True))
        return _Coded(x_hat, rate.double().numpy(), torch.cat(softer).double().numpy())

    def of(self, proxy: Proxy) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rows of `proxy` and its line of the summary."""
        coded = {quality: self._coded(proxy, quality) for quality in self.qualities}
        found = {
            quality: [cosines(proxy, known, quality) for known in self.known[quality]]
            for quality in self.known
        }
        rows = [
            _row(quality, self.real[quality], coded[quality])
            | _interval_columns(list(zip(*found.get(quality, []), strict=True)))
            for quality in self.qualities
        ]
        # A photo's mean over the qualities, so that photos are what is resampled.
        means = np.mean(np.array(list(found.values())), axis=0).T if found else []
        total = {
            "correlation": float(np.mean([row["correlation"] for row in rows])),
            "slope_correlation": float(np.mean([row["slope_correlation"] for row in rows])),
            "error": float(np.mean([row["error"] for row in rows])),
            **self._bd("bd_rate", coded, calibrated=False),
            **self._bd("bd_rate_calibrated", coded, calibrated=True),
            **_interval_columns(list(means)),
            "milliseconds": 1000 * _seconds(proxy, self.x[:BATCH], self.qualities[0]),
        }
        return rows, total

    def _bd(self, name: str, coded: Mapping[int, _Coded], calibrated: bool) -> dict[str, Any]:
        factors = [
            self.real[q].rate.mean() / coded[q].rate.mean() if calibrated else 1.0
            for q in self.qualities
        ]
        own = self._samples(coded, factors)
        try:
            found = bootstrap_bd_rate([self._samples(self.real)], [own])
        except CurveError:  # too few qualities for a curve, or no PSNR that both reach
            found = BdRate(np.nan, np.nan, np.nan, 0.0, 0)
        return {name: found.percent, f"{name}_low": found.low, f"{name}_high": found.high}

    def _samples(self, coded: Mapping[int, _Coded], factors: Sequence[float] = ()) -> Samples:
        scales = factors or [1.0] * len(self.qualities)
        order = [coded[quality] for quality in self.qualities]
        rates = [one.rate * scale for one, scale in zip(order, scales, strict=True)]
        return Samples(np.stack(rates, axis=1), np.stack([c.psnr(self.x) for c in order], axis=1))


def _uncalibrated(proxy: Proxy) -> Proxy:
    if isinstance(proxy, LearnedProxy):
        proxy.calibration = {}
    return proxy


def _common(codec: Codec, proxies: Sequence[Proxy]) -> tuple[int, ...]:
    """The codec's ladder where every proxy is defined."""
    ranges = [proxy.qualities for proxy in proxies if isinstance(proxy, LearnedProxy)]
    inside = [q for q in codec.quality.ladder if all(low <= q <= high for low, high in ranges)]
    return tuple(inside)


def _row(quality: int, real: _Coded, proxy: _Coded) -> dict[str, Any]:
    change, real_change = proxy.softer - proxy.rate, real.softer - real.rate
    return {
        "quality": quality,
        "correlation": float(np.corrcoef(proxy.rate, real.rate)[0, 1]),
        "ratio": float(real.rate.mean() / proxy.rate.mean()),
        "slope": float((change * real_change).sum() / (change * change).sum()),
        "slope_correlation": float(np.corrcoef(change, real_change)[0, 1]),
        "error": float(255 * (proxy.x_hat - real.x_hat).abs().mean()),
    }


def _interval_columns(values: Sequence[Sequence[float]]) -> dict[str, float]:
    """Mean and interval of each of the cosines, whose values over photos are given in order."""
    columns: dict[str, float] = {}
    for name, each in zip(("rate_cosine", "error_cosine", "change_cosine"), values, strict=False):
        mean, low, high = mean_and_interval(each)
        columns |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    return columns


def _seconds(proxy: Proxy, x: torch.Tensor, quality: int) -> float:
    """Processor time of a forward and backward pass per photo: the least of a few.

    Not the clock's, which a busy machine stretches. The first pass is not counted.
    """
    times = []
    for _ in range(1 + REPEATS):
        leaf = x.clone().requires_grad_(True)
        start = time.process_time()
        x_hat, rate = proxy(leaf, quality)
        (rate.sum() + x_hat.square().mean()).backward()  # type: ignore[no-untyped-call]
        times.append(time.process_time() - start)
    return min(times[1:]) / len(x)
