"""Rate-measure curves: rows of a run arranged as images by qualities, and their means."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tamis.bench.bd import Axis, Samples
from tamis.bench.interpolation import Array
from tamis.bench.metrics import PIXEL_MEASURES, SIMILARITIES
from tamis.bench.pooling import Pool, RecordCurve, pooled_error
from tamis.bench.store import RECORD
from tamis.tasks.base import Measure, Record

PIXELS = "pixels"
"""The name under which PSNR and MS-SSIM stand among the tasks."""

CURVE = ["protocol", "prepared_for", "codec", "preprocessor", "task", "measure"]
"""What a curve is about."""


def with_pixels(
    measures: Mapping[str, Mapping[str, Measure]],
) -> Mapping[str, Mapping[str, Measure]]:
    """`measures`, and last those of `pixels`, unless a task has them among its own."""
    if any(set(PIXEL_MEASURES) <= set(named) for named in measures.values()):
        return measures
    return {**measures, PIXELS: PIXEL_MEASURES}


def long_form(rows: pl.DataFrame, measures: Mapping[str, Mapping[str, Measure]]) -> pl.DataFrame:
    """One row per (item, task, measure) with its `value`; values that are missing are dropped.

    PSNR and MS-SSIM appear once per item, see `with_pixels`.
    """
    keep = ["image_id", "quality", "bpp", *CURVE[:-1]]
    rows = _once(rows.drop(RECORD, strict=False))
    items = rows.with_columns(task=pl.lit(PIXELS)).unique(
        [*keep, "image"], keep="first", maintain_order=True
    )
    tables = [
        (items if task == PIXELS else rows.filter(task=task), list(named))
        for task, named in with_pixels(measures).items()
    ]
    parts = [
        table.unpivot(present, index=keep, variable_name="measure")
        for table, names in tables
        if table.height and (present := [name for name in names if name in table.columns])
    ]
    return pl.concat(parts).drop_nulls("value").filter(pl.col("value").is_not_nan())


@dataclass(frozen=True)
class Curve:
    """One curve, per image: the images and qualities that are complete.

    Attributes:
        images: identities `(N,)`, sorted.
        qualities: `(K,)`, by rising rate.
        rates: bits per pixel of the source `(N, K)`.
        values: the measure `(N, K)`.
    """

    images: npt.NDArray[np.str_]
    qualities: npt.NDArray[np.int64]
    rates: Array
    values: Array

    def samples(self, images: npt.NDArray[np.str_]) -> Samples:
        """Rates and values of `images`, in their order."""
        rows = np.searchsorted(self.images, images)
        return Samples(self.rates[rows], self.values[rows])


def curve(long: pl.DataFrame) -> Curve:
    """The curve in the long rows of one (codec, preprocessor, task, measure).

    An image that lacks a quality is left out.
    """
    whole, shape = _complete(long)
    return Curve(
        images=whole["image_id"].unique().sort().to_numpy().astype(np.str_),
        qualities=whole["quality"].to_numpy().reshape(shape)[:1].ravel(),
        rates=whole["bpp"].to_numpy().reshape(shape),
        values=whole["value"].to_numpy().reshape(shape),
    )


def record_curve(rows: pl.DataFrame, pool: Pool) -> RecordCurve:
    """The curve in the rows with a record of one (codec, preprocessor, task).

    An image that lacks a quality is left out.
    """
    whole, shape = _complete(rows)
    records = _records(whole)
    return RecordCurve(
        images=whole["image_id"].unique().sort().to_numpy().astype(np.str_),
        qualities=whole["quality"].to_numpy().reshape(shape)[:1].ravel(),
        rates=whole["bpp"].to_numpy().reshape(shape),
        records=[records[k :: shape[1]] for k in range(shape[1])],
        pool=pool,
    )


def _complete(long: pl.DataFrame) -> tuple[pl.DataFrame, tuple[int, int]]:
    """The images that have all K qualities, sorted, qualities by rising rate; and (N, K)."""
    qualities = long["quality"].n_unique()
    whole = long.filter(pl.len().over("image_id") == qualities)
    rising = whole.group_by("quality").agg(pl.col("bpp").mean().alias("_rate"))
    whole = whole.join(rising, on="quality").sort("image_id", "_rate")
    return whole, (whole.height // qualities, qualities)


def _records(rows: pl.DataFrame) -> list[Record]:
    column = rows[RECORD]
    ends = column.list.len().cum_sum().to_numpy()
    flat = column.list.explode(empty_as_null=False).to_numpy().astype(np.float32)
    return list(np.split(flat, ends[:-1]))


def mean_curves(
    rows: pl.DataFrame,
    measures: Mapping[str, Mapping[str, Measure]],
    pools: Mapping[str, Pool] | None = None,
) -> pl.DataFrame:
    """Mean rate and mean, or pooled, measure of every (curve, quality).

    Args:
        rows: of a run.
        measures: of each task.
        pools: for the tasks with measures of a set, `Bench.pools`.

    Returns:
        the columns of `CURVE`, `quality`, `n` images, `rate` (mean bpp), `value` (mean or pooled)
        and `error`, its standard error, which for a pooled measure comes from resampling images.
    """
    means = (
        long_form(rows, measures)
        .group_by(*CURVE, "quality")
        .agg(
            pl.len().alias("n"),
            pl.col("bpp").mean().alias("rate"),
            pl.col("value").mean(),
            (pl.col("value").std() / pl.len().sqrt()).alias("error"),
        )
    )
    pooled = _pooled_means(rows, measures, pools or {})
    return pl.concat([means, pl.DataFrame(pooled, schema=means.schema)]).sort(*CURVE, "rate")


def _pooled_means(
    rows: pl.DataFrame, measures: Mapping[str, Mapping[str, Measure]], pools: Mapping[str, Pool]
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    about = [*CURVE[:-1], "quality"]
    for task, pool in pools.items():
        for key, group in with_records(rows, task).group_by(about):
            records = _records(group)
            values, errors = pool(records), pooled_error(records, pool)
            head = dict(zip(about, key, strict=True))
            head |= {"n": group.height, "rate": group["bpp"].mean()}
            found += [
                {**head, "measure": name, "value": values[name], "error": errors[name]}
                for name in measures[task]
                if np.isfinite(values.get(name, np.nan))
            ]
    return found


def with_records(rows: pl.DataFrame, task: str) -> pl.DataFrame:
    """The rows of a task that have a record."""
    if RECORD not in rows.columns:
        return rows.clear()
    return _once(rows.filter(pl.col("task") == task, pl.col(RECORD).is_not_null()))


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Each photo once a setting, with its label where it was scored with and without one."""
    if "label" not in rows.columns:
        return rows
    about = ["image_id", "quality", *CURVE[:-1]]
    return rows.sort("label", maintain_order=True).unique(about, keep="last", maintain_order=True)


def axis_of(name: str, measure: Measure) -> Axis:
    """The scale on which a measure is compared; `docs/concepts/bd-rate.md` says why."""
    if name in SIMILARITIES:
        return "log_complement"
    return "linear" if measure.higher_is_better else "log"
