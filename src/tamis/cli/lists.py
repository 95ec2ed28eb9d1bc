"""`tamis codecs` and `tamis models`: what there is."""

from rich.table import Column, Table

from tamis.cli.console import OUT


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


def models() -> None:
    """List the networks: what they cost, under what licence, for which codecs."""
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
