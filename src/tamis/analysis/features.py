"""Features of several models side by side: how much they say, how often they say nothing.

The published contrast: autoencoders trained on distortion alone spread their features out, so that
every one costs bits; entropy-minimised ones leave nearly all of them close to zero.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tamis.analysis.correlation import Correlation, name_of
from tamis.analysis.patches import Patches, Small
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.sources import identity, open_source
from tamis.bench.figures import STRONG, STYLE, save_figure
from tamis.data import list_photos
from tamis.errors import TamisError
from tamis.mirror import Progress

STATISTICS = {
    "entropy": "entropy of a rounded feature (bits)",
    "zeros": "share of zeros",
    "deviation": "standard deviation",
    "kurtosis": "excess kurtosis",
}


def analyze_features(
    models: Sequence[object] | Mapping[str, object],
    photos: Path | str | Sequence[Path],
    out: Path | str,
    *,
    patches: int = 1000,
    size: int = 512,
    small: Small = "reflect",
    seed: int = 0,
    workers: int | None = 1,
    progress: Progress = lambda done, total: None,
) -> pl.DataFrame:
    """Compare the features of models on the same patches; write `features.csv` and a figure.

    Args:
        models: as for `analyze_correlation`; a mapping gives them names.
        photos: a folder, or files.
        out: folder to write to; it keeps the state of each model, so a killed call goes on.
        patches: random patches of the photos.
        size: side of a patch in pixels, a multiple of 64.
        small: what is done with smaller photos.
        seed: of the patches.
        workers: processes; None is one for each core.
        progress: told patches done and patches in all, over all models.

    Returns:
        The table of `feature_table`.

    Raises:
        TamisError: two models of one name, or as `analyze_correlation`.
    """
    named = dict(models) if isinstance(models, Mapping) else {name_of(m): m for m in models}
    if len(named) < len(models):
        raise TamisError("two models have one name; give a mapping of names to models")
    files = list_photos(photos) if isinstance(photos, str | Path) else list(photos)
    chosen = Patches(tuple(files), patches, size, small, seed)
    folder = Path(out)
    results = []
    for i, (name, model) in enumerate(named.items()):
        source = open_source(model)

        def tell(done: int, total: int, before: int = i * patches) -> None:
            progress(before + done, total * len(named))

        state = folder / f"state-{identity(source)}.npz"
        tally = measure(Protocol(source, chosen), state, workers=workers, progress=tell)
        results.append(Correlation(name, tally, {"patches": patches, "size": size}))
    table = feature_table(results)
    folder.mkdir(parents=True, exist_ok=True)
    table.write_csv(folder / "features.csv")
    save_figure(feature_figure(results), folder, "features")
    return table


def feature_table(results: Sequence[Correlation]) -> pl.DataFrame:
    """One row per model.

    Columns: `model`; `channels`, `active`; medians over channels of `entropy` (bits of a rounded
    feature), `zeros`, `deviation` and `kurtosis` (excess); `silent`, the share of all features that
    are zero when rounded; `entropy_bpp`, what all would cost with one ideal table per channel;
    `bpp`, what they cost by the model's own likelihoods, if it has any.
    """
    rows = []
    for result in results:
        channels = result.channels
        row = {"model": result.name, "channels": channels.height, "active": int(result.alive.sum())}
        row |= {name: channels[name].median() for name in STATISTICS}
        row["silent"] = channels["zeros"].mean()
        for name in ("entropy_bpp", "bpp"):
            found = result.estimates.get(name)
            row[name] = None if found is None else float(found.value)
        rows.append(row)
    return pl.DataFrame(rows)


def feature_figure(results: Sequence[Correlation]) -> Figure:
    """Every channel's statistics, sorted, one line a model."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 6.0), layout=ConstrainedLayoutEngine())
        grid = figure.subplots(2, 2)
        for axes, (statistic, label) in zip(grid.flat, STATISTICS.items(), strict=True):
            for i, result in enumerate(results):
                values = np.sort(result.channels[statistic].to_numpy())[::-1]
                places = np.linspace(0, 1, len(values))
                colour = STRONG[i % len(STRONG)]
                axes.plot(places, values, color=colour, linewidth=2, label=result.name)
            axes.set_xlabel("channels, sorted (share)")
            axes.set_ylabel(label)
            if statistic in ("kurtosis", "deviation"):
                axes.set_yscale("symlog")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=min(4, len(labels)))
    return figure
