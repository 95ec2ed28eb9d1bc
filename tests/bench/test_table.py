"""The BD-rate table on rows made by arithmetic, where the right answer is known."""

import numpy as np
import polars as pl
import pytest

from tamis.bench import bd_rate_table, mean_curves
from tamis.bench.table import BEST_DOWNSCALE, is_baseline, is_downscale
from tamis.tasks import ClassifyWith

MEASURES = {"classify:a": {k: ClassifyWith.measures[k] for k in ("kl", "probability", "top1")}}
QUALITIES = (10, 20, 30, 40)


def rows(factors, images=40, seed=0):
    """Rows whose rates are `factors[preprocessor]` (one per quality) times the plain ones."""
    rng = np.random.default_rng(seed)
    difficulty = rng.lognormal(0, 0.3, images)
    table = []
    for name, factor in factors.items():
        for k, quality in enumerate(QUALITIES):
            for i in range(images):
                kl = 0.8 / 2**k * difficulty[i]
                table.append(
                    {
                        "image": f"{i}.png",
                        "image_id": f"{i:03d}",
                        "codec": "jpeg",
                        "quality": quality,
                        "preprocessor": name,
                        "protocol": "native",
                        "prepared_for": "",
                        "task": "classify:a",
                        "bpp": 0.3 * 2**k * difficulty[i] * np.broadcast_to(factor, 4)[k],
                        "psnr": 30.0 + k,
                        "ms_ssim": 1 - 0.1 / 2**k,
                        "kl": kl,
                        "probability": float(np.exp(-kl)),
                        "top1": None,
                    }
                )
    return pl.DataFrame(table, infer_schema_length=None).with_columns(
        pl.col("top1").cast(pl.Float64)
    )


def test_a_preprocessor_that_saves_a_fifth_saves_a_fifth_in_every_measure():
    table = bd_rate_table(rows({"none": 1, "default": 0.8}), MEASURES, resamples=50)
    assert set(table["measure"]) == {"kl", "probability", "psnr", "ms_ssim"}
    for column in ("bd_rate", "low", "high"):
        np.testing.assert_allclose(table[column], -20.0, atol=1e-6)
    assert table["overlap"].to_list() == pytest.approx([1.0] * 4)
    assert table["n_images"].to_list() == [40] * 4
    assert table["reason"].null_count() == 4


def test_downscales_are_joined_to_the_best_plain_setting_and_compared_with():
    factors = {
        "none": 1,
        "downscale:0.75": [0.7, 0.8, 1.2, 1.4],
        "downscale:0.5": [0.5, 0.9, 1.5, 2.0],
        "default": 0.8,
    }
    table = bd_rate_table(rows(factors), MEASURES, resamples=20).filter(measure="kl")
    against = dict(table.filter(anchor="none").select("preprocessor", "bd_rate").iter_rows())
    assert list(against) == ["downscale:0.5", "downscale:0.75", "default", BEST_DOWNSCALE]
    assert against[BEST_DOWNSCALE] < min(against["downscale:0.5"], against["downscale:0.75"])
    beside = table.filter(anchor=BEST_DOWNSCALE)
    assert beside["preprocessor"].to_list() == ["default"]
    assert beside["bd_rate"][0] > against["default"]


def test_only_images_with_every_point_of_both_curves_count():
    table = rows({"none": 1, "default": 0.8})
    partly = table.filter(
        ~(
            (pl.col("image_id") < "005")
            & (pl.col("preprocessor") == "default")
            & (pl.col("quality") == 40)
        )
    )
    result = bd_rate_table(partly, MEASURES, resamples=10).filter(measure="kl")
    assert result["n_images"].to_list() == [35]
    assert result["bd_rate"][0] == pytest.approx(-20)


def test_what_cannot_be_compared_says_why():
    far = rows({"none": 1, "default": 1}).with_columns(
        pl.when(pl.col("preprocessor") == "default")
        .then(pl.col("kl") * 7)
        .otherwise("kl")
        .alias("kl")
    )
    row = bd_rate_table(far, MEASURES, resamples=10).filter(measure="kl").row(0, named=True)
    assert row["bd_rate"] is None and "share 6%" in row["reason"]
    alone = bd_rate_table(rows({"default": 1}), MEASURES, anchor="none")
    assert set(alone["reason"]) == {"the anchor was not coded"}


def test_mean_curves_hold_means_and_standard_errors():
    curves = mean_curves(rows({"none": 1}), MEASURES).filter(measure="kl")
    kl = rows({"none": 1}).filter(quality=20)["kl"]
    row = curves.row(by_predicate=pl.col("quality") == 20, named=True)
    assert row["value"] == pytest.approx(kl.mean())
    assert row["error"] == pytest.approx(kl.std() / 40**0.5)
    assert curves["rate"].is_sorted()


def test_psnr_is_counted_once_per_image_whatever_the_number_of_tasks():
    two = pl.concat([rows({"none": 1}), rows({"none": 1}).with_columns(task=pl.lit("classify:b"))])
    measures = {**MEASURES, "classify:b": MEASURES["classify:a"]}
    assert set(mean_curves(two, measures).filter(measure="psnr")["n"]) == {40}


@pytest.mark.parametrize(
    ("spec", "downscale", "baseline"),
    [("none", 0, 1), ("downscale:0.5", 1, 1), ("downscale:0.5+default", 0, 0), ("blur:1", 0, 1)],
)
def test_baselines_are_known_by_their_specs(spec, downscale, baseline):
    assert is_downscale(spec) == bool(downscale)
    assert is_baseline(spec) == bool(baseline)
