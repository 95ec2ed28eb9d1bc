"""A matrix in words: the verdict in a line, and the table in Markdown."""

from collections.abc import Sequence
from itertools import groupby

from tamis.bench.matrix import Cell, Matrix, Row

_Found = Sequence[tuple[Row, str, Cell]]


def verdict(matrix: Matrix) -> str:
    """Whether any cell loses, how many save, and the names of all that do not."""
    saves, contain, loses, empty = (
        matrix.among(kind) for kind in ("saves", "open", "loses", "none")
    )
    judged = len(saves) + len(contain) + len(loses)
    if not judged:
        head = "no cell has an interval"
    elif loses:
        head = f"{len(loses)} of {judged} cells {'loses' if len(loses) == 1 else 'lose'}"
    else:
        head = f"no cell of {judged} loses"
    parts = [
        f"{len(saves)} below 0 with the whole 95 % interval",
        f"{len(contain)} contain 0{_named(matrix, contain)}",
        f"{len(loses)} above 0{_named(matrix, loses)}",
    ]
    if empty:
        parts.append(f"{len(empty)} without an interval{_named(matrix, empty)}")
    return f"'{matrix.preprocessor}': {head}. {'; '.join(parts)}."


def markdown(matrix: Matrix) -> str:
    """A table for the documentation: intervals that do not hold 0 in bold, reasons beneath it."""
    notes = [reason for reason, _ in reasons(matrix)]
    lines = [
        ["task", "photos", "at equal", *matrix.codecs],
        ["---"] * 3 + ["---:"] * len(matrix.codecs),
    ]
    for row in matrix.rows:
        cells = [_written(row.cells[codec], notes) for codec in matrix.codecs]
        lines.append([f"`{row.name}`", f"{row.photos}, {row.count}", row.measure, *cells])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "".join(f"\n[{i}] {reason}.\n" for i, reason in enumerate(notes, 1))


def reasons(matrix: Matrix) -> list[tuple[str, str]]:
    """Why cells have no value or no interval, each reason with the cells it holds for."""
    found: dict[str, list[tuple[Row, str, Cell]]] = {}
    for one in matrix.cells():
        if one[2].reason is not None:
            found.setdefault(one[2].reason, []).append(one)
    return [(reason, _listed(matrix, cells)) for reason, cells in found.items()]


def _written(cell: Cell, notes: Sequence[str]) -> str:
    value = "none" if cell.bd_rate is None else f"{cell.bd_rate:+.1f} %"
    if cell.reason is not None:
        return f"{value} [{notes.index(cell.reason) + 1}]"
    interval = f"({cell.low:+.1f} to {cell.high:+.1f})"
    return f"{value} {interval}" if cell.verdict == "open" else f"**{value}** {interval}"


def _named(matrix: Matrix, found: _Found) -> str:
    return f" ({_listed(matrix, found)})" if found else ""


def _listed(matrix: Matrix, found: _Found) -> str:
    """`jpeg: a, b; avif: every task`; photos are named where a task stands on several sets."""
    several = len({row.name for row in matrix.rows}) < len(matrix.rows)
    parts = []
    for codec, group in groupby(found, key=lambda one: one[1]):
        names = [f"{row.name} on {row.photos}" if several else row.name for row, _, _ in group]
        everything = len(names) == len(matrix.rows) > 1
        parts.append(f"{codec}: {'every task' if everything else ', '.join(names)}")
    return "; ".join(parts)
