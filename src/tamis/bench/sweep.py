"""The sweep: every (image, codec, quality, preprocessor) coded for real, in parallel, resumable."""

import platform
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tamis.bench.coding import Bench, Refusal
from tamis.bench.plan import Photo, Plan, Unit
from tamis.bench.store import RunFolder, of_plan
from tamis.bench.workers import Workers
from tamis.errors import TamisError

PACKAGES = (
    "tamis", "numpy", "pillow", "av", "imageio-ffmpeg", "pillow-heif", "pillow-jxl-plugin",
    "onnxruntime", "torch", "torchvision", "timm",
)  # fmt: skip
"""Packages whose versions decide a result; they are written down with it."""


def run_sweep(
    plan: Plan, out: Path | str, processes: int = 1, console: Console | None = None
) -> pl.DataFrame:
    """Measure what `plan` asks and `out` does not hold yet; return the plan's rows.

    A part is written as soon as its unit is done, so a killed run, started again, repeats only the
    units that were under way. A folder may hold the rows of several plans: what a new plan shares
    with an old one is not coded again. Rows are known by names (specs), so weights that change
    under the same name need a new folder. A preprocessor that refuses a codec or a quality is not
    coded there; its curve is shorter.

    Args:
        plan: what to measure.
        out: the run folder.
        processes: 1 works in this process; more are spawned, each with one torch thread.
        console: where the progress bar goes; None for none.

    Raises:
        TamisError: a photo that cannot be read or coded, a preprocessor that takes no codec
            and quality of the plan, a folder in use, or a worker that died.
    """
    run = RunFolder(out)
    with run.locked():
        bench = Bench(plan, run.folder)
        run.note(plan, bench.measures, **facts(), skipped={})
        done = of_plan(run.load(), plan)
        units = _remaining(plan, done)
        with Workers(bench, processes) as workers, _progress(console) as progress:
            chunks = [chunk for chunk in plan.chunks if not _referred(run, plan, chunk)]
            bar = progress.add_task("originals", total=sum(map(len, chunks)))
            for photos, _ in workers.apply(_refer, chunks):
                progress.advance(bar, len(photos))
            total = (
                len(plan.photos) * len(plan.preprocessors) * sum(map(len, plan.qualities.values()))
            )
            left = sum(len(unit.photos) for unit in units)
            bar = progress.add_task("coding", total=total, completed=max(total - left, 0))
            skipped = bench.absent
            for unit, made in workers.apply(_code, units):
                if isinstance(made, Refusal):
                    skipped[f"{unit.preprocessor} with {unit.codec} {unit.quality}"] = made.reason
                else:
                    run.append(made)
                progress.advance(bar, len(unit.photos))
        rows = of_plan(run.load(), plan)
        _check_coded(plan, rows, skipped)
        run.note(plan, bench.measures, **facts(), skipped=skipped)
        if console is not None:
            for setting, reason in skipped.items():
                console.print(f"left out: {setting}: {reason}", markup=False)
        return rows


def _check_coded(plan: Plan, rows: pl.DataFrame, skipped: dict[str, str]) -> None:
    """One that refuses some qualities has a shorter curve; one that refuses all is an error."""
    coded = set(rows["preprocessor"])
    for preprocessor in plan.preprocessors:
        if preprocessor not in coded:
            reasons = [why for what, why in skipped.items() if what.startswith(preprocessor)]
            raise TamisError(f"{preprocessor} could not be used at all: {reasons[0]}")


def _remaining(plan: Plan, done: pl.DataFrame) -> list[Unit]:
    """The units of `plan` without the (item, task) pairs that have a row."""
    settings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for image_id, codec, quality, preprocessor, task in done.select(
        "image_id", "codec", "quality", "preprocessor", "task"
    ).iter_rows():
        settings[image_id, codec, str(quality), preprocessor].add(task)
    remaining = []
    for unit in plan.units():
        split: dict[tuple[str, ...], list[Photo]] = defaultdict(list)
        for photo in unit.photos:
            has = settings[photo.id, unit.codec, str(unit.quality), unit.preprocessor]
            split[tuple(task for task in unit.tasks if task not in has)].append(photo)
        remaining += [
            replace(unit, photos=tuple(photos), tasks=tasks)
            for tasks, photos in split.items()
            if tasks
        ]
    return remaining


def _referred(run: RunFolder, plan: Plan, photos: Sequence[Photo]) -> bool:
    return all(
        run.reference_path(plan, task, photo.id).exists() for task in plan.tasks for photo in photos
    )


def _refer(bench: Bench, photos: tuple[Photo, ...]) -> None:
    bench.refer(photos)


def _code(bench: Bench, unit: Unit) -> pl.DataFrame | Refusal:
    return bench.code(unit)


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
        # Codecs differ a hundredfold in speed: only a mean over many units foretells the end.
        speed_estimate_period=1800,
    )


def facts() -> dict[str, object]:
    """What decides a result beside its plan: date, command, machine, versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
