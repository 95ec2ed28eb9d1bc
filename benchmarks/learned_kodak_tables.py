"""What `learned_kodak.py` concludes from its rows: means, equal quality, BD-rates, code lengths."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from tamis.bench.bd import BdRate, CurveError, bootstrap_bd_rate
from tamis.bench.curves import Curve, axis_of, curve
from tamis.bench.interpolation import interpolate
from tamis.bench.metrics import PIXEL_MEASURES
from tamis.learned.container import HEADER

LEE_2019 = (
    (0.101, 27.64), (0.145, 28.80), (0.202, 29.89), (0.298, 31.28), (0.434, 32.85),
    (0.690, 35.17), (0.994, 37.32), (1.271, 38.94), (1.593, 40.38),
)  # fmt: skip
"""Mean bpp and PSNR in dB on Kodak, MSE-optimised (Lee, Cho, Beack 2019, arXiv 1809.10452)."""

RELATIVE, SLACK = 0.01, 64
"""A stream may differ from the float model's code length by 1 % of it and 64 bytes."""
MIN_OVERLAP = 0.1
"""Few rates cover a small part of JPEG's long curve; tables say how much of it."""


def means(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean over images of each (codec, quality): `n`, `bpp`, `psnr`, `ms_ssim`; by rising rate."""
    measures = [pl.col(name).mean() for name in ("bpp", "psnr", "ms_ssim")]
    found = rows.group_by("codec", "quality", maintain_order=True)
    return found.agg(pl.len().alias("n"), *measures).sort("codec", "bpp", maintain_order=True)


def rate_at(points: Sequence[tuple[float, float]], value: float) -> float:
    """Rate that a curve of (bpp, PSNR) needs for `value`; NaN where it does not reach it."""
    rates, values = np.array(sorted(points, key=lambda point: point[1])).T
    log_rate = interpolate(values[None], np.log(rates)[None], np.array([[value]]))
    return float(np.exp(log_rate[0, 0]))


def compare(
    rows: pl.DataFrame, anchor: str, codec: str, measure: str, kind: str = ""
) -> BdRate | str:
    """BD-rate of `codec` against `anchor` over images, or why there is none.

    Args:
        rows: per image.
        anchor: codec whose streams are compared with.
        codec: the one judged.
        measure: `psnr` or `ms_ssim`.
        kind: prefix of the anchor's columns: `float_` compares with the float model.
    """
    sides = _curve(rows, anchor, measure, kind), _curve(rows, codec, measure, "")
    images = np.intersect1d(sides[0].images, sides[1].images)
    try:
        return bootstrap_bd_rate(
            [sides[0].samples(images)],
            [sides[1].samples(images)],
            axis=axis_of(measure, PIXEL_MEASURES[measure]),
            min_overlap=MIN_OVERLAP,
        )
    except CurveError as error:
        return str(error)


def _curve(rows: pl.DataFrame, codec: str, measure: str, kind: str) -> Curve:
    own = rows.filter(codec=codec)
    return curve(own.select("image_id", "quality", bpp=f"{kind}bpp", value=f"{kind}{measure}"))


def code_lengths(learned: pl.DataFrame) -> pl.DataFrame:
    """Streams against the float model's likelihoods, for each (codec, quality).

    Returns:
        `n` images, mean `bytes` and `float_bytes`, the largest relative difference of an image
        `worst` in percent, the largest excess `most` in bytes, and `within`: images whose stream
        keeps to `RELATIVE` and `SLACK`.
    """
    excess = pl.col("bytes") - pl.col("float_bytes")
    allowed = RELATIVE * pl.col("float_bytes") + SLACK
    return learned.group_by("codec", "quality", maintain_order=True).agg(
        pl.len().alias("n"),
        pl.col("bytes").mean(),
        pl.col("float_bytes").mean(),
        worst=100 * (excess / pl.col("float_bytes")).abs().max(),
        most=excess.max(),
        within=(excess.abs() <= allowed).sum(),
    )


def without_header(learned: pl.DataFrame) -> pl.DataFrame:
    """The rows as if streams had no container, which the float model's likelihoods know not of."""
    coded = pl.col("bytes") - HEADER.size
    return learned.with_columns(bytes=coded, bpp=pl.col("bpp") * coded / pl.col("bytes"))


def integer_cost(learned: pl.DataFrame) -> pl.DataFrame:
    """Integer streams against the float model at each (codec, quality).

    Returns:
        `rate`: mean bytes of the streams over the float model's, minus one, in percent; `bare`:
        the same without container; `psnr`: mean difference in dB, negative where the streams are
        worse.
    """
    ideal = pl.col("float_bytes").mean()
    return learned.group_by("codec", "quality", maintain_order=True).agg(
        rate=100 * (pl.col("bytes").mean() / ideal - 1),
        bare=100 * ((pl.col("bytes") - HEADER.size).mean() / ideal - 1),
        psnr=(pl.col("psnr") - pl.col("float_psnr")).mean(),
    )


def interval(found: BdRate | str) -> str:
    """A cell: percent with its 95 % interval, or the reason why there is none."""
    if isinstance(found, str):
        return found
    return f"{found.percent:+.1f} % ({found.low:+.1f} to {found.high:+.1f})"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned right."""
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))
