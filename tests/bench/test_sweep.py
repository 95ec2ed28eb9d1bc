"""The sweep: real rows, protocols, resume, and kill -9 in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from colours import colour_task
from PIL import Image

from tamis.bench import Plan, RunFolder, load, run_sweep
from tamis.bench.store import KEY
from tamis.codecs import get_codec
from tamis.codecs.jpeg import Jpeg
from tamis.data.folders import load_photo
from tamis.errors import CodecError, TamisError

QUALITIES = {"jpeg": (10, 30, 70)}
VARYING = ["seconds_preprocess"]


def plan(paths, tasks=None, preprocessors=("none", "downscale:0.5"), protocol="native", **options):
    tasks = [colour_task()] if tasks is None else tasks
    return Plan.of(
        paths, tasks, ["jpeg"], preprocessors, protocol, **{"qualities": QUALITIES, **options}
    )


def test_every_item_is_coded_decoded_and_scored(paths, tmp_path):
    rows = run_sweep(plan(paths), tmp_path)
    assert rows.height == len(paths) * 3 * 2
    assert rows.select(KEY).is_unique().all()
    photo = load_photo(paths[0])
    row = rows.row(
        by_predicate=(pl.col("image") == paths[0].name)
        & (pl.col("quality") == 30)
        & (pl.col("preprocessor") == "none"),
        named=True,
    )
    jpeg = get_codec("jpeg")
    data = jpeg.encode(photo, 30)
    task = colour_task()
    expected = task.score(task.predict([jpeg.decode(data)]), task.predict([photo]))
    assert row["bytes"] == len(data)
    assert row["bpp"] == 8 * len(data) / (photo.shape[0] * photo.shape[1])
    assert (row["width"], row["height"]) == (photo.shape[1], photo.shape[0])
    assert row["kl"] == pytest.approx(expected["kl"][0])
    assert row["agreement"] == expected["agreement"][0]
    assert row["top1"] is None
    assert 20 < row["psnr"] < 50 and 0.5 < row["ms_ssim"] < 1


def test_rate_of_a_smaller_picture_is_per_source_pixel(paths, tmp_path):
    rows = run_sweep(plan(paths), tmp_path).filter(quality=30)
    small = rows.filter(preprocessor="downscale:0.5")
    np.testing.assert_allclose(
        small["bpp"], 8 * small["bytes"] / (small["width"] * small["height"])
    )
    assert small["bpp"].mean() < 0.6 * rows.filter(preprocessor="none")["bpp"].mean()
    assert small["psnr"].is_finite().all()


def test_protocol_model_codes_the_first_task_s_input_for_all_tasks(paths, tmp_path):
    tasks = [colour_task("small", 64), colour_task("large", 176)]
    rows = run_sweep(plan(paths, tasks, protocol="model"), tmp_path)
    assert set(rows["width"]) == {64}
    assert set(rows["prepared_for"]) == {"classify:small"}
    assert set(rows["protocol"]) == {"model"}
    by_task = rows.partition_by("task")
    assert len(by_task) == 2
    assert by_task[0]["bytes"].equals(by_task[1]["bytes"])


def test_labels_come_from_imagenet_names(paths, tmp_path):
    named = tmp_path / "n01440764_tench.png"
    named.write_bytes(paths[0].read_bytes())
    rows = run_sweep(plan([named]), tmp_path / "run")
    assert rows["top1"].is_not_null().all()


def test_a_finished_run_codes_nothing_again(paths, tmp_path):
    first = run_sweep(plan(paths), tmp_path)
    parts = {part: part.stat().st_mtime_ns for part in (tmp_path / "parts").iterdir()}
    again = run_sweep(plan(paths), tmp_path)
    assert parts == {part: part.stat().st_mtime_ns for part in (tmp_path / "parts").iterdir()}
    assert again.equals(first)


def test_another_plan_in_the_same_folder_adds_only_what_is_new(paths, tmp_path):
    first = run_sweep(plan(paths[:3], preprocessors=["none"]), tmp_path)
    tasks = [colour_task(), colour_task("other")]
    second = run_sweep(plan(paths, tasks, qualities={"jpeg": (30, 70, 90)}), tmp_path)
    assert second.height == len(paths) * 3 * 2 * 2
    everything = load(tmp_path)
    assert everything.select(KEY).is_unique().all()
    assert everything.height == second.height + first.filter(quality=10).height
    assert len(RunFolder(tmp_path).conditions()["plans"]) == 2


def test_results_do_not_depend_on_what_was_coded_together(paths, tmp_path):
    together = run_sweep(plan(paths), tmp_path / "a").drop(VARYING)
    for path in paths:
        run_sweep(plan([path]), tmp_path / "b")
    assert load(tmp_path / "b").drop(VARYING).equals(together)


def test_the_same_photo_twice_counts_once(paths, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[0].read_bytes())
    assert len(plan([paths[0], copy]).photos) == 1


def test_missing_references_are_computed_again(paths, tmp_path):
    run_sweep(plan(paths[:2]), tmp_path)
    for file in (tmp_path / "references").rglob("*.npy"):
        file.unlink()
    assert run_sweep(plan(paths), tmp_path).height == len(paths) * 3 * 2


def test_codec_objects_are_known_by_their_settings(paths):
    made = Plan.of(paths, [colour_task()], [Jpeg(), Jpeg(subsampling="444", progressive=False)])
    assert list(made.codecs) == ["jpeg", "jpeg:subsampling=444:progressive=false"]
    assert get_codec(list(made.codecs)[1]) == Jpeg(subsampling="444", progressive=False)
    assert made.qualities["jpeg"] == Jpeg.quality.ladder


def test_fingerprints_tell_plans_apart_and_ignore_order(paths):
    assert plan(paths).fingerprint == plan(list(reversed(paths))).fingerprint
    others = [plan(paths[1:]), plan(paths, protocol="model"), plan(paths, preprocessors=["none"])]
    assert len({p.fingerprint for p in [plan(paths), *others]}) == 4


def test_what_cannot_be_measured_is_refused_in_one_line(paths, tmp_path):
    with pytest.raises(TamisError, match="'native' or 'model'"):
        plan(paths, protocol="crop")
    with pytest.raises(TamisError, match="needs photos"):
        plan([])
    with pytest.raises(CodecError, match=r"1\.\.95"):
        plan(paths, qualities={"jpeg": [99]})
    with pytest.raises(TamisError, match="does not exist"):
        plan([tmp_path / "missing.png"])
    with pytest.raises(TamisError, match="no parts/"):
        load(tmp_path)


def test_a_broken_photo_stops_the_sweep_and_is_named(paths, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:3000])
    with pytest.raises(TamisError, match=r"broken\.png"):
        run_sweep(plan([*paths, broken]), tmp_path / "run")


def test_a_function_that_cannot_travel_is_refused_with_more_processes(paths, tmp_path):
    from tamis.tasks import ClassifyWith

    task = ClassifyWith(lambda images: [[1.0, 0.0]] * len(images))
    with pytest.raises(TamisError, match="use 1 process"):
        run_sweep(plan(paths, [task]), tmp_path, processes=2)


def test_a_folder_has_one_writer(paths, tmp_path):
    with RunFolder(tmp_path).locked(), pytest.raises(TamisError, match="another bench is writing"):
        run_sweep(plan(paths), tmp_path)


class UpTo:
    """A preprocessor that takes JPEG qualities up to `limit`."""

    name = "limited"

    def __init__(self, limit):
        self.limit = limit

    def batch(self, images, codec, quality):
        if quality > self.limit:
            raise TamisError(f"covers up to {self.limit}")
        return list(images)

    def __call__(self, image, codec, quality):
        return self.batch([image], codec, quality)[0]


def test_a_preprocessor_is_coded_only_where_it_agrees_and_that_is_noted(paths, tmp_path):
    rows = run_sweep(plan(paths[:2], preprocessors=["none", UpTo(30)]), tmp_path)
    assert set(rows.filter(preprocessor="limited")["quality"]) == {10, 30}
    assert set(rows.filter(preprocessor="none")["quality"]) == {10, 30, 70}
    (noted,) = RunFolder(tmp_path).conditions()["plans"].values()
    assert noted["skipped"] == {"limited with jpeg 70": "covers up to 30"}


def test_a_preprocessor_that_agrees_nowhere_is_an_error(paths, tmp_path):
    with pytest.raises(TamisError, match="could not be used at all: covers up to 1"):
        run_sweep(plan(paths[:2], preprocessors=["none", UpTo(1)]), tmp_path)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from colours import colour_task
from tamis.bench import Plan, run_sweep
from tamis.preprocessing import get_preprocessor

class Slow:
    name = "blur:1.0"
    def batch(self, images, codec, quality):
        time.sleep({pause})
        return get_preprocessor("blur:1.0").batch(images, codec, quality)
    def __call__(self, image, codec, quality):
        return self.batch([image], codec, quality)[0]

if __name__ == "__main__":
    plan = Plan.of(sorted(Path({photos!r}).iterdir()), [colour_task()], ["jpeg"], ["none", Slow()])
    run_sweep(plan, {out!r}, processes={processes})
"""


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_finishes_the_rest(folder, paths, tmp_path):
    tests, out = str(Path(__file__).parent), tmp_path / "run"
    script = tmp_path / "sweep.py"
    options = {"tests": tests, "photos": str(folder), "out": str(out), "processes": 2}
    script.write_text(KILLED.format(pause=0.3, **options))
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    parts = out / "parts"
    deadline = time.monotonic() + 240
    while not parts.is_dir() or len(list(parts.glob("part-*"))) < 14:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {part.name: part.read_bytes() for part in parts.glob("part-*")}
    assert 14 <= len(kept) < 22

    whole = run_sweep(plan(paths, preprocessors=["none", "blur:1.0"], qualities={}), tmp_path / "b")
    script.write_text(KILLED.format(pause=0, **options))
    deadline = time.monotonic() + 60
    while subprocess.run([sys.executable, script], check=False).returncode:
        # Workers of the killed run may hold the folder for the moment it takes them to notice.
        assert time.monotonic() < deadline
    assert all((parts / name).read_bytes() == data for name, data in kept.items())
    written = pl.concat([pl.read_parquet(part) for part in parts.glob("part-*")])
    assert written.height == whole.height == len(paths) * 11 * 2
    assert written.select(KEY).is_unique().all()
    assert load(out).drop(VARYING).equals(whole.drop(VARYING))


def test_a_run_says_under_what_conditions_it_was_made(paths, tmp_path):
    run_sweep(plan(paths[:1]), tmp_path)
    (noted,) = json.loads((tmp_path / "run.json").read_text())["plans"].values()
    assert noted["codecs"] == {"jpeg": [10, 30, 70]}
    assert noted["protocol"] == "native"
    assert {"pillow", "torch", "tamis"} <= set(noted["versions"])
    assert noted["command"] and noted["date"]
    assert Image.open(paths[0]).size == (200, 180)
