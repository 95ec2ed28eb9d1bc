"""What a bench run found: the table for a terminal, and one honest sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from tamis.bench.curves import PIXELS
from tamis.bench.table import BEST_DOWNSCALE, PLAIN, is_baseline
from tamis.tasks.base import Measure


@dataclass(frozen=True)
class Results:
    """Everything a bench run leaves behind.

    Attributes:
        run: the run folder.
        rows: one per (item, task).
        curves: mean curves.
        table: BD-rates, see `tamis.bench.table.SCHEMA`.
        measures: of each task.
        report: the HTML file.
        files: figures and CSV files.
        noted: the plan and its conditions, from `run.json`.
    """

    run: Path
    rows: pl.DataFrame
    curves: pl.DataFrame
    table: pl.DataFrame
    measures: Mapping[str, Mapping[str, Measure]]
    report: Path
    files: tuple[Path, ...]
    noted: Mapping[str, Any]

    @property
    def headline(self) -> pl.DataFrame:
        """The table's rows for the first smooth measure of each task, and those marked for it."""
        return headline(self.table, self.measures)

    def rich_table(self) -> Table:
        """The headline as a table for the terminal: a row per task and preprocessor."""
        return rich_table(self.headline)

    def sentence(self) -> str:
        """What was saved, on which photos, judged by the task that gains least."""
        return sentence(self.headline, self.measures)


def headline(table: pl.DataFrame, measures: Mapping[str, Mapping[str, Measure]]) -> pl.DataFrame:
    """Rows of the BD-rate table for the first smooth measure of each task, and those marked."""
    first = {
        task: next((name for name, m in named.items() if m.smooth), None)
        for task, named in measures.items()
    }
    chosen = pl.DataFrame(
        [
            (task, name)
            for task, named in measures.items()
            for name, measure in named.items()
            if name == first[task] or measure.headline
        ],
        schema={"task": pl.String, "measure": pl.String},
        orient="row",
    )
    return table.filter(pl.col("task") != PIXELS).join(
        chosen, on=["task", "measure"], how="semi", maintain_order="left"
    )


def rich_table(rows: pl.DataFrame) -> Table:
    """One line per (task, anchor, preprocessor), one column per codec."""
    codecs = rows["codec"].unique(maintain_order=True).to_list()
    counts = [str(n) for n in rows["n_images"].unique().sort()]
    photos = " to ".join(dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
    protocol = ", ".join(rows["protocol"].unique().sort().to_list())
    table = Table(
        title=f"BD-rate (95 % interval), {photos} photos, protocol {protocol}; negative saves bits"
    )
    for name in ("task", "at equal", "preprocessor", "against"):
        table.add_column(name, overflow="fold")
    for codec in codecs:
        table.add_column(codec, justify="right")
    about = ["task", "measure", "preprocessor", "anchor"]
    last = None
    for key, group in rows.group_by(about, maintain_order=True):
        cells = {row["codec"]: _cell(row) for row in group.iter_rows(named=True)}
        if last is not None and key[0] != last:
            table.add_section()
        last = key[0]
        table.add_row(*map(str, key), *(cells.get(codec, Text("")) for codec in codecs))
    return table


def _cell(row: Mapping[str, object]) -> Text:
    if row["bd_rate"] is None:
        return Text("refused", style="dim")
    value, low, high = row["bd_rate"], row["low"], row["high"]
    text = f"{value:+.1f} %"
    if low is None or high is None:
        return Text(text)
    style = "green" if float(str(high)) < 0 else "red" if float(str(low)) > 0 else ""
    return Text(f"{text} ({low:+.1f} to {high:+.1f})", style=style)


def sentence(rows: pl.DataFrame, measures: Mapping[str, Mapping[str, Measure]]) -> str:
    """One sentence about the preprocessor that saves most on the task where it saves least.

    Saved is said only where the whole 95 % interval lies below zero.
    """
    plain = rows.filter(pl.col("anchor") == PLAIN)
    names = plain["preprocessor"].unique(maintain_order=True).to_list()
    candidates = [n for n in names if not is_baseline(n) and n != BEST_DOWNSCALE]
    candidates = candidates or [n for n in names if n != BEST_DOWNSCALE]
    worst = {name: _worst_by_codec(plain.filter(preprocessor=name)) for name in candidates}
    judged = {name: by_codec for name, by_codec in worst.items() if by_codec}
    if not judged:
        reasons = plain["reason"].drop_nulls().to_list()
        return (
            "No saving could be computed: "
            + (reasons[0] if reasons else "nothing to compare")
            + "."
        )

    def mean(by_codec: Mapping[str, Mapping[str, object]]) -> float:
        return sum(float(str(row["bd_rate"])) for row in by_codec.values()) / len(by_codec)

    # A preprocessor that could be judged with more codecs is the better evidence.
    best = min(judged, key=lambda name: (-len(judged[name]), mean(judged[name])))
    parts = [_part(codec, row) for codec, row in judged[best].items()]
    first = next(iter(judged[best].values()))
    refused = [c for c in plain["codec"].unique(maintain_order=True) if c not in judged[best]]
    tail = f"; with {', '.join(refused)} it could not be judged" if refused else ""
    scope = f"for the same {first['label']}"
    if rows.select("task", "measure").n_unique() > 1:
        least = "task" if len(measures) > 1 else "measure"
        scope = f"at equal task measure, judged for each codec by the {least} that gains least"
    return (
        f"On these {first['n_images']} photos (protocol {first['protocol']}), '{best}' "
        f"{', '.join(parts)} {scope}, against the same codec without it{tail}."
    )


def _worst_by_codec(rows: pl.DataFrame) -> dict[str, dict[str, object]]:
    """For each codec the task with the highest BD-rate; none where a task could not be judged."""
    worst = {}
    for (codec,), group in rows.group_by("codec", maintain_order=True):
        if group.height and not group["bd_rate"].null_count():
            worst[str(codec)] = group.sort("bd_rate", descending=True).row(0, named=True)
    return worst


def _part(codec: str, row: Mapping[str, object]) -> str:
    value = float(str(row["bd_rate"]))
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return f"changes the bits of {codec} by {value:+.0f} % (no interval)"
    interval = f"95 % interval {low:+.0f} to {high:+.0f} %"
    if float(str(high)) < 0:
        interval = f"95 % interval {-float(str(high)):.0f} to {-float(str(low)):.0f} %"
        return f"saves {-value:.0f} % of the bits of {codec} ({interval})"
    if float(str(low)) > 0:
        return f"costs {value:.0f} % more bits with {codec} ({interval})"
    return f"shows no proven saving with {codec} ({value:+.0f} %, {interval})"
