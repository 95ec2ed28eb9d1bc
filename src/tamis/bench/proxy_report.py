"""`tamis proxy`: the tables of `proxy_measure`, printed and written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from tamis.bench.proxy_measure import ProxyTables, measure
from tamis.data import list_photos, load_photo
from tamis.mirror import write_whole
from tamis.tasks.pixels import centre_crop

SIDE = 224
PREDICTION = (
    *("ratio", "slope", "bd_rate", "bd_rate_calibrated", "milliseconds"),
    *("slope_correlation", "error", "correlation"),
)
GRADIENTS = ("rate_cosine", "error_cosine", "change_cosine")


def report(
    photos: Sequence[Path],
    codecs: Sequence[str],
    console: Console,
    proxies: Sequence[str] = ("dct",),
    qualities: Mapping[str, Sequence[int]] | None = None,
    directions: int = 0,
    out: Path | None = None,
) -> ProxyTables:
    """Print `measure` for the central squares of photos, resized to 224 pixels.

    Args:
        photos: files, or folders that are searched.
        codecs: codec specs.
        console: where the tables go.
        proxies: names, see `get_proxy`.
        qualities: by codec spec.
        directions: as in `measure`.
        out: a folder for `proxy.csv` and `proxy.json`.

    Raises:
        TamisError: as `measure`, or a photo that cannot be read.
    """
    paths = [
        p for source in photos for p in ([source] if source.is_file() else list_photos(source))
    ]
    images = [centre_crop(load_photo(path), SIDE, 1.0) for path in paths]
    found = measure(images, codecs, proxies, qualities, directions)
    console.print(f"{len(paths)} photos; of a summary's values the means over the qualities")
    for frame in (found.rows, found.summary):
        for names in (PREDICTION, GRADIENTS):
            if names[-1] in frame.columns:
                console.print(_table(frame, names))
    if out is not None:
        _write(found, out)
        console.print(f"written: {out / 'proxy.csv'}, {out / 'proxy.json'}", soft_wrap=True)
    return found


def _write(found: ProxyTables, folder: Path) -> None:
    """`proxy.csv`, the rows, and `proxy.json`, rows and summary."""
    content = {"summary": found.summary.to_dicts(), "rows": found.rows.to_dicts()}
    write_whole(folder / "proxy.csv", found.rows.write_csv().encode())
    write_whole(folder / "proxy.json", json.dumps(content, indent=1).encode())


def _table(frame: pl.DataFrame, names: Sequence[str]) -> Table:
    """Those of the columns `names` that there are; a summary's cosines with their intervals."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    kept = [n for n in ("codec", "proxy", "quality", *names) if n in frame.columns]
    for name in kept:
        # Words of a heading stand on lines of their own, so that all columns fit a terminal.
        heading, named = name.replace("_", "\n"), name in ("codec", "proxy")
        justify: Literal["left", "right"] = "left" if named else "right"
        shown.add_column(heading, justify=justify, no_wrap=not named, overflow="fold")
    for row in frame.iter_rows(named=True):
        shown.add_row(*(_cell(row, name) for name in kept))
    return shown


def _cell(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(row[name], float):
        return str(row[name])
    if name not in GRADIENTS or "quality" in row:
        return f"{row[name]:.3f}"
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
