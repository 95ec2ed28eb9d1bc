"""Rate-measure curves as figures: one per codec, a panel per task and smooth measure."""

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tamis.bench.curves import axis_of, with_pixels
from tamis.bench.table import PLAIN, is_baseline
from tamis.tasks.base import Measure

STRONG = ("#2f6fed", "#e0457b", "#12a071", "#e08a00", "#8b5cf6", "#0ea5b7")
MUTED = ("#a3a3a3", "#b8a07e", "#8fa7bf", "#b59cb5", "#9db08f", "#c2a5a0")
"""Preprocessors that know a task are drawn in strong colours, baselines in muted ones."""
PLAIN_COLOUR = "#76859b"
MARKERS = "osD^vPX"
FRAME = "#8b93a1"

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tamis",
    "font.size": 10,
    "axes.edgecolor": FRAME,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FRAME,
    "grid.alpha": 0.22,
    "xtick.color": FRAME,
    "ytick.color": FRAME,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
}
"""Matplotlib settings of every figure of the package."""


def codec_figure(
    curves: pl.DataFrame, codec: str, measures: Mapping[str, Mapping[str, Measure]]
) -> Figure:
    """The curves of one codec, a row of panels per task; up and left is better in every panel.

    Args:
        curves: from `mean_curves`.
        codec: its spec.
        measures: of each task.
    """
    known = with_pixels(measures)
    here = curves.filter(codec=codec)
    present = set(here.select("task", "measure").iter_rows())
    rows = [
        (task, [(n, m) for n, m in named.items() if m.smooth and (task, n) in present])
        for task, named in known.items()
    ]
    rows = [(task, named) for task, named in rows if named]
    columns = max(len(named) for _, named in rows)
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(5.2 * columns, 3.5 * len(rows) + 0.7),
            layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.08),
        )
        grid = figure.subplots(len(rows), columns, squeeze=False)
        colours = preprocessor_styles(curves["preprocessor"].unique().to_list())
        for line, (task, named) in zip(grid, rows, strict=True):
            for axes in line[len(named) :]:
                axes.remove()
            for axes, (name, measure) in zip(line, named, strict=False):
                points = here.filter(task=task, measure=name)
                _panel(axes, points, task, name, measure, colours)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 5))
    return figure


def preprocessor_styles(preprocessors: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of each preprocessor, the same in every figure of a report."""
    ordered = sorted(preprocessors, key=lambda n: (n != PLAIN, not is_baseline(n), n))
    styles: dict[str, dict[str, Any]] = {}
    muted = strong = 0
    for i, name in enumerate(ordered):
        style: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)]}
        if name == PLAIN:
            style |= {"color": PLAIN_COLOUR, "linewidth": 1.8, "linestyle": "--"}
        elif is_baseline(name):
            style |= {"color": MUTED[muted % len(MUTED)], "linewidth": 1.3}
            muted += 1
        else:
            style |= {"color": STRONG[strong % len(STRONG)], "linewidth": 2.2}
            strong += 1
        styles[name] = style
    return styles


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `name.png` (160 dpi) and `name.svg`, on white."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with mpl.rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=160, facecolor="white")
    return paths


def slug(spec: str) -> str:
    """A spec as part of a file's name.

    >>> slug("jpeg:subsampling=444")
    'jpeg-subsampling-444'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", spec).strip("-")


def inline_svg(figure: Figure) -> str:
    """The figure as an SVG element without background, whose text takes the page's font and ink."""
    out = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()[out.getvalue().index("<svg") :]
    svg = re.sub(r'(<svg [^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def _panel(
    axes: Axes,
    points: pl.DataFrame,
    task: str,
    name: str,
    measure: Measure,
    styles: Mapping[str, Mapping[str, Any]],
) -> None:
    axis = axis_of(name, measure)
    for preprocessor, style in styles.items():
        own = points.filter(preprocessor=preprocessor).sort("rate")
        if not own.height:
            continue
        value, error = own["value"].to_numpy(), own["error"].fill_null(0.0).to_numpy()
        low, high = value - error, value + error
        if axis == "log_complement":
            value, low, high = (_decibel(v) for v in (value, low, high))
        if axis == "log":
            low = np.maximum(low, value / 3)
        axes.fill_between(own["rate"], low, high, color=style["color"], alpha=0.10, linewidth=0)
        axes.plot(own["rate"], value, label=preprocessor, markersize=4.5, **style)
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    if axis == "log":
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
        axes.invert_yaxis()
    axes.set_xlabel("rate (bits per source pixel)")
    axes.set_title(task, loc="left", fontsize=10, fontweight="bold")
    label = f"{measure.label} (dB)" if axis == "log_complement" else measure.label
    axes.set_ylabel(textwrap.fill(label, 36))


def _decibel(similarity: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    return -10 * np.log10(np.maximum(1 - similarity, 1e-9))


def _plain_ticks(axis: Any) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
