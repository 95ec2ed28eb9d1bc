"""The task for people: five measures in a sweep, the source picture as the reference."""

import json

import numpy as np
import polars as pl
import pytest

from tamis.bench import Plan, bench, run_sweep
from tamis.bench.fsim import fsim
from tamis.bench.human import MEASURES, Human
from tamis.bench.lpips import Lpips
from tamis.bench.metrics import enlarge, ssim
from tamis.codecs import get_codec
from tamis.data.folders import load_photo
from tamis.errors import TamisError
from tamis.preprocessing import get_preprocessor
from tamis.tasks import get_differentiable, get_task
from tamis.tasks.full_reference import FullReferenceTask

QUALITIES = {"jpeg": (10, 30, 70)}
WEIGHTS = "alexnet-owt-7be5be79.pth"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No weights in any of the places, and no network to fetch them from."""

    def refuse(*args, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("TAMIS_WEIGHTS", raising=False)


def test_rows_hold_what_the_measures_say_of_the_enlarged_picture(paths, tmp_path):
    plan = Plan.of(
        paths[:1], ["human:weights=random"], ["jpeg"], ["downscale:0.5"], qualities=QUALITIES
    )
    (row,) = run_sweep(plan, tmp_path).filter(quality=30).iter_rows(named=True)
    photo, jpeg = load_photo(paths[0]), get_codec("jpeg")
    small = jpeg.decode(jpeg.encode(get_preprocessor("downscale:0.5")(photo, jpeg, 30), 30))
    decoded = enlarge(small, photo)
    assert decoded.shape != small.shape
    assert row["ssim"] == pytest.approx(ssim(decoded, photo))
    assert row["fsim"] == pytest.approx(fsim(decoded, photo))
    assert row["lpips"] == pytest.approx(Lpips(random=True)(decoded, photo))
    assert 15 < row["psnr"] < 40 and 0 < row["ms_ssim"] < 1


def test_the_report_compares_at_equal_value_of_each_of_the_five(paths, tmp_path):
    results = bench(
        paths[:2],
        ["human:weights=random"],
        ["jpeg"],
        ["none", "blur:1.0"],
        out=tmp_path,
        qualities=QUALITIES,
        strips=0,
        resamples=20,
        min_overlap=0.1,
    )
    assert results.headline["measure"].to_list() == list(MEASURES)
    # They are the bench's own columns: no second table of the same numbers.
    assert set(results.table["task"]) == {"human:weights=random"}
    assert (results.headline["bd_rate"] > 0).all(), "people see a blur"
    assert "the measure that gains least" in results.sentence()


def test_offline_lpips_is_absent_and_one_line_says_where_its_weights_go(offline, paths, tmp_path):
    task = get_task("human")
    assert list(task.measures) == ["psnr", "ssim", "ms_ssim", "fsim"]
    line = task.absent["lpips"]
    assert WEIGHTS in line and "TAMIS_WEIGHTS" in line and "\n" not in line
    plan = Plan.of(paths[:1], ["human"], ["jpeg"], qualities=QUALITIES)
    rows = run_sweep(plan, tmp_path)
    assert "lpips" not in rows.columns
    (noted,) = json.loads((tmp_path / "run.json").read_text())["plans"].values()
    assert noted["skipped"] == {"lpips of human": line}


def test_a_person_has_no_gradient_and_judges_pictures_alone():
    task = Human(random=True)
    assert isinstance(task, FullReferenceTask)
    photo = np.zeros((40, 50, 3), np.uint8)
    assert task.prepare(photo) is photo
    nothing = task.predict([photo, photo])
    assert nothing.shape == (2, 0)
    with pytest.raises(TamisError, match="use compare"):
        task.score(nothing, nothing)
    with pytest.raises(TamisError, match="no gradient"):
        get_differentiable(task)
    with pytest.raises(TamisError, match="written human"):
        get_task("human:eyes=2")


def test_only_a_full_reference_task_shares_the_columns_of_the_bench(paths, tmp_path):
    from colours import colour_task

    task = colour_task()
    task.measures = {"psnr": MEASURES["psnr"]}
    with pytest.raises(TamisError, match="column's name"):
        run_sweep(Plan.of(paths[:1], [task], ["jpeg"]), tmp_path)


def test_beside_a_network_both_stand_in_one_table(paths, tmp_path):
    from colours import colour_task

    plan = Plan.of(
        paths[:2], [colour_task(), "human:weights=random"], ["jpeg"], qualities=QUALITIES
    )
    rows = run_sweep(plan, tmp_path)
    seen = rows.filter(task="human:weights=random")
    assert seen["kl"].null_count() == seen.height == 6
    assert rows.filter(pl.col("task") != "human:weights=random")["fsim"].null_count() == 6
