"""The figures of an explanation: focus, bits, and what was removed."""

import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tamis.analysis.explain import ORIGINAL, Explanation
from tamis.analysis.focus import AREA, compare, focus_area
from tamis.analysis.removed import BANDS
from tamis.bench.figures import STYLE

_WIDTH = 3.6  # inches of one picture


def panels(found: Explanation) -> dict[str, Figure]:
    """Every figure the explanation allows, by name."""
    with mpl.rc_context({**STYLE, "axes.grid": False, "font.size": 9}):
        drawn = {"removed": removed_figure(found)}
        if all(version.bits is not None for version in found.versions):
            drawn = {"bits": bits_figure(found), **drawn}
        if found.looks:
            drawn = {"focus": focus_figure(found), **drawn}
    return drawn


def focus_figure(found: Explanation) -> Figure:
    """A row for each task: its map over the original, compressed, filtered and compressed photo."""
    figure, grid = _grid(found, len(found.looks), 3)
    images = {ORIGINAL: found.original, **{v.name: v.image for v in found.versions}}
    for row, looks in zip(grid, found.looks, strict=True):
        for axes, (name, focus) in zip(row, looks.maps.items(), strict=True):
            axes.imshow(images[name])
            axes.imshow(focus, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
            area = focus_area(focus)
            if area.any() and not area.all():
                axes.contour(area, levels=[0.5], colors="white", linewidths=1.2)
            title = [f"{name}: {looks.says[name]}" if looks.says[name] else name]
            if name == ORIGINAL:
                title = [_short(looks.name), *title]
            else:
                same = compare(focus, looks.maps[ORIGINAL])
                title.append(f"IoU {same.iou:.2f}, rank {same.rank:.2f} to the original")
            axes.set_title("\n".join(title), fontsize=9)
    figure.suptitle(f"Grad-CAM; in white the strongest {AREA:.0%}", fontsize=10)
    return figure


def bits_figure(found: Explanation) -> Figure:
    """Bits per pixel of both files, and where the preprocessor saved them or spent more."""
    height, width = found.original.shape[:2]
    maps = [version.bits.density(height, width) for version in found.versions if version.bits]
    figure, grid = _grid(found, 1, 3)
    top = max(float(np.quantile(values, 0.995)) for values in maps)
    for axes, version, values in zip(grid[0], found.versions, maps, strict=False):
        bpp = 8 * version.size / found.pixels
        _map(figure, axes, values, f"{version.name}\n{bpp:.3f} bpp", "magma", 0, top)
    change = maps[1] - maps[0]
    _signed(figure, grid[0, 2], change, "difference\n(blue: fewer bits)")
    return figure


def removed_figure(found: Explanation) -> Figure:
    """What filtering changed: how much, in which direction, and in which band."""
    gone = found.removed
    figure, grid = _grid(found, 2, 3)
    grid[0, 0].imshow(found.original)
    grid[0, 0].set_title(ORIGINAL, fontsize=9)
    title = f"|filtered − original|\nmean {gone.absolute.mean():.2f} grey levels"
    top = max(1.0, float(np.quantile(gone.absolute, 0.995)))
    _map(figure, grid[0, 1], gone.absolute, title, "magma", 0, top)
    _signed(figure, grid[0, 2], gone.luma, "filtered − original, luma\n(grey levels)")
    top = max(0.1, *(float(np.quantile(values, 0.995)) for values in gone.bands.values()))
    for axes, (band, (low, high)) in zip(grid[1], BANDS.items(), strict=True):
        title = f"{band} frequencies, u + v = {low}..{high}\n"
        title += f"change is {gone.shares[band]:.1%} of the original's energy"
        _map(figure, axes, gone.bands[band], title, "magma", 0, top)
    return figure


def _short(spec: str) -> str:
    """A spec without the folders of its files, cut to the width of a picture."""
    name = re.sub(r"[^:=]*/", "", spec)
    return name if len(name) <= 52 else name[:51] + "…"


def _grid(found: Explanation, rows: int, columns: int) -> tuple[Figure, Any]:
    height, width = found.original.shape[:2]
    tall = min(2.0, height / width) * _WIDTH + 0.55
    figure = Figure(figsize=(_WIDTH * columns, tall * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid


def _signed(figure: Figure, axes: Axes, values: Any, title: str) -> None:
    limit = max(1e-3, float(np.quantile(np.abs(values), 0.995)))
    _map(figure, axes, values, title, "RdBu_r", -limit, limit)


def _map(
    figure: Figure, axes: Axes, values: Any, title: str, cmap: str, low: float, high: float
) -> None:
    shown = axes.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title, fontsize=9)
    figure.colorbar(shown, ax=axes, shrink=0.7)
