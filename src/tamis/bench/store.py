"""A run folder: rows in Parquet parts that appear whole or not at all, references, conditions.

```
run/
  parts/part-00001.parquet ...   one row per (item, task); measures are columns, records a list
  references/<digest>/<id>.npy   what a task says of a photo before coding
  run.json                       the plans that ran here and the measures of their tasks
```
A part is written beside its place and renamed, so a killed run leaves no half part and the keys of
all parts say what is done. No pickle anywhere.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tamis.bench.plan import Plan, digest
from tamis.errors import TamisError
from tamis.tasks.base import Measure

COLUMNS: dict[str, type[pl.DataType]] = {
    "image": pl.String,
    "image_id": pl.String,
    "label": pl.String,
    "codec": pl.String,
    "quality": pl.Int64,
    "preprocessor": pl.String,
    "protocol": pl.String,
    "prepared_for": pl.String,
    "task": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bytes": pl.Int64,
    "bpp": pl.Float64,
    "seconds_preprocess": pl.Float64,
    "psnr": pl.Float64,
    "ms_ssim": pl.Float64,
}
"""The columns of every run; the measures of its tasks follow, as Float64."""

RECORD = "record"
"""The column of what a photo contributes to pooled measures; null for tasks without."""

KEY = ["image_id", "label", "codec", "quality", "preprocessor", "protocol", "prepared_for", "task"]
"""What a row is about; no two rows of a run agree in all of it."""


class RunFolder:
    """One folder of results, which several plans may share."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.parts = self.folder / "parts"
        self._conditions = self.folder / "run.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one writer; the lock goes with its process, however that ends.

        Raises:
            TamisError: another process is writing here, or the folder cannot be made.
        """
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TamisError(f"{self.folder} cannot be a run folder: {error.strerror}") from error
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise TamisError(f"another bench is writing to {self.folder}") from error
            yield

    def load(self) -> pl.DataFrame:
        """All rows, sorted by key, measures of other tasks null; empty before the first part."""
        parts = [pl.read_parquet(part) for part in sorted(self.parts.glob("part-*.parquet"))]
        return pl.concat([pl.DataFrame(schema=COLUMNS), *parts], how="diagonal").sort(KEY)

    def append(self, rows: pl.DataFrame) -> None:
        """Write `rows` as the next part."""
        taken = [int(part.stem.split("-")[1]) for part in self.parts.glob("part-*.parquet")]
        part = self.parts / f"part-{max(taken, default=0) + 1:05d}.parquet"
        beside = part.with_name(f".{part.name}")
        rows.write_parquet(beside)
        beside.replace(part)

    def reference_path(self, plan: Plan, task: str, image_id: str) -> Path:
        """Where the prediction of `task` for an uncompressed photo of `plan` is kept."""
        kind = digest(task, plan.protocol, plan.prepared_for)
        return self.folder / "references" / kind / f"{image_id}.npy"

    def read_reference(self, plan: Plan, task: str, image_id: str) -> npt.NDArray[np.float32]:
        """The prediction that `write_reference` kept."""
        array: npt.NDArray[np.float32] = np.load(
            self.reference_path(plan, task, image_id), allow_pickle=False
        )
        return array

    def write_reference(
        self, plan: Plan, task: str, image_id: str, row: npt.NDArray[np.float32]
    ) -> None:
        """Keep one row of predictions."""
        path = self.reference_path(plan, task, image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.stem}-{os.getpid()}.npy")
        np.save(beside, row, allow_pickle=False)
        beside.replace(path)

    def note(self, plan: Plan, measures: Mapping[str, Mapping[str, Measure]], **facts: Any) -> None:
        """Write down a plan, the measures of its tasks and facts such as versions."""
        noted = self.conditions()
        for task, named in measures.items():
            noted["measures"][task] = {name: asdict(m) for name, m in named.items()}
        noted["plans"][plan.fingerprint] = {
            "photos": len(plan.photos),
            "tasks": list(plan.tasks),
            "codecs": {codec: list(q) for codec, q in plan.qualities.items()},
            "preprocessors": list(plan.preprocessors),
            "protocol": plan.protocol,
            "prepared_for": plan.prepared_for,
            **facts,
        }
        beside = self._conditions.with_name(".run.json")
        beside.write_text(json.dumps(noted, indent=1, ensure_ascii=False), encoding="utf-8")
        beside.replace(self._conditions)

    def conditions(self) -> dict[str, dict[str, Any]]:
        """What `note` wrote: `plans` by fingerprint, `measures` by task."""
        if not self._conditions.exists():
            return {"plans": {}, "measures": {}}
        read: dict[str, dict[str, Any]] = json.loads(self._conditions.read_text(encoding="utf-8"))
        return read

    def measures(self) -> dict[str, dict[str, Measure]]:
        """The measures of every task that ran here."""
        return {
            task: {name: Measure(**fields) for name, fields in named.items()}
            for task, named in self.conditions()["measures"].items()
        }


def load(run: Path | str) -> pl.DataFrame:
    """All rows of a run folder, sorted by key.

    Raises:
        TamisError: `run` is not a run folder.
    """
    if not (Path(run) / "parts").is_dir():
        raise TamisError(f"{run} is not the folder of a bench run: it has no parts/")
    return RunFolder(run).load()


def of_plan(rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The rows of `plan` among all rows of a folder."""
    labels = {photo.id: photo.label_name for photo in plan.photos}
    settings = pl.DataFrame(
        [(codec, quality) for codec, ladder in plan.qualities.items() for quality in ladder],
        schema={"codec": pl.String, "quality": pl.Int64},
        orient="row",
    )
    of_photo = pl.col("image_id").replace_strict(labels, default="", return_dtype=pl.String)
    return rows.filter(
        pl.col("image_id").is_in(list(labels)),
        # Rows of before there was this column have none, and the label that the name tells.
        pl.col("label").fill_null(of_photo) == of_photo,
        pl.col("preprocessor").is_in(list(plan.preprocessors)),
        pl.col("task").is_in(list(plan.tasks)),
        protocol=plan.protocol,
        prepared_for=plan.prepared_for,
    ).join(settings, on=["codec", "quality"], how="semi", maintain_order="left")
