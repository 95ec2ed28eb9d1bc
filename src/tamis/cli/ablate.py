"""`tamis ablate`: which parts of the method matter, each question one command."""

from pathlib import Path
from typing import Annotated

import typer

from tamis.cli.console import ERR, OUT
from tamis.errors import TamisError

REPORT = "report"


def ablate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Ablations; `{REPORT}` shows the tables made so far.", show_default=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = Path(
        "runs/ablate"
    ),
    recipes: Annotated[Path, typer.Option(help="Folder of the definitions.")] = Path(
        "recipes/ablations"
    ),
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Use so many seeds at most.", show_default=False)
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the ablations.")] = False,
) -> None:
    """Answer an ablation: train what is missing, score it on real files, show the table."""
    if show:
        from tamis.training.ablation_recipe import Ablations

        for name, ablation in Ablations(recipes).all.items():
            OUT.print(f"{name}: {ablation.question}", soft_wrap=True, markup=False)
        return
    if not names:
        raise TamisError("name an ablation; tamis ablate --list shows them")
    from tamis.training.ablation import ablate as run
    from tamis.training.ablation import report

    if names == [REPORT]:
        OUT.print(report(out, recipes), soft_wrap=True, markup=False)
        return
    tables = run(names, out, recipes, seeds, lambda line: ERR.print(line, soft_wrap=True))
    OUT.print(tables, soft_wrap=True, markup=False)
