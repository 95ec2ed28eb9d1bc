"""What the commands share: the two streams, options, a progress bar, and how an error looks."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamis.mirror import Progress

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)

Sources = Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", show_default=False)]


def photos_in(paths: Sequence[Path]) -> list[Path]:
    """Every photo in `paths`, files and folders.

    Raises:
        TamisError: a path that does not exist, or holds no photo.
    """
    from tamis.data import list_photos

    return [photo for path in paths for photo in list_photos(path)]


def split(text: str) -> list[str]:
    """`"a, b"` as `["a", "b"]`."""
    return [part.strip() for part in text.split(",") if part.strip()]


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """A bar on standard error while it is a terminal; called with files done and all there are."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


def line(text: str) -> None:
    """One red line on standard error."""
    ERR.print(" ".join(text.split()), style="red", soft_wrap=True, markup=False)


def fail(text: str) -> None:
    """Say why in one red line, and exit with 1."""
    line(f"tamis: {text}")
    sys.exit(1)
