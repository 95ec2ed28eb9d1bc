"""`tamis bench`, `tamis proxy` and `tamis demo`: what it is worth."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tamis.cli.console import OUT, Sources, split
from tamis.cli.matrix import measure_matrix
from tamis.errors import TamisError


def bench(
    photos: Annotated[
        list[Path],
        typer.Argument(help="Files, folders, coco:, webdataset:, hf:.", show_default=False),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(help="classify:NETWORK, onnx:FILE, human; repeat or a,b.", show_default=False),
    ] = None,
    codecs: Annotated[
        str | None, typer.Option(help="Codecs a,b.", show_default="jpeg; with --matrix, five")
    ] = None,
    preprocessors: Annotated[
        str | None,
        typer.Option(help="Preprocessors a,b.", show_default="none,default"),
    ] = None,
    protocol: Annotated[
        Literal["native", "model"] | None,
        typer.Option(
            help="Code photos at their own size, or at the first task's.", show_default="native"
        ),
    ] = None,
    qualities: Annotated[
        list[str] | None, typer.Option(help="jpeg=10,20,30; repeat.", show_default="the ladders")
    ] = None,
    matrix: Annotated[
        bool,
        typer.Option("--matrix", help="Every task with every codec; also of a YAML with groups."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run.", show_default="runs/bench"),
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Measure rate against accuracy with real files; go on where a killed run stopped."""
    tasks = [name for names in task or [] for name in split(names)]
    if matrix:
        given = {
            "codecs": split(codecs or ""),
            "preprocessors": split(preprocessors or ""),
            "protocol": protocol,
            "qualities": _ladders(qualities or []),
        }
        settings = {key: value for key, value in given.items() if value}
        measure_matrix(photos, tasks, settings, out or Path("runs/matrix"), processes)
        return
    if not tasks:
        raise TamisError("a bench asks a task: --task classify:NETWORK, or --matrix for several")
    from tamis.bench import bench as run

    results = run(
        photos,
        tasks=tasks,
        codecs=split(codecs or "jpeg"),
        preprocessors=split(preprocessors or "none,default"),
        protocol=protocol or "native",
        qualities=_ladders(qualities or []),
        out=out or Path("runs/bench"),
        processes=processes,
        console=OUT,
    )
    OUT.print(results.rich_table())
    OUT.print(f"report: {results.report}", soft_wrap=True, markup=False)
    OUT.print(results.sentence(), soft_wrap=True, markup=False)


def proxy(
    photos: Sources,
    codecs: Annotated[str, typer.Option(help="Codecs a,b.")] = "jpeg,bpg",
    proxies: Annotated[str, typer.Option(help="dct, learned, learned:DIRECTORY; a,b.")] = "dct",
    qualities: Annotated[
        list[str] | None, typer.Option(help="bpg=28,34,41; repeat.", show_default="the ladders")
    ] = None,
    directions: Annotated[
        int, typer.Option(help="Random directions a photo, for the gradients; 0: none.", min=0)
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for CSV and JSON.")
    ] = None,
) -> None:
    """Say how well the differentiable stand-ins of each codec predict it, and its gradients."""
    from tamis.bench.proxy_report import report

    report(
        photos,
        codecs=split(codecs),
        console=OUT,
        proxies=split(proxies),
        qualities=_ladders(qualities or []),
        directions=directions,
        out=out,
    )


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
