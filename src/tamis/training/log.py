"""CSV logs that a resumed run continues: rows past the checkpoint are dropped, not repeated."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


class CsvLog:
    """Appends rows with a `step` column to a CSV file, whole lines at a time.

    Args:
        path: the file; its folder exists.
        columns: names after `step`; a row may leave columns out.
        finished: steps that the run has behind it; rows of later steps are removed.
    """

    def __init__(self, path: Path, columns: Sequence[str], finished: int) -> None:
        self.path = path
        self.columns = ["step", *columns]
        kept: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                # A row that a kill cut short has no step or too few columns.
                kept = [
                    row
                    for row in csv.DictReader(file)
                    if None not in row.values() and int(row["step"]) <= finished
                ]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def write(self, step: int, row: Mapping[str, object]) -> None:
        """Append one row; numbers are written with six significant digits."""
        texts = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow({"step": step, **texts})
