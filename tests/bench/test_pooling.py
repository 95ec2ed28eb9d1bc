"""Measures of a set: kept as records, pooled, and pooled again for every resample."""

import numpy as np
import polars as pl
import pytest
from colours import Pooled

from tamis.bench import Plan, RunFolder, bd_rate_table, bench, load, mean_curves, run_sweep
from tamis.bench.bd import CurveError, bootstrap_bd_rate
from tamis.bench.coding import Bench
from tamis.bench.pooling import PooledCurve, RecordCurve, pooled_error
from tamis.bench.store import RECORD
from tamis.data import LabelledPhoto
from tamis.data.sources import FileSource
from tamis.errors import TamisError
from tamis.tasks import PooledTask

QUALITIES = {"jpeg": (10, 30, 50, 70)}
PREPROCESSORS = ("none", "downscale:0.5")


def plan(photos, task=None):
    return Plan.of(photos, [task or Pooled()], ["jpeg"], PREPROCESSORS, qualities=QUALITIES)


@pytest.fixture(scope="module")
def run(paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pooled")
    return folder, run_sweep(plan(paths), folder)


@pytest.fixture(scope="module")
def judged(run, paths):
    folder, rows = run
    return rows, Bench(plan(paths), folder)


def test_the_task_of_these_tests_is_a_pooled_task():
    assert isinstance(Pooled(), PooledTask)


def test_records_of_any_length_are_a_column_of_the_rows(run):
    folder, rows = run
    assert rows.schema[RECORD] == pl.List(pl.Float32)
    kl = rows[RECORD].list.first().to_numpy()
    np.testing.assert_allclose(kl, rows["kl"], rtol=1e-6)
    assert load(folder)[RECORD].null_count() == 0


def test_a_pooled_mean_is_the_mean_in_curves(judged):
    rows, maker = judged
    curves = mean_curves(rows, maker.measures, maker.pools)
    pooled, mean = (
        curves.filter(measure=m).sort("preprocessor", "rate") for m in ("mean_kl", "kl")
    )
    assert pooled.height == 8
    np.testing.assert_allclose(pooled["value"], mean["value"], rtol=1e-5)
    np.testing.assert_allclose(pooled["rate"], mean["rate"])
    assert pooled["n"].to_list() == mean["n"].to_list()
    np.testing.assert_allclose(pooled["error"], mean["error"], rtol=0.5)


def arithmetic(factors, images=40):
    """Rows whose rates are `factors[preprocessor]` times the plain ones, with their records."""
    difficulty = np.random.default_rng(0).lognormal(0, 0.3, images)
    return pl.DataFrame(
        [
            {
                "image": f"{i}.png",
                "image_id": f"{i:03d}",
                "codec": "jpeg",
                "quality": quality,
                "preprocessor": name,
                "protocol": "native",
                "prepared_for": "",
                "task": "mine",
                "bpp": 0.3 * 2**quality * difficulty[i] ** (1 + factor) * factor,
                "psnr": 30.0 + quality,
                "ms_ssim": 1 - 0.1 / 2**quality,
                "kl": 0.8 / 2**quality * difficulty[i],
                RECORD: [0.8 / 2**quality * difficulty[i]],
            }
            for name, factor in factors.items()
            for quality in range(4)
            for i in range(images)
        ],
        schema_overrides={RECORD: pl.List(pl.Float32)},
    )


def test_a_pooled_mean_saves_what_the_mean_saves_with_the_same_interval():
    task = Pooled()
    measures = {"mine": {"kl": task.measures["kl"], **task.pooled}}
    rows = arithmetic({"none": 1.0, "default": 0.8})
    table = bd_rate_table(rows, measures, pools={"mine": task.pool}, resamples=150)
    assert set(table["measure"]) == {"kl", "mean_kl", "median_kl", "psnr", "ms_ssim"}
    pooled, mean = (table.filter(measure=m) for m in ("mean_kl", "kl"))
    assert pooled["reason"].null_count() == 1
    for column in ("bd_rate", "low", "high", "overlap", "pooled", "n_images"):
        np.testing.assert_allclose(
            pooled[column].cast(float).to_numpy(), mean[column].cast(float).to_numpy(), rtol=1e-4
        )
    assert mean["low"].item() < mean["bd_rate"].item() < mean["high"].item() < 0


def test_a_measure_that_is_undefined_everywhere_is_left_out(judged):
    rows, maker = judged
    table = bd_rate_table(rows, maker.measures, pools=maker.pools, resamples=10)
    assert "mean_error" not in set(table["measure"])
    assert "mean_error" not in set(mean_curves(rows, maker.measures, maker.pools)["measure"])


def test_without_pools_nothing_is_pooled(judged):
    rows, maker = judged
    assert "mean_kl" not in set(mean_curves(rows, maker.measures)["measure"])


def test_rows_from_before_a_task_had_records_are_not_pooled(judged):
    rows, maker = judged
    old = rows.drop(RECORD)
    assert "mean_kl" not in set(mean_curves(old, maker.measures, maker.pools)["measure"])


def test_other_labels_are_scored_anew_and_the_old_rows_stay(paths, tmp_path):
    first = run_sweep(plan(paths), tmp_path)
    known = [LabelledPhoto(FileSource(path), 1) for path in paths]
    second = run_sweep(plan(known), tmp_path)
    assert second.height == first.height
    assert set(second["label"]) == {"1"}
    assert set(second[RECORD].list.len()) == {2}
    assert load(tmp_path).height == 2 * first.height
    assert run_sweep(plan(paths), tmp_path).equals(first)
    curves = mean_curves(load(tmp_path), Bench(plan(known), tmp_path).measures)
    assert curves["n"].max() == len(paths)
    maker = Bench(plan(known), tmp_path)
    table = bd_rate_table(second, maker.measures, pools=maker.pools, resamples=10)
    assert "mean_error" in set(table["measure"])


def test_several_processes_give_the_same_records(run, paths, tmp_path):
    _, rows = run
    assert run_sweep(plan(paths), tmp_path, processes=2)[RECORD].to_list() == rows[RECORD].to_list()


def test_the_report_has_the_pooled_measures(paths, tmp_path):
    results = bench(
        paths, [Pooled()], ["jpeg"], PREPROCESSORS, out=tmp_path, qualities=QUALITIES, strips=0,
        resamples=20,
    )  # fmt: skip
    assert "median divergence" in results.report.read_text()
    assert "median_kl" in (tmp_path / "curves.csv").read_text()
    assert RunFolder(tmp_path).measures()["classify:pooled"]["median_kl"].label
    assert set(results.headline["measure"]) == {"kl"}


def test_a_pooled_measure_that_hides_a_column_is_refused(paths, tmp_path):
    task = Pooled()
    task.pooled = {RECORD: task.pooled["mean_kl"]}
    with pytest.raises(TamisError, match="which is a column's name"):
        Bench(plan(paths, task), tmp_path)


def curve(levels, images=30, noise=0.0):
    """Records that are one number, `levels[k]` for each quality with `noise` between images."""
    rng = np.random.default_rng(0)
    numbers = np.array(levels) + noise * rng.standard_normal((images, 1))
    return RecordCurve(
        np.array([f"{i:02d}" for i in range(images)]),
        np.arange(len(levels)),
        np.tile(2.0 ** np.arange(len(levels)), (images, 1)),
        [[np.array([x], np.float32) for x in column] for column in numbers.T],
        lambda records: {"mean": float(np.mean(records))},
    )


def sampled(of):
    return PooledCurve("mean", of).samples(of.images)


def test_a_fall_that_is_no_noise_is_refused():
    rising, falling = curve([1, 2, 3, 4], noise=0.1), curve([1, 2, 1.2, 4], noise=0.1)
    assert bootstrap_bd_rate([sampled(rising)], [sampled(rising)]).percent == pytest.approx(0)
    with pytest.raises(CurveError, match="not monotone"):
        bootstrap_bd_rate([sampled(rising)], [sampled(falling)])


def test_records_are_pooled_once_for_all_measures():
    of = curve([1, 2, 3], images=5)
    weights = np.full((1, 5), 0.2)
    rows = np.arange(5)
    assert of.values(rows, weights) is of.values(rows, weights)
    assert of.values(rows[:3], np.full((1, 3), 1 / 3)) is not of.values(rows, weights)


def test_the_error_of_a_pooled_mean_is_its_standard_error():
    records = curve([0.0], images=200, noise=1.0).records[0]
    error = pooled_error(records, lambda r: {"mean": float(np.mean(r))})["mean"]
    assert error == pytest.approx(np.std(records) / np.sqrt(200), rel=0.25)
    assert np.isnan(pooled_error(records[:1], lambda r: {"mean": float(np.mean(r))})["mean"])
