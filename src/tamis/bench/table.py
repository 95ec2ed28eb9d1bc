"""The BD-rate table: what every preprocessor saves with every codec, for every task and measure."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import polars as pl

from tamis.bench.bd import CurveError, bootstrap_bd_rate
from tamis.bench.curves import (
    Curve,
    axis_of,
    curve,
    long_form,
    record_curve,
    with_pixels,
    with_records,
)
from tamis.bench.interpolation import Method
from tamis.bench.pooling import RESAMPLES, Pool, PooledCurve
from tamis.bench.sampling import Sampled
from tamis.tasks.base import Measure

PLAIN = "none"
BEST_DOWNSCALE = "best downscale"
"""At each measure the cheapest of the plain curve and all `downscale:F` curves."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "protocol": pl.String,
    "prepared_for": pl.String,
    "codec": pl.String,
    "task": pl.String,
    "measure": pl.String,
    "label": pl.String,
    "smooth": pl.Boolean,
    "anchor": pl.String,
    "preprocessor": pl.String,
    "bd_rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "overlap": pl.Float64,
    "pooled": pl.Int64,
    "n_images": pl.Int64,
    "reason": pl.String,
}
"""Columns of the table; `bd_rate`, `low`, `high` in percent; null where `reason` says why."""


_AnyCurve = Curve | PooledCurve


def is_downscale(preprocessor: str) -> bool:
    """Whether a spec is the plain baseline `downscale:F` and nothing else."""
    return preprocessor.startswith("downscale:") and "+" not in preprocessor


def is_baseline(preprocessor: str) -> bool:
    """Whether every step of a spec is a baseline that knows nothing of tasks."""
    steps = [step.split(":")[0] for step in preprocessor.split("+")]
    return all(step in (PLAIN, "downscale", "lowpass", "blur") for step in steps)


def bd_rate_table(
    rows: pl.DataFrame,
    measures: Mapping[str, Mapping[str, Measure]],
    anchor: str = PLAIN,
    *,
    pools: Mapping[str, Pool] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    min_overlap: float = 0.25,
    method: Method = "pchip",
) -> pl.DataFrame:
    """BD-rate of every preprocessor against `anchor`, with 95 % intervals over images.

    Where there are `downscale:F` curves, a row `best downscale` stands beside them, and every
    preprocessor that is not a baseline is also compared with it.

    Args:
        rows: a run, `tamis.bench.load(run)`.
        measures: of each task, `RunFolder(run).measures()`.
        anchor: the preprocessor to compare with.
        pools: for the tasks with measures of a set, `Bench.pools`; without, these are left out.
        resamples: of the bootstrap; for measures of a set at most `tamis.bench.pooling.RESAMPLES`,
            because each means pooling all records again.
        seed: of the bootstrap.
        min_overlap: smallest share of the anchor's range of the measure to be had in common.
        method: interpolation, `pchip` or `akima`.

    Returns:
        a frame of `SCHEMA`, in the order of the rows of `measures`, PSNR and MS-SSIM last.
    """
    known = with_pixels(measures)
    order = {(task, name): i for i, (task, name) in enumerate(_pairs(known))}
    long = long_form(rows, measures)
    found: list[dict[str, object]] = []
    about = ["protocol", "prepared_for", "codec", "task", "measure"]
    groups: dict[tuple[object, ...], dict[str, _AnyCurve]] = {
        key: {str(name): curve(part) for (name,), part in group.group_by("preprocessor")}
        for key, group in long.group_by(about)
    }
    groups |= _pooled(rows, measures, pools or {}, about[:-1])
    for key in sorted(groups, key=lambda k: (k[0], k[1], k[2], order[str(k[3]), str(k[4])])):
        measure = known[str(key[3])][str(key[4])]
        head = {
            **dict(zip(about, key, strict=True)),
            "label": measure.label,
            "smooth": measure.smooth,
        }
        for left, right, sides in _comparisons(groups[key], anchor):
            found.append(
                {**head, "anchor": left, "preprocessor": right}
                | _judge(sides, str(key[4]), measure, resamples, seed, min_overlap, method)
            )
    return pl.DataFrame(found, schema=SCHEMA)


def _pairs(measures: Mapping[str, Mapping[str, Measure]]) -> list[tuple[str, str]]:
    return [(task, name) for task, named in measures.items() for name in named]


def _pooled(
    rows: pl.DataFrame,
    measures: Mapping[str, Mapping[str, Measure]],
    pools: Mapping[str, Pool],
    about: Sequence[str],
) -> dict[tuple[object, ...], dict[str, _AnyCurve]]:
    """Curves of the measures of sets; one that is undefined everywhere is left out."""
    groups: dict[tuple[object, ...], dict[str, _AnyCurve]] = {}
    for task, pool in pools.items():
        for key, group in with_records(rows, task).group_by(about):
            curves = {
                str(name): record_curve(part, pool)
                for (name,), part in group.group_by("preprocessor")
            }
            curves = {name: one for name, one in curves.items() if one.images.size}
            defined = {m for one in curves.values() for m in one.defined()}
            for measure in measures[task]:
                if measure in defined:
                    groups[*key, measure] = {n: PooledCurve(measure, c) for n, c in curves.items()}
    return groups


def _comparisons(
    curves: Mapping[str, _AnyCurve], anchor: str
) -> list[tuple[str, str, tuple[list[_AnyCurve], list[_AnyCurve]]]]:
    names = sorted(curves, key=lambda name: (not is_baseline(name), name))
    plain = [curves[anchor]] if anchor in curves else []
    pairs = [(anchor, name, (plain, [curves[name]])) for name in names if name != anchor]
    small = [name for name in names if is_downscale(name)]
    if small:
        best = [curves[name] for name in (PLAIN, *small) if name in curves]
        pairs.append((anchor, BEST_DOWNSCALE, (plain, best)))
        pairs += [
            (BEST_DOWNSCALE, name, (best, [curves[name]]))
            for name in names
            if not is_baseline(name)
        ]
    return pairs


def _judge(
    sides: tuple[Sequence[_AnyCurve], Sequence[_AnyCurve]],
    name: str,
    measure: Measure,
    resamples: int,
    seed: int,
    min_overlap: float,
    method: Method,
) -> dict[str, object]:
    anchor, test = sides
    if not anchor:
        return {"n_images": 0, "reason": "the anchor was not coded"}
    images = reduce(np.intersect1d, [one.images for one in (*anchor, *test)])
    if not images.size:
        return {"n_images": 0, "reason": "no image has all points of both curves"}

    def cut(side: Sequence[_AnyCurve]) -> list[Sampled]:
        return [one.samples(images) for one in side]

    if any(isinstance(one, PooledCurve) for one in anchor):
        resamples = min(resamples, RESAMPLES)

    try:
        result = bootstrap_bd_rate(
            cut(anchor),
            cut(test),
            axis=axis_of(name, measure),
            method=method,
            min_overlap=min_overlap,
            resamples=resamples,
            seed=seed,
        )
    except CurveError as error:
        return {"n_images": images.size, "reason": str(error)}
    return {
        "bd_rate": result.percent,
        "low": result.low if np.isfinite(result.low) else None,
        "high": result.high if np.isfinite(result.high) else None,
        "overlap": result.overlap,
        "pooled": result.pooled,
        "n_images": images.size,
        "reason": None,
    }
