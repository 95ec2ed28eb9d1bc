"""The bench in one call: sweep, curves, BD-rates, figures, CSV and the HTML report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from rich.console import Console

from tamis.bench.coding import Bench
from tamis.bench.curves import mean_curves
from tamis.bench.figures import codec_figure, inline_svg, save_figure, slug
from tamis.bench.plan import Plan, Protocol
from tamis.bench.report import write_report
from tamis.bench.results import Results
from tamis.bench.store import RunFolder
from tamis.bench.strips import Strip, make_strips
from tamis.bench.sweep import run_sweep
from tamis.bench.table import PLAIN, bd_rate_table
from tamis.codecs import Codec
from tamis.data.sources import LabelledPhoto
from tamis.preprocessing.base import Preprocessor
from tamis.tasks.base import Task


def bench(
    photos: Path | str | Sequence[Path | str | LabelledPhoto],
    tasks: Sequence[str | Task],
    codecs: Sequence[str | Codec],
    preprocessors: Sequence[str | Preprocessor] = (PLAIN,),
    protocol: Protocol = "native",
    out: Path | str = "bench",
    processes: int = 1,
    *,
    qualities: Mapping[str, Sequence[int]] | None = None,
    strips: int = 3,
    resamples: int = 1000,
    min_overlap: float = 0.25,
    console: Console | None = None,
) -> Results:
    """Code, decode and score every item, and report what was saved; resumes what was begun.

    Args:
        photos: paths and datasets (`tamis.data.open_dataset`), or labelled photos.
        tasks: specs or tasks; in protocol `model` the first sets the size that is coded.
        codecs: specs or codecs.
        preprocessors: specs or preprocessors; `none`, to compare with, is added if missing.
        protocol: `native` or `model`, see `tamis.bench.plan.Protocol`.
        out: the run folder: rows, `report.html`, `bd_rate.csv`, `curves.csv`, `figures/`.
        processes: how many work in parallel.
        qualities: for some codecs, by spec or name, instead of the codec's own ladder.
        strips: how many photos the report shows.
        resamples: of the bootstrap.
        min_overlap: smallest share of the plain curve's range that a curve must reach.
        console: where the progress bar goes; None for none.

    Raises:
        TamisError: see `run_sweep`.
    """
    if PLAIN not in preprocessors:
        preprocessors = [PLAIN, *preprocessors]
    plan = Plan.of(photos, tasks, codecs, preprocessors, protocol, qualities)
    run = RunFolder(out)
    rows = run_sweep(plan, run.folder, processes, console)
    maker = Bench(plan, run.folder)
    measures = {name: dict(named) for name, named in maker.measures.items()}
    curves = mean_curves(rows, measures, maker.pools)
    table = bd_rate_table(
        rows, measures, pools=maker.pools, resamples=resamples, min_overlap=min_overlap
    )
    figures = {name: codec_figure(curves, name, measures) for name in plan.codecs}
    files = [
        path
        for name, figure in figures.items()
        for path in save_figure(figure, run.folder / "figures", slug(name))
    ]
    for name, frame in (("bd_rate.csv", table), ("curves.csv", curves)):
        frame.write_csv(run.folder / name)
        files.append(run.folder / name)
    noted = run.conditions()["plans"][plan.fingerprint]
    results = Results(
        run.folder,
        rows,
        curves,
        table,
        measures,
        run.folder / "report.html",
        tuple(files),
        noted,
    )
    write_report(
        results,
        plan.fingerprint,
        maker.codecs,
        [(name, inline_svg(figure)) for name, figure in figures.items()],
        _strips(maker, rows, strips),
    )
    return results


def _strips(maker: Bench, rows: pl.DataFrame, count: int) -> list[Strip]:
    """Strips of `count` photos at even steps through their names, with the first codec."""
    plan = maker.plan
    ordered = sorted(plan.photos, key=lambda photo: (photo.name, photo.id))
    shown = [ordered[i * len(ordered) // count] for i in range(min(count, len(ordered)))]
    if not shown:
        return []
    codec, ladder = next(iter(plan.qualities.items()))
    quality = ladder[len(ladder) // 3]
    there = rows.filter(codec=codec, quality=quality)["preprocessor"]
    return make_strips(
        list(zip([photo.name for photo in shown], maker.sources(shown), strict=True)),
        (codec, maker.codecs[codec]),
        quality,
        [(name, p) for name, p in maker.preprocessors.items() if name in set(there)],
        next(iter(maker.tasks.values())),
    )
