"""Figures of the correlation analysis: the three published ones, and what goes past them."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tamis.analysis.correlation import Correlation
from tamis.analysis.findings import absolute_interval
from tamis.analysis.information import of_gaussian
from tamis.analysis.measures import AFTER, BEFORE, HIGH, chance_level
from tamis.analysis.pairs import DIRECTIONS
from tamis.bench.figures import FRAME, MARKERS, STRONG, STYLE

COLOURS = {"y": STRONG[0], "residual": STRONG[1], "normalized": STRONG[2]}
LABELS = {
    "y": "y: before prediction",
    "residual": "y_hat − mean: after prediction",
    "normalized": "(y_hat − mean) / scale",
}


def spatial_before(result: Correlation) -> Figure:
    """Published figure: |r| of adjacent values of y, channels sorted."""
    return _bars(result, BEFORE)


def spatial_after(result: Correlation) -> Figure:
    """Published figure: |r| of adjacent values of the residual, channels sorted."""
    return _bars(result, AFTER)


def inter_channel(result: Correlation) -> Figure:
    """Published figure: correlation of the channels at one position, before and after."""
    fields = [field for field in (BEFORE, AFTER) if field in result.fields]
    figure, row = _figure(len(fields), 4.6, 4.2)
    for axes, field in zip(row, fields, strict=True):
        r = np.abs(result.estimates[f"cross/{field}"].value)
        picture = axes.imshow(r, vmin=0, vmax=1, cmap="magma", interpolation="nearest")
        axes.grid(False)
        axes.set_xlabel("channel")
        axes.set_ylabel("channel")
        mean = float(result.estimates[f"cross_mean/{field}/all"].value)
        axes.set_title(f"{LABELS[field]} (mean {mean:.3f})", loc="left", fontsize=10)
    figure.colorbar(picture, ax=list(row), shrink=0.8, label="|r| between channels")
    return figure


def distance(result: Correlation) -> Figure:
    """Mean |r| of the active channels over distance, by direction, with 95 % intervals."""
    figure, row = _figure(len(result.fields), 3.9, 3.5, sharey=True)
    for axes, field in zip(row, result.fields, strict=True):
        table = result.distances.filter(field=field)
        for i, direction in enumerate(DIRECTIONS):
            own = table.filter(direction=direction)
            style: dict[str, Any] = {"color": STRONG[i], "marker": MARKERS[i], "markersize": 4}
            axes.plot(own["distance"], own["mean_abs_r"], label=direction, **style)
            axes.fill_between(
                own["distance"], own["low"], own["high"], color=STRONG[i], alpha=0.1, linewidth=0
            )
        axes.set_xlabel("distance (latent positions)")
        axes.set_title(LABELS[field], loc="left", fontsize=10)
    row[0].set_ylabel("mean |r| of active channels")
    row[0].set_ylim(bottom=0)
    row[-1].legend(fontsize=9)
    return figure


def rate(result: Correlation) -> Figure:
    """Are the correlated channels the expensive ones: |r| against bits per latent."""
    fields = [field for field in (BEFORE, AFTER) if field in result.fields]
    figure, row = _figure(len(fields), 4.6, 3.6, sharey=True)
    bits = result.estimates["rate"].value
    for axes, field in zip(row, fields, strict=True):
        axes.scatter(bits, result.absolute(field), s=18, color=COLOURS[field], alpha=0.75)
        axes.axhline(HIGH, color=FRAME, linewidth=1, linestyle=":")
        rank = float(result.estimates[f"rank/{field}"].value)
        axes.set_title(f"{LABELS[field]} (rank correlation {rank:+.2f})", loc="left", fontsize=10)
        axes.set_xlabel("rate of the channel (bits per latent)")
    row[0].set_ylabel("|r| of adjacent values")
    row[0].set_ylim(bottom=0)
    return figure


def information(result: Correlation) -> Figure:
    """Mutual information against |r|, and what a Gaussian pair of that correlation has."""
    figure, row = _figure(1, 6.0, 3.8)
    for field in result.fields:
        r = result.absolute(field)
        bits = result.estimates[f"information/{field}"].value
        row[0].scatter(r, bits, s=18, color=COLOURS[field], alpha=0.7, label=LABELS[field])
    grid = np.linspace(0, max(0.4, min(0.98, result.absolute(BEFORE).max())), 200)
    row[0].plot(grid, of_gaussian(grid), color="#404040", linewidth=1.2, label="Gaussian pair")
    row[0].set_xlabel("|r| of adjacent values")
    row[0].set_ylabel("mutual information (bits)")
    row[0].legend(fontsize=9)
    return figure


def saving(result: Correlation) -> Figure:
    """Bits that linear prediction from the causal neighbours could still save, by channel."""
    fields = [name for name in ("y_hat", "residual") if f"gain/{name}" in result.estimates]
    names = {"y_hat": "from y_hat: before prediction", "residual": LABELS["residual"]}
    figure, row = _figure(1, 8.0, 3.6)
    for field in fields:
        bits = np.sort(result.estimates[f"gain/{field}"].value)[::-1]
        total = float(result.estimates[f"saving/{field}"].value)
        colour = COLOURS["y" if field == "y_hat" else field]
        label = f"{names[field]}, {total:.4f} bpp in all"
        row[0].fill_between(
            np.arange(len(bits) + 1) - 0.5, np.append(bits, bits[-1]), step="post", label=label,
            color=colour, alpha=0.65, linewidth=0,
        )  # fmt: skip
    row[0].set_yscale("symlog", linthresh=0.01)
    row[0].set_ylim(bottom=0)
    row[0].set_xlabel("channels, sorted")
    row[0].set_ylabel("bits per latent")
    row[0].legend(fontsize=9)
    return figure


def figures(result: Correlation) -> dict[str, Figure]:
    """Every figure the model allows, by file name."""
    drawn: dict[str, Callable[[Correlation], Figure]] = {"spatial-before": spatial_before}
    if result.predicts:
        drawn["spatial-after"] = spatial_after
    drawn |= {"inter-channel": inter_channel, "distance": distance, "information": information}
    if "rate" in result.estimates:
        drawn["rate"] = rate
    if "gain/y_hat" in result.estimates:
        drawn["saving"] = saving
    with mpl.rc_context(STYLE):
        return {name: draw(result) for name, draw in drawn.items()}


def _bars(result: Correlation, field: str) -> Figure:
    fisher = result.estimates[f"fisher/{field}"]
    r = result.absolute(field)
    order = np.argsort(-r)
    low, high = absolute_interval(fisher)
    places = np.arange(len(r))
    figure, row = _figure(1, 8.0, 3.4)
    axes = row[0]
    axes.bar(places, r[order], width=1.0, color=COLOURS[field], alpha=0.8, linewidth=0)
    axes.vlines(places, low[order], high[order], color="#303030", linewidth=0.7, alpha=0.7)
    chance = chance_level(result.tally, field)[order]
    axes.plot(places, chance, color=STRONG[3], linewidth=1.4, label="by chance 95 % lie below")
    axes.axhline(HIGH, color=FRAME, linewidth=1, linestyle=":")
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.5, len(r) - 0.5)
    axes.set_xlabel("channels, sorted")
    axes.set_ylabel("|r| of adjacent values")
    title = f"{LABELS[field]}: {result.high(field)} of {len(r)} channels above {HIGH}"
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(fontsize=9)
    return figure


def _figure(columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * columns, height), layout=ConstrainedLayoutEngine())
    grid = figure.subplots(1, columns, squeeze=False, **options)
    return figure, list(grid[0])
