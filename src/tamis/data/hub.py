"""Datasets of the Hugging Face hub, or saved by its library, as photos with labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tamis.data.sources import LabelledPhoto
from tamis.errors import MissingPackageError, TamisError


@dataclass(frozen=True)
class Table:
    """One split of a dataset.

    Attributes:
        name: on the hub, or a folder that `save_to_disk` wrote.
        split: `train`, `validation`.
        config: of the dataset, where it has several.
        image: the column of pictures.
    """

    name: str
    split: str
    config: str | None
    image: str


@dataclass(frozen=True)
class TableSource:
    """The picture in one row of a table."""

    table: Table
    row: int

    @property
    def name(self) -> str:
        """Number of the row."""
        return f"{self.row:06d}"

    @property
    def place(self) -> str:
        """Dataset, split and row."""
        return f"{self.table.name}/{self.table.split}/{self.name}"

    def read(self) -> bytes:
        """The picture's file, as it is in the dataset."""
        picture = open_table(self.table)[self.row][self.table.image]
        if picture["bytes"] is not None:
            return bytes(picture["bytes"])
        try:
            return Path(picture["path"]).read_bytes()
        except OSError as error:
            raise TamisError(f"{self.place} cannot be read: {error.strerror}") from error


def table_photos(table: Table, label: str | None = None) -> list[LabelledPhoto]:
    """Every row of a table.

    Args:
        table: which.
        label: the column of classes, numbers; `label` where there is one and None is given.

    Raises:
        MissingPackageError: the library `datasets` is not installed.
        TamisError: there is no such dataset, split or column, or the hub does not answer.
    """
    rows = open_table(table)
    if label is not None and label not in rows.column_names:
        raise TamisError(_no_column(table, label, rows.column_names))
    column = label or ("label" if "label" in rows.column_names else None)
    classes = rows[column] if column else [None] * len(rows)
    return [
        LabelledPhoto(TableSource(table, row), _class(known)) for row, known in enumerate(classes)
    ]


@lru_cache(maxsize=8)
def open_table(table: Table) -> Any:
    """The rows of a table, pictures not decoded; kept open in this process."""
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError(
            "Hugging Face datasets need their library: pip install 'tamis[hf]'"
        ) from error
    try:
        rows = _load(datasets, table)
    except Exception as error:
        raise TamisError(
            f"dataset {table.name}, split {table.split}: {str(error).splitlines()[0]}"
        ) from error
    if table.image not in rows.column_names:
        raise TamisError(_no_column(table, table.image, rows.column_names))
    return rows.cast_column(table.image, datasets.Image(decode=False))


def _load(datasets: Any, table: Table) -> Any:
    if Path(table.name).is_dir() and not table.config:
        found = datasets.load_from_disk(table.name)
        return found[table.split] if isinstance(found, datasets.DatasetDict) else found
    with hub_asked_once():
        return datasets.load_dataset(table.name, table.config, split=table.split)


@contextmanager
def hub_asked_once() -> Iterator[None]:
    """The hub's offline mode (cache alone) while it does not answer.

    Its client knocks again for a minute before it gives up, and does so for every file.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    before = constants.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _class(known: object) -> int | None:
    """A class as a number; -1 stands for none where a hub's test split hides its labels."""
    return known if isinstance(known, int) and known >= 0 else None


def _no_column(table: Table, column: str, known: list[str]) -> str:
    return f"dataset {table.name} has no column '{column}'; it has {', '.join(known)}"
