"""A matrix as a heat map: numbers and intervals in the cells, colours centred at 0."""

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tamis.bench.figures import FRAME, STYLE
from tamis.bench.matrix import Cell, Matrix, Row

COLOURS = "PuOr_r"
"""Purple saves, orange costs: a pair that every kind of colour blindness tells apart, and whose
middle is light. Source: ColorBrewer (Harrower, Brewer, 2003)."""
LEAST_RANGE, MOST_RANGE = 10.0, 60.0
"""The colour scale reaches as far as the largest value, in percent, within these bounds."""
WIDTH, HEIGHT = 1.75, 0.78
"""Inches of a cell."""
DARK = 0.42
"""Colours with a relative luminance under this carry white text."""
INK = "#101418"
"""Text on light cells; not black, which a dark page would turn to white."""


def matrix_figure(matrix: Matrix) -> Figure:
    """Rows of tasks, columns of codecs; a cell without a value is hatched and says why.

    A cell that loses, its whole interval above 0, has a thick frame.
    """
    rows, columns = len(matrix.rows), len(matrix.codecs)
    values = [abs(cell.bd_rate) for _, _, cell in matrix.cells() if cell.bd_rate is not None]
    half = float(np.clip(max(values, default=0.0), LEAST_RANGE, MOST_RANGE))
    norm, colours = CenteredNorm(0, half), mpl.colormaps[COLOURS]
    with mpl.rc_context(STYLE):
        figure = Figure((3.4 + WIDTH * columns, 1.3 + HEIGHT * rows), layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(matrix.rows):
            for x, codec in enumerate(matrix.codecs):
                _draw(axes, x, y, row.cells[codec], norm, colours)
        _frame(axes, matrix)
        scale = figure.colorbar(
            mpl.cm.ScalarMappable(norm, colours), ax=axes, fraction=0.03, pad=0.02, extend="both"
        )
        scale.set_label("BD-rate (%), negative saves bits")
        scale.outline.set_visible(False)
    return figure


def _draw(axes: Axes, x: int, y: int, cell: Cell, norm: CenteredNorm, colours: Colormap) -> None:
    place: Any = {"xy": (x - 0.48, y - 0.47), "width": 0.96, "height": 0.94}
    words: Any = {"ha": "center", "va": "center", "fontsize": 7.5}
    if cell.bd_rate is None:
        axes.add_patch(Rectangle(**place, facecolor="white", edgecolor=FRAME, hatch="////", lw=0))
        reason = textwrap.shorten(cell.reason or "", 84, placeholder=" ...")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(x, y, textwrap.fill(reason, 24), **words | {"fontsize": 6.5}, color=INK, bbox=box)
        return
    colour = colours(norm(cell.bd_rate))
    ink = "white" if np.dot(colour[:3], (0.2126, 0.7152, 0.0722)) < DARK else INK
    loses = cell.verdict == "loses"
    axes.add_patch(Rectangle(**place, facecolor=colour, edgecolor="black", lw=2.5 if loses else 0))
    axes.text(x, y - 0.14, f"{cell.bd_rate:+.1f} %", **words | {"fontsize": 11}, color=ink)
    interval = "no interval"
    if cell.low is not None and cell.high is not None:
        interval = f"{cell.low:+.1f} to {cell.high:+.1f}"
    axes.text(x, y + 0.22, interval, **words, color=ink)


def _frame(axes: Axes, matrix: Matrix) -> None:
    """Names of rows and columns, limits, and a line between sets of photos."""
    rows, columns = len(matrix.rows), len(matrix.codecs)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_xticks(range(columns), [textwrap.fill(c, 18) for c in matrix.codecs])
    axes.set_yticks(range(rows), [_label(row) for row in matrix.rows], fontsize=8.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for y in range(1, rows):
        if matrix.rows[y].photos != matrix.rows[y - 1].photos:
            axes.axhline(y - 0.5, color="black", lw=1)
    axes.set_title(f"'{matrix.preprocessor}' against the plain codec", loc="left", fontsize=11)


def _label(row: Row) -> str:
    # Lines end at the colons of a spec.
    name = textwrap.fill(row.name.replace(":", ": "), 36, break_on_hyphens=False)
    name = name.replace(": ", ":")
    return f"{name}\n{row.count} photos of {row.photos}, at equal {row.measure or 'nothing'}"
