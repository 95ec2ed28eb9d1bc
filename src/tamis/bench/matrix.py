"""The matrix of a preprocessor: its BD-rate for every task with every codec, and who loses by it.

A cell is a row of the bench's own table: the task's first smooth measure, against the plain codec.
A mean over cells would weigh tasks and codecs by how many of each happened to be asked for, so
there is none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from tamis.bench.results import Results
from tamis.bench.table import PLAIN

Verdict = Literal["saves", "open", "loses", "none"]
"""Where the 95 % interval lies: below 0, around it, above it; `none` without an interval."""


@dataclass(frozen=True)
class Cell:
    """What a preprocessor does to one task with one codec.

    Attributes:
        bd_rate: percent of the plain codec's bits at equal measure; negative saves. None where
            `reason` says why.
        low: lower end of the 95 % interval over photos; None without one.
        high: upper end of it.
        n_images: photos it was computed on.
        reason: why there is no number, in words.
    """

    bd_rate: float | None
    low: float | None
    high: float | None
    n_images: int
    reason: str | None

    @property
    def verdict(self) -> Verdict:
        """On which side of 0 the whole interval lies.

        >>> Cell(-9.0, -12.0, -6.0, 50, None).verdict, Cell(2.0, -1.0, 5.0, 50, None).verdict
        ('saves', 'open')
        """
        if self.low is None or self.high is None:
            return "none"
        return "saves" if self.high < 0 else "loses" if self.low > 0 else "open"


@dataclass(frozen=True)
class Row:
    """One task on one set of photos.

    Attributes:
        task: its spec.
        photos: name of the set.
        measure: the task's first smooth measure; empty if it has none.
        label: of the measure.
        cells: by codec.
    """

    task: str
    photos: str
    measure: str
    label: str
    cells: Mapping[str, Cell]

    @property
    def name(self) -> str:
        """The spec without the folders of a path in it."""
        return re.sub(r"[^:=]*/", "", self.task)

    @property
    def count(self) -> str:
        """How many photos its cells rest on: `50`, or `48 to 50`."""
        counts = {cell.n_images for cell in self.cells.values() if cell.bd_rate is not None}
        return " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "0"


@dataclass(frozen=True)
class Matrix:
    """Tasks by codecs, for one preprocessor that was trained on none or some of them."""

    preprocessor: str
    codecs: tuple[str, ...]
    rows: tuple[Row, ...]

    def cells(self) -> Iterator[tuple[Row, str, Cell]]:
        """Every cell with its row and codec, by codecs."""
        for codec in self.codecs:
            for row in self.rows:
                yield row, codec, row.cells[codec]

    def among(self, verdict: Verdict) -> list[tuple[Row, str, Cell]]:
        """The cells of one verdict."""
        return [found for found in self.cells() if found[2].verdict == verdict]

    def frame(self) -> pl.DataFrame:
        """One line per cell; what `matrix.csv` holds."""
        return pl.DataFrame(
            [self._line(row, codec, cell) for row, codec, cell in self.cells()], schema=SCHEMA
        )

    def _line(self, row: Row, codec: str, cell: Cell) -> dict[str, Any]:
        return {
            "preprocessor": self.preprocessor,
            "photos": row.photos,
            "task": row.task,
            "measure": row.measure,
            "codec": codec,
            "bd_rate": cell.bd_rate,
            "low": cell.low,
            "high": cell.high,
            "verdict": cell.verdict,
            "n_images": cell.n_images,
            "reason": cell.reason,
        }


SCHEMA: dict[str, type[pl.DataType]] = {
    "preprocessor": pl.String,
    "photos": pl.String,
    "task": pl.String,
    "measure": pl.String,
    "codec": pl.String,
    "bd_rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "verdict": pl.String,
    "n_images": pl.Int64,
    "reason": pl.String,
}
"""Columns of `Matrix.frame`."""


def matrix_of(parts: Mapping[str, Results], preprocessor: str, codecs: Sequence[str]) -> Matrix:
    """The matrix of `preprocessor` from bench results of several sets of photos.

    Args:
        parts: results by the name of their photos; all have the preprocessor and the codecs.
        preprocessor: its spec.
        codecs: specs, the columns.
    """
    rows = [
        _row(results, task, photos, preprocessor, codecs)
        for photos, results in parts.items()
        for task in results.measures
    ]
    return Matrix(preprocessor, tuple(codecs), tuple(rows))


def _row(results: Results, task: str, photos: str, preprocessor: str, codecs: Sequence[str]) -> Row:
    smooth = [(name, m.label) for name, m in results.measures[task].items() if m.smooth]
    if not smooth:
        empty = _empty("the task has no smooth measure")
        return Row(task, photos, "", "", dict.fromkeys(codecs, empty))
    measure, label = smooth[0]
    lines = results.table.filter(
        task=task, measure=measure, anchor=PLAIN, preprocessor=preprocessor
    )
    found = {line["codec"]: _cell(line) for line in lines.iter_rows(named=True)}
    cells = {
        codec: found.get(codec) or _empty(_absent(results, preprocessor, codec, measure))
        for codec in codecs
    }
    return Row(task, photos, measure, label, cells)


def _cell(line: Mapping[str, Any]) -> Cell:
    reason = line["reason"]
    if reason is None and line["low"] is None:
        reason = "too few resamples of the photos have curves that can be compared"
    return Cell(line["bd_rate"], line["low"], line["high"], line["n_images"], reason)


def _empty(reason: str) -> Cell:
    return Cell(None, None, None, 0, reason)


def _absent(results: Results, preprocessor: str, codec: str, measure: str) -> str:
    """Why the table has no line at all: nothing was coded, or nothing could be scored."""
    for setting, reason in results.noted["skipped"].items():
        if setting.startswith(f"{preprocessor} with {codec} "):
            return str(reason)
    return f"no photo has a value of {measure}"
