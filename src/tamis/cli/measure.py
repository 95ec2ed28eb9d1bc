"""`tamis bench`, `tamis proxy` and `tamis demo`: what it is worth."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tamis.cli.console import OUT, Sources, photos_in, split
from tamis.errors import TamisError


def bench(
    photos: Sources,
    task: Annotated[list[str], typer.Option(help="classify:NETWORK, onnx:FILE; repeat or a,b.")],
    codecs: Annotated[str, typer.Option(help="Codecs a,b.")] = "jpeg",
    preprocessors: Annotated[str, typer.Option(help="Preprocessors a,b.")] = "none,default",
    protocol: Annotated[
        Literal["native", "model"],
        typer.Option(help="Code photos at their own size, or at the first task's."),
    ] = "native",
    qualities: Annotated[
        list[str] | None, typer.Option(help="jpeg=10,20,30; repeat.", show_default="the ladders")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path(
        "runs/bench"
    ),
    processes: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Measure rate against accuracy with real files; go on where a killed run stopped."""
    from tamis.bench import bench as run

    results = run(
        photos_in(photos),
        tasks=[name for names in task for name in split(names)],
        codecs=split(codecs),
        preprocessors=split(preprocessors),
        protocol=protocol,
        qualities=_ladders(qualities or []),
        out=out,
        processes=processes,
        console=OUT,
    )
    OUT.print(results.rich_table())
    OUT.print(f"report: {results.report}", soft_wrap=True, markup=False)
    OUT.print(results.sentence(), soft_wrap=True, markup=False)


def proxy(
    photos: Sources, codecs: Annotated[str, typer.Option(help="Codecs a,b.")] = "jpeg,bpg"
) -> None:
    """Say how well the differentiable stand-in of each codec predicts real file sizes."""
    from tamis.bench.proxy_report import report

    report(photos, codecs=split(codecs), console=OUT)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("demo"),
) -> None:
    """Compress sample photos with and without Tamis, and see what a classifier makes of them."""
    from tamis.demo import demo as run

    run(out, OUT)


def _ladders(texts: list[str]) -> dict[str, list[int]]:
    """`["jpeg=10,20", "bpg=37"]` as qualities by codec."""
    ladders: dict[str, list[int]] = {}
    for text in texts:
        codec, equals, values = text.rpartition("=")
        numbers = split(values)
        if not equals or not all(number.isdecimal() for number in numbers):
            raise TamisError(f"qualities are written codec=10,20,30, not '{text}'")
        ladders[codec] = [int(number) for number in numbers]
    return ladders
