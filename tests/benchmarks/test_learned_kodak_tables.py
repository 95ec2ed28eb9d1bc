"""What the Kodak benchmark concludes from rows whose answers are known."""

import learned_kodak_tables as tables
import numpy as np
import polars as pl
import pytest

from tamis.bench.bd import BdRate

QUALITIES = (1, 2, 3, 4)


def rows(codec: str, factor: float, float_factor: float = 1.0) -> pl.DataFrame:
    """Six images at four rates, PSNR 30 to 36 dB; all rates times `factor`."""
    rng = np.random.default_rng(0)
    found = []
    for image in range(6):
        busy = rng.uniform(0.5, 2)
        for quality in QUALITIES:
            bpp = busy * 0.1 * 2**quality
            found.append(
                {
                    "image_id": str(image),
                    "codec": codec,
                    "quality": quality,
                    "bytes": 1000 * bpp * factor,
                    "bpp": bpp * factor,
                    "psnr": 28.0 + 2 * quality,
                    "ms_ssim": 1 - 0.1 / 2**quality,
                    "float_bytes": 1000 * bpp * float_factor,
                    "float_bpp": bpp * float_factor,
                    "float_psnr": 28.0 + 2 * quality,
                }
            )
    return pl.DataFrame(found)


def test_means_are_over_images_and_rise_with_the_rate() -> None:
    points = tables.means(pl.concat([rows("a", 1), rows("b", 2)]))
    assert points["n"].to_list() == [6] * 8
    own = points.filter(codec="b")
    assert own["quality"].to_list() == list(QUALITIES)
    assert own["bpp"].to_list() == pytest.approx((2 * points.filter(codec="a")["bpp"]).to_list())


def test_the_rate_at_a_point_of_a_curve_is_that_of_the_point() -> None:
    for rate, value in tables.LEE_2019:
        assert tables.rate_at(tables.LEE_2019, value) == pytest.approx(rate)


def test_the_rate_between_two_points_lies_between_theirs() -> None:
    assert 0.202 < tables.rate_at(tables.LEE_2019, 30.5) < 0.298


def test_a_quality_that_a_curve_does_not_reach_has_no_rate() -> None:
    assert np.isnan(tables.rate_at(tables.LEE_2019, 20.0))


@pytest.mark.parametrize("measure", ["psnr", "ms_ssim"])
def test_a_codec_with_three_quarters_of_the_rate_saves_a_quarter(measure: str) -> None:
    both = pl.concat([rows("jpeg", 1), rows("ours", 0.75)])
    found = tables.compare(both, "jpeg", "ours", measure)
    assert isinstance(found, BdRate)
    assert found.percent == pytest.approx(-25)


def test_the_anchor_may_be_the_float_model_of_the_same_rows() -> None:
    found = tables.compare(rows("ours", 1.004), "ours", "ours", "psnr", kind="float_")
    assert isinstance(found, BdRate)
    assert found.percent == pytest.approx(0.4)


def test_one_rate_gives_a_reason_instead_of_a_bd_rate() -> None:
    both = pl.concat([rows("jpeg", 1), rows("ours", 1).filter(quality=2)])
    assert "at least 3" in str(tables.compare(both, "jpeg", "ours", "psnr"))


def test_code_lengths_count_the_images_within_one_percent_and_64_bytes() -> None:
    own = pl.DataFrame(
        {
            "codec": ["a"] * 4,
            "quality": [1] * 4,
            "bytes": [10_164, 10_165, 9_836, 9_835],
            "float_bytes": [10_000.0] * 4,
        }
    )
    (row,) = tables.code_lengths(own).iter_rows(named=True)
    assert (row["n"], row["within"]) == (4, 2)
    assert row["worst"] == pytest.approx(1.65)
    assert row["most"] == pytest.approx(165)


def test_the_integer_cost_is_the_difference_of_the_means() -> None:
    costs = tables.integer_cost(rows("ours", 1.01))
    assert costs["rate"].to_list() == pytest.approx([1.0] * 4)
    assert (costs["bare"] < costs["rate"]).all()
    assert costs["psnr"].to_list() == [0.0] * 4


def test_without_its_header_a_stream_costs_21_bytes_less() -> None:
    own = rows("ours", 1)
    bare = tables.without_header(own)
    assert (own["bytes"] - bare["bytes"]).to_list() == pytest.approx([21] * 24)
    assert (bare["bpp"] / own["bpp"]).to_list() == pytest.approx(
        (bare["bytes"] / own["bytes"]).to_list()
    )


def test_a_markdown_table_has_a_rule_under_its_heads() -> None:
    assert tables.markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
