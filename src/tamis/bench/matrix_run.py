"""The matrix in one call: a bench run for each group of photos, joined for each preprocessor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import polars as pl
from rich.console import Console

from tamis.bench.figures import inline_svg, save_figure, slug
from tamis.bench.matrix import Matrix, matrix_of
from tamis.bench.matrix_figure import matrix_figure
from tamis.bench.matrix_words import markdown, reasons, verdict
from tamis.bench.plan import Protocol
from tamis.bench.results import Results
from tamis.bench.run import bench
from tamis.bench.table import PLAIN
from tamis.data.sources import LabelledPhoto
from tamis.errors import TamisError
from tamis.tasks.base import Task

Groups = Mapping[str, tuple[Sequence[Path | str | LabelledPhoto], Sequence[str | Task]]]
"""Photos and the tasks asked about them, by the name of the group."""


@dataclass(frozen=True)
class MatrixResults:
    """Everything a matrix leaves behind.

    Attributes:
        matrices: one for each preprocessor.
        parts: the bench results of each group.
        report: the HTML file.
        files: figures, `matrix.csv` and `matrix.md`.
    """

    matrices: tuple[Matrix, ...]
    parts: Mapping[str, Results]
    report: Path
    files: tuple[Path, ...]

    def verdicts(self) -> list[str]:
        """One line for each preprocessor."""
        return [verdict(matrix) for matrix in self.matrices]


def bench_matrix(
    groups: Groups,
    codecs: Sequence[str],
    preprocessors: Sequence[str],
    protocol: Protocol = "native",
    out: Path | str = "matrix",
    processes: int = 1,
    *,
    qualities: Mapping[str, Sequence[int]] | None = None,
    strips: int = 3,
    resamples: int = 1000,
    console: Console | None = None,
) -> MatrixResults:
    """Measure every task with every codec, with and without each preprocessor.

    Each group is a bench run in the folder of its name, resumed if it was begun.

    Args:
        groups: photos and tasks.
        codecs: specs, the columns.
        preprocessors: specs; each gets a matrix.
        protocol: `native` or `model`, see `tamis.bench.plan.Protocol`.
        out: folder of the runs, `report.html`, `matrix.csv`, `matrix.md` and the figures.
        processes: how many work in parallel.
        qualities: for some codecs, by spec or name, instead of the codec's own ladder.
        strips: how many photos the report of each group shows.
        resamples: of the bootstrap.
        console: where progress goes; None for nowhere.

    Raises:
        TamisError: no preprocessor to judge, or see `tamis.bench.run_sweep`.
    """
    judged = [name for name in preprocessors if name != PLAIN]
    if not judged:
        raise TamisError(f"a matrix judges a preprocessor; '{PLAIN}' is what it is compared with")
    out = Path(out)
    parts: dict[str, Results] = {}
    for name, (photos, tasks) in groups.items():
        if console is not None:
            console.print(f"{name}: {len(photos)} photos, {len(tasks)} tasks", markup=False)
        parts[name] = bench(
            photos, tasks, codecs, preprocessors, protocol, out / name, processes,
            qualities=qualities, strips=strips, resamples=resamples, console=console,
        )  # fmt: skip
    matrices = tuple(matrix_of(parts, preprocessor, codecs) for preprocessor in judged)
    figures = {matrix.preprocessor: matrix_figure(matrix) for matrix in matrices}
    files = [
        path
        for preprocessor, figure in figures.items()
        for path in save_figure(figure, out, f"matrix-{slug(preprocessor)}")
    ]
    pl.concat([matrix.frame() for matrix in matrices]).write_csv(out / "matrix.csv")
    text = "\n".join(f"{verdict(matrix)}\n\n{markdown(matrix)}" for matrix in matrices)
    (out / "matrix.md").write_text(text, encoding="utf-8")
    results = MatrixResults(
        matrices, parts, out / "report.html", (*files, out / "matrix.csv", out / "matrix.md")
    )
    svgs = {preprocessor: inline_svg(figure) for preprocessor, figure in figures.items()}
    _write_report(results, svgs)
    return results


def _write_report(results: MatrixResults, svgs: Mapping[str, str]) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("matrix.html.j2").render(
        matrices=[
            {
                "preprocessor": matrix.preprocessor,
                "verdict": verdict(matrix),
                "svg": svgs[matrix.preprocessor],
                "reasons": reasons(matrix),
            }
            for matrix in results.matrices
        ],
        parts=results.parts,
        noted=next(iter(results.parts.values())).noted,
    )
    results.report.write_text(page, encoding="utf-8")
