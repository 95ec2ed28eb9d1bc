"""`tamis proxy`: what stands in its tables is true of the proxies."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tamis.bench.proxy_gradients import centre, cosines, differences, mean_and_interval
from tamis.bench.proxy_measure import ProxyTables, measure
from tamis.cli import main
from tamis.codecs import Image, get_codec
from tamis.errors import TamisError
from tamis.learned.models import create_model
from tamis.proxies import RealCodec, get_proxy
from tamis.proxies.learned import ConditionedModel, LearnedProxy
from tamis.proxies.package import save
from tamis.tasks.pixels import to_tensor

JPEG = get_codec("jpeg")


@pytest.fixture(scope="module")
def crops(photos: list[Image]) -> list[Image]:
    return [centre(photo) for photo in photos]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A proxy of JPEG with random weights and a wild calibration."""
    torch.manual_seed(0)
    network = ConditionedModel(create_model("joint", 4, 6))
    with torch.no_grad():  # else every latent is rounded to zero, and all photos cost the same
        network.model.analysis[-1].weight.mul_(300)
    proxy = LearnedProxy(JPEG, network, (10, 60), 5000.0, {10: 7.0, 60: 7.0})
    directory = tmp_path_factory.mktemp("learned") / "jpeg"
    save(directory, proxy, "jpeg", steps=0, recipe="r", data="none", licence="Apache-2.0")
    return f"learned:{directory}"


@pytest.fixture(scope="module")
def tables(crops: list[Image], learned: str) -> ProxyTables:
    return measure(crops, ["jpeg"], ["dct", learned], {"jpeg": [10, 30, 60]}, directions=6)


def test_a_row_for_every_proxy_and_quality(tables: ProxyTables, learned: str) -> None:
    assert tables.rows["quality"].to_list() == [10, 30, 60] * 2
    assert tables.summary["proxy"].to_list() == ["dct", learned]
    assert all(tables.summary["milliseconds"] > 0)


def test_the_analytic_proxy_of_jpeg_predicts_it_and_random_weights_do_not(
    tables: ProxyTables,
) -> None:
    dct, random = tables.summary.to_dicts()
    assert dct["correlation"] > 0.97
    assert dct["error"] < 2 < random["error"]
    assert dct["rate_cosine"] > 0.25 > random["rate_cosine"]


def test_jpegs_proxy_costs_what_jpeg_costs_once_its_mean_rates_are_calibrated(
    tables: ProxyTables,
) -> None:
    dct = tables.summary.row(0, named=True)
    assert abs(dct["bd_rate_calibrated"]) < abs(dct["bd_rate"])
    assert abs(dct["bd_rate_calibrated"]) < 3
    assert dct["bd_rate_calibrated_low"] <= dct["bd_rate_calibrated"]


def test_a_cards_factors_are_left_out(
    tables: ProxyTables, crops: list[Image], learned: str
) -> None:
    row = tables.rows.filter(pl.col("proxy") == learned).row(0, named=True)
    proxy, x = get_proxy(JPEG, name=learned), to_tensor(crops)
    with torch.no_grad():
        calibrated = float(proxy(x, 10)[1].mean())
    real = float(RealCodec(JPEG)(x, 10)[1].mean())
    assert row["ratio"] == pytest.approx(7 * real / calibrated, rel=1e-3)


def test_intervals_are_around_their_means(tables: ProxyTables) -> None:
    for row in tables.rows.to_dicts():
        for name in ("rate_cosine", "error_cosine", "change_cosine"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_without_directions_there_are_no_cosines(crops: list[Image]) -> None:
    assert "rate_cosine" not in measure(crops[:3], ["jpeg"], qualities={"jpeg": [30]}).rows.columns


def test_a_smooth_function_has_a_cosine_near_one_with_its_own_differences(
    crops: list[Image],
) -> None:
    class Smooth:
        """Energy of the horizontal differences as the rate, and the picture itself."""

        def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
            steps = (x[..., 1:] - x[..., :-1]).square().flatten(1).sum(dim=1)
            return x, steps

    known = differences(crops[0], Smooth(), 0, 6, np.random.default_rng(0))  # type: ignore[arg-type]
    assert cosines(Smooth(), known, 0) == pytest.approx((1, 1, 1), abs=1e-3)


def test_differences_are_those_of_real_files(crops: list[Image]) -> None:
    known = differences(crops[1], RealCodec(JPEG), 30, 2, np.random.default_rng(1))
    _, rate = RealCodec(JPEG)(known.plus, 30)
    _, other = RealCodec(JPEG)(known.minus, 30)
    assert torch.equal(known.rate, rate - other)
    assert float(((known.plus - known.minus) * 255).abs().max()) > 4


def test_an_interval_narrows_with_photos() -> None:
    few, many = (mean_and_interval(list(np.linspace(0, 1, n))) for n in (5, 500))
    assert many[2] - many[1] < (few[2] - few[1]) / 4


def test_the_command_writes_what_it_prints(
    crops: list[Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image as PillowImage

    for place, crop in enumerate(crops[:3]):
        PillowImage.fromarray(crop).save(tmp_path / f"{place}.png")
    out = tmp_path / "out"
    command = f"proxy {tmp_path} --codecs jpeg --qualities jpeg=10,60 --out {out}"
    with pytest.raises(SystemExit) as stopped:
        main(command.split())
    assert stopped.value.code in (0, None)
    assert "correlation" in capsys.readouterr().out
    assert pl.read_csv(out / "proxy.csv")["quality"].to_list() == [10, 60]
    summary = json.loads((out / "proxy.json").read_text())["summary"][0]
    assert summary["proxy"] == "dct"


def test_too_few_photos_are_refused(crops: list[Image]) -> None:
    with pytest.raises(TamisError, match="at least 3 photos"):
        measure(crops[:2], ["jpeg"])


def test_a_proxy_is_measured_where_it_is_defined(crops: list[Image], learned: str) -> None:
    found = measure(crops[:3], ["jpeg"], ["dct", learned])
    assert set(found.rows["quality"]) <= set(range(10, 61))
    assert get_proxy(JPEG, name=learned).qualities == (10, 60)  # type: ignore[attr-defined]
