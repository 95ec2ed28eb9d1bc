"""`tamis bench --matrix`: photos or a YAML file in, one BD-rate for every task and codec out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tamis.cli.console import OUT
from tamis.errors import TamisError


def measure_matrix(
    sources: Sequence[Path],
    tasks: Sequence[str],
    settings: Mapping[str, Any],
    out: Path,
    processes: int,
) -> None:
    """Measure a matrix, and print its numbers and who loses.

    Args:
        sources: photos and folders, or one YAML file with groups of photos.
        tasks: specs, for photos; empty for the usual ones.
        settings: keys of `MatrixRecipe` given on the command line; they replace those of the file.
        out: folder of the runs.
        processes: how many work in parallel.

    Raises:
        TamisError: a YAML file among photos, or tasks beside one.
    """
    from tamis.bench.matrix_recipe import MatrixRecipe
    from tamis.bench.matrix_run import bench_matrix
    from tamis.training.recipe_file import parse

    recipe = parse({**_document(sources, tasks), **settings}, MatrixRecipe, "the matrix")
    results = bench_matrix(
        {name: (group.found(), group.specs()) for name, group in recipe.groups.items()},
        recipe.codecs,
        recipe.preprocessors,
        recipe.protocol,
        out,
        processes,
        qualities=recipe.ladders(),
        console=OUT,
    )
    for name, part in results.parts.items():
        OUT.print(f"\n{name}", markup=False)
        OUT.print(part.rich_table())
    OUT.print(f"report: {results.report}", soft_wrap=True, markup=False)
    for line in results.verdicts():
        OUT.print(line, soft_wrap=True, markup=False)


def _document(sources: Sequence[Path], tasks: Sequence[str]) -> dict[str, Any]:
    from tamis.bench.matrix_recipe import load_matrix_recipe

    files = [source for source in sources if source.suffix in (".yaml", ".yml")]
    if not files:
        group: dict[str, Any] = {"photos": [str(source) for source in sources]}
        return {"groups": {"photos": {**group, **({"tasks": list(tasks)} if tasks else {})}}}
    if len(sources) > 1:
        raise TamisError(f"a matrix is one YAML file or photos, not {files[0]} among others")
    if tasks:
        raise TamisError(f"the tasks stand in the groups of {files[0]}; leave --task out")
    return load_matrix_recipe(files[0]).document()
