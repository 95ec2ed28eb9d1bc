"""`tamis codecs` and `tamis models`: what there is."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from tamis.cli.console import OUT, progress_bar, split
from tamis.errors import TamisError


def codecs() -> None:
    """List the codecs: their quality knob, their options, and whether they work here."""
    from tamis.codecs.registry import describe

    table = Table("codec", "files", "quality", "best is", "options", "works here")
    for row in describe():
        knob, larger = f"{row.unit} {row.low}..{row.high}", "high" if row.ascending else "low"
        options = "\n".join(f"{key}={values[0]}" for key, values in row.options.items())
        works = "yes" if row.missing is None else f"no: pip install {row.missing}"
        table.add_row(row.name, row.suffix, knob, larger, options, works)
    OUT.print(table)


def models(
    measure: Annotated[
        bool, typer.Option("--measure", help="Time networks and encoders on this machine.")
    ] = False,
    sizes: Annotated[str, typer.Option(help="With --measure: pictures a,b.")] = "224x224,1920x1080",
    names: Annotated[
        str | None, typer.Option(help="With --measure: models a,b.", show_default="all")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --measure: a .json or .csv file.")
    ] = None,
) -> None:
    """List the networks: what they cost, under what licence, for which codecs."""
    if measure:
        _measure([_size(text) for text in split(sizes)], names, out)
        return
    if out is not None or names is not None:
        raise TamisError("--out and --names go with --measure")
    from tamis.learned.zoo import shipped_models
    from tamis.preprocessing.catalogue import model_rows

    table = Table("model", "network", "parameters", "MACs/pixel", "licence", "codecs")
    for row in model_rows():
        covers = ", ".join(f"{codec} {low}..{high}" for codec, (low, high) in row.codecs.items())
        cost = (f"{row.parameters:,}", f"{row.macs_per_pixel:,.0f}")
        table.add_row(row.name, row.network, *cost, row.licence, covers or "untrained")
    OUT.print(table)
    # The name is what one types: never cut, however narrow the terminal.
    parameters = Column("parameters", no_wrap=True)
    columns = ("quality", parameters, "MACs a pixel", "lambda", "Kodak bpp")
    table = Table(Column("codec", no_wrap=True), *columns)
    for codec, quality, card in shipped_models():
        table.add_row(
            f"learned:{codec}",
            str(quality),
            f"{card.parameters:,}",
            f"{card.macs_per_pixel:,.0f}",
            "" if card.lambda_ is None else f"{card.lambda_:g}",
            "" if card.bpp is None else f"{card.bpp:.3f}",
        )
    if table.row_count:
        OUT.print(table)


def _measure(sizes: list[tuple[int, int]], names: str | None, out: Path | None) -> None:
    """`tamis models --measure`."""
    from tamis.bench.complexity import check_suffix, measure_models

    if out is not None:
        check_suffix(out)
    with progress_bar("measuring") as progress:
        measured = measure_models(sizes, None if names is None else split(names), progress=progress)
    for table in measured.tables():
        OUT.print(table)
    if out is not None:
        measured.write(out)
        OUT.print(f"written: {out}", soft_wrap=True, markup=False)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise TamisError(f"a size is written WIDTHxHEIGHT, as 1920x1080, not '{text}'")
    return int(width), int(height)
