"""`tamis analyze`: what is left in a learned codec's latents."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from tamis.cli.console import OUT, Out, Sources, photos_in, progress_bar, split

analyze = typer.Typer(help="See what is left in a learned codec's latents.", no_args_is_help=True)

Patches = Annotated[int, typer.Option(help="Random patches of the photos.")]
PatchSize = Annotated[int, typer.Option(help="Their side in pixels, a multiple of 64.")]
Small = Annotated[
    Literal["reflect", "resize"], typer.Option(help="What is done with smaller photos.")
]
Seed = Annotated[int, typer.Option(help="Another seed, other patches.")]
Processes = Annotated[int | None, typer.Option(help="Processes.", show_default="one a core")]


@analyze.command()
def correlation(
    photos: Sources,
    model: Annotated[
        str, typer.Option(help="A shipped model, such as joint-2, or a model directory.")
    ],
    out: Out,
    patches: Patches = 5000,
    pairs: Annotated[int, typer.Option(help="Adjacent pairs in each patch.")] = 200,
    size: PatchSize = 512,
    small: Small = "reflect",
    seed: Seed = 0,
    workers: Processes = None,
) -> None:
    """Measure correlation in the latent, before and after prediction; go on where it stopped."""
    from tamis.analysis.correlation import analyze_correlation as run
    from tamis.analysis.report import REPORT, sentences

    with progress_bar("analyzing") as progress:
        result = run(
            model,
            photos_in(photos),
            out,
            patches=patches,
            pairs=pairs,
            size=size,
            small=small,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    table = Table("finding", "channels", "verdict", "evidence")
    for finding in result.findings:
        table.add_row(finding.claim, finding.channels, finding.verdict, finding.evidence)
    OUT.print(table)
    for sentence in sentences(result):
        OUT.print(sentence, soft_wrap=True, markup=False)
    OUT.print(f"report: {out / REPORT}", soft_wrap=True, markup=False)


@analyze.command()
def features(
    photos: Sources,
    model: Annotated[list[str], typer.Option(help="Shipped models or directories; repeat or a,b.")],
    out: Out,
    patches: Patches = 1000,
    size: PatchSize = 512,
    small: Small = "reflect",
    seed: Seed = 0,
    workers: Processes = None,
) -> None:
    """Compare how much the features of several models say, and how often they say nothing."""
    from tamis.analysis.features import analyze_features as run

    with progress_bar("analyzing") as progress:
        found = run(
            [name for names in model for name in split(names)],
            photos_in(photos),
            out,
            patches=patches,
            size=size,
            small=small,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    # One column a model: there are more statistics than a terminal has room for.
    table = Table("statistic", *found["model"])
    for column in found.drop("model"):
        cells = (
            f"{v:.3f}" if isinstance(v, float) else "" if v is None else str(v) for v in column
        )
        table.add_row(column.name, *cells)
    OUT.print(table)


@analyze.command()
def latents(
    photo: Annotated[Path, typer.Argument(help="One photo.", show_default=False)],
    model: Annotated[str, typer.Option(help="A shipped model, or a model directory.")],
    out: Out,
    channels: Annotated[int, typer.Option(help="How many of the most expensive to show.")] = 3,
) -> None:
    """Draw a photo inside a learned codec: where its bits go, what is predicted, what remains."""
    from tamis.analysis.anatomy import draw_anatomy
    from tamis.analysis.sources import model_directory
    from tamis.data import load_photo
    from tamis.learned.package import load

    network = load(model_directory(model)).model
    for path in draw_anatomy(network, load_photo(photo), out, f"latents-{photo.stem}", channels):
        OUT.print(str(path), soft_wrap=True, markup=False)
