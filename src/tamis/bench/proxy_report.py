"""`tamis proxy`: the tables of `proxy_measure`, printed and written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from tamis.bench.proxy_measure import ProxyTables, measure
from tamis.data import list_photos, load_photo
from tamis.mirror import write_whole
from tamis.tasks.pixels import centre_crop

SIDE = 224


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
    console.print(_table(found.rows, f"Proxies against real files, {len(paths)} photos"))
    console.print(_table(found.summary, "Means over the qualities; ms a photo"))
    if out is not None:
        _write(found, out)
        console.print(f"written: {out / 'proxy.csv'}, {out / 'proxy.json'}", soft_wrap=True)
    return found


def _write(found: ProxyTables, folder: Path) -> None:
    """`proxy.csv`, the rows, and `proxy.json`, rows and summary."""
    content = {"summary": found.summary.to_dicts(), "rows": found.rows.to_dicts()}
    write_whole(folder / "proxy.csv", found.rows.write_csv().encode())
    write_whole(folder / "proxy.json", json.dumps(content, indent=1).encode())


def _table(frame: pl.DataFrame, title: str) -> Table:
    """Numbers with three digits, a column a number; intervals are for the files."""
    names = [name for name in frame.columns if not name.endswith(("_low", "_high"))]
    shown = Table(title=title)
    for name in names:
        # Words of a heading stand on lines of their own: ten columns fit into a terminal.
        left = name in ("codec", "proxy")
        shown.add_column(name.replace("_", "\n"), justify="left" if left else "right")
    for row in frame.select(names).iter_rows():
        shown.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    return shown
