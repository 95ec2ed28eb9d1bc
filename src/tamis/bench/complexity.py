"""What a preprocessor costs beside the encoder it stands in front of: time, memory, operations."""

import json
import os
import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from tamis.bench.sweep import facts
from tamis.codecs import get_codec
from tamis.data import sample_photos
from tamis.errors import TamisError, UnknownNameError
from tamis.mirror import Progress, write_whole
from tamis.preprocessing.architectures import create_network
from tamis.preprocessing.catalogue import model_rows
from tamis.preprocessing.complexity import Complexity, layer_macs, measure
from tamis.preprocessing.export import export
from tamis.preprocessing.zoo import ZOO
from tamis.probe import Subject, probe_apart
from tamis.tasks.classify import Classify
from tamis.tasks.pixels import resize

SIZES = ((224, 224), (1920, 1080))
"""Width and height of the pictures: a classifier's input, and full HD."""
PHOTO = "motorcycle"
"""The sample photo that is resized to them (500x741 pixels)."""
ENCODERS = ("jpeg", "bpg", "hevc", "vvc", "avif", "webp")
TASK = "efficientnet_lite0"
"""A small classifier stands in the table to say how much that is."""
RUNS, SECONDS = 7, 10.0
"""Timed runs of each, and after how much processor time no further one begins."""
THREADS = 1
"""Of networks; every encoder of this package takes one."""

SHORT = {"onnxruntime": "onnx", "": "encoder"}
"""How runtimes stand in tables."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "name": pl.String,
    "runtime": pl.String,
    "threads": pl.Int64,
    "width": pl.Int64,
    "height": pl.Int64,
    "parameters": pl.Int64,
    "macs_per_pixel": pl.Float64,
    "milliseconds": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "runs": pl.Int64,
    "peak_megabytes": pl.Float64,
}
"""Columns of the measurement: median, fastest and slowest run, in milliseconds of processor time;
memory in 10^6 bytes. A network's operations are by pixel of what it is given: its own input for a
task. Null: none, or not known."""


@dataclass(frozen=True)
class Measured:
    """What `measure_models` found.

    Attributes:
        rows: a frame of `SCHEMA` and, for preprocessors, a column `times_ENCODER` with the time
            as a multiple of each encoder's for the same picture.
        conditions: machine, load, versions, command.
    """

    rows: pl.DataFrame
    conditions: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write a `.json` file with the conditions, or a `.csv` file of the rows alone."""
        check_suffix(path)
        if path.suffix == ".csv":
            text = self.rows.write_csv()
        else:
            found = {"conditions": self.conditions, "rows": self.rows.to_dicts()}
            text = json.dumps(found, indent=1, ensure_ascii=False)
        write_whole(path, text.encode())

    def tables(self) -> list[Table]:
        """For each size of picture, what each costs, and preprocessors in times of encoders."""
        tables = []
        for (width, height), part in self.rows.group_by("width", "height", maintain_order=True):
            title = f"{width}x{height}, {self.conditions['processor']}, {THREADS} thread"
            tables += [_costs(part, title), _ratios(part)]
        return tables


def check_suffix(path: Path) -> None:
    """Raise `TamisError` for a file that is neither `.json` nor `.csv`."""
    if path.suffix not in (".json", ".csv"):
        raise TamisError(f"measurements are written as .json or .csv, not to {path.name}")


def measure_models(
    sizes: Sequence[tuple[int, int]] = SIZES,
    names: Sequence[str] | None = None,
    runs: int = RUNS,
    seconds: float = SECONDS,
    progress: Progress = lambda done, total: None,
) -> Measured:
    """Measure every preprocessor, a classifier and every encoder, each in a process of its own.

    Networks without weights are measured as they are: their time does not depend on the values.

    Args:
        sizes: widths and heights of the picture, a real photo resized.
        names: of some models, instead of all; encoders are always measured, for the ratios.
        runs: how many runs are timed, after one that is not.
        seconds: of processor time, after which no further run begins, past the second.
        progress: called with measurements done and all there are.

    Raises:
        UnknownNameError: no model of a name.
    """
    known = [TASK, *(row.name for row in model_rows())]
    for name in names or ():
        if name not in known:
            raise UnknownNameError("model to measure", name, known)
    found: list[dict[str, Any]] = []
    conditions = facts() | {"processor": _processor(), "cores": os.cpu_count()}
    conditions["load"] = os.getloadavg()[0]
    with _subjects(names) as subjects:
        counts = _operations({subject.name for subject in subjects})
        total = len(subjects) * len(sizes)
        for width, height in sizes:
            image = resize(sample_photos()[PHOTO], width, height)
            for subject in subjects:
                cost = probe_apart(subject, image, runs, seconds, THREADS)
                times = 1000 * np.array(cost.seconds)
                operations = counts.get(subject.name)
                found.append(
                    {
                        "kind": subject.kind,
                        "name": subject.name,
                        "runtime": subject.runtime,
                        "threads": THREADS,
                        "width": width,
                        "height": height,
                        "parameters": operations and operations.parameters,
                        "macs_per_pixel": operations and operations.macs_per_pixel,
                        "milliseconds": float(np.median(times)),
                        "low": float(times.min()),
                        "high": float(times.max()),
                        "runs": len(times),
                        "peak_megabytes": cost.peak_bytes and cost.peak_bytes / 1e6,
                    }
                )
                progress(len(found), total)
    return Measured(with_ratios(pl.DataFrame(found, schema=SCHEMA)), conditions)


def with_ratios(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` of `SCHEMA` with `times_ENCODER`: how often that encoder codes the same picture."""
    encoders = rows.filter(kind="encoder")
    for name in encoders["name"].unique(maintain_order=True):
        own = encoders.filter(name=name).select("width", "height", own="milliseconds")
        times = pl.when(kind="preprocessor").then(pl.col("milliseconds") / pl.col("own"))
        rows = rows.join(own, on=["width", "height"], how="left", maintain_order="left")
        rows = rows.with_columns(times.alias(f"times_{name}")).drop("own")
    return rows


@contextmanager
def _subjects(names: Sequence[str] | None) -> Iterator[list[Subject]]:
    """What is measured; untrained networks are exported to a folder that goes at the end."""
    with TemporaryDirectory() as folder:
        subjects: list[Subject] = []
        for row in model_rows():
            if names is not None and row.name not in names:
                continue
            directory = ZOO / row.name
            if not row.codecs:
                directory = Path(folder) / row.name
                _export(row.network, directory)
                subjects.append(Subject("preprocessor", row.name, row.name, "torch"))
            subjects.append(Subject("preprocessor", row.name, str(directory), "onnxruntime"))
        if names is None or TASK in names:
            subjects.append(Subject("task", TASK, f"classify:{TASK}", "torch"))
        subjects += [
            Subject("encoder", name, name, "")
            for name in ENCODERS
            if type(get_codec(name)).missing() is None
        ]
        yield subjects


def _export(network: str, directory: Path) -> None:
    export(
        create_network(network), directory, codecs={"jpeg": (1, 95)}, recipe="none", data="none",
        licence="Apache-2.0",
    )  # fmt: skip


def _operations(names: Collection[str]) -> dict[str, Complexity]:
    """What the networks among `names` count."""
    counts = {row.name: Complexity(row.parameters, row.macs_per_pixel) for row in model_rows()}
    return counts | ({TASK: _task_operations()} if TASK in names else {})


def _task_operations() -> Complexity:
    task = Classify(TASK)
    x = torch.zeros(1, 3, task.size, task.size)
    return measure(task.net, lambda: task.outputs(x), layer_macs, task.size**2)


def _processor() -> str:
    """The processor's own name for itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _costs(rows: pl.DataFrame, title: str) -> Table:
    # No edges and one space between columns: all of it has room in 80 columns.
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.show_edge = False
    table.add_column(no_wrap=True)
    table.add_column("in", no_wrap=True)
    ms = "ms of processor\n(fastest-slowest)"
    for name in ("parameters", "MACs\n/pixel", ms, "peak\nMB"):
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    for row in rows.iter_rows(named=True):
        if last not in (None, row["kind"]):
            table.add_section()
        last = row["kind"]
        spread = f"({_short(row['low'])}-{_short(row['high'])})"
        table.add_row(
            row["name"],
            SHORT.get(row["runtime"], row["runtime"]),
            _number(row["parameters"]),
            _number(row["macs_per_pixel"]),
            f"{_short(row['milliseconds'])} {spread}",
            _number(row["peak_megabytes"]),
        )
    return table


def _ratios(rows: pl.DataFrame) -> Table:
    encoders = [c.removeprefix("times_") for c in rows.columns if c.startswith("times_")]
    table = Table(Column(no_wrap=True), "in", title="times of an encoder", box=SIMPLE_HEAD)
    for name in encoders:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows.filter(kind="preprocessor").iter_rows(named=True):
        times = [row[f"times_{name}"] for name in encoders]
        runtime = SHORT.get(row["runtime"], row["runtime"])
        table.add_row(row["name"], runtime, *(_short(t) for t in times))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _short(value: float) -> str:
    """Two places below ten, one below a hundred, else none: `0.12`, `67.8`, `9,012`."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"
