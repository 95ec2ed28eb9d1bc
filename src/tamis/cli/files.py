"""`tamis compress` and `tamis decompress`."""

from pathlib import Path
from typing import Annotated

import typer

from tamis.cli.console import OUT, Out, Sources, fail, line, progress_bar, split
from tamis.errors import TamisError
from tamis.mirror import Summary

Workers = Annotated[int | None, typer.Option(help="Threads.", show_default="one a core")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Redo files that are there already.")]


def compress(
    paths: Sources,
    out: Out,
    codec: Annotated[str, typer.Option(help="A name from `tamis codecs`, with options.")] = "jpeg",
    quality: Annotated[
        int | None, typer.Option(help="The codec's own knob.", show_default="the codec's")
    ] = None,
    preprocessor: Annotated[
        str, typer.Option(help="none, default, refine, blur:S, downscale:F, or a file.")
    ] = "none",
    steps: Annotated[
        int | None, typer.Option(help="With refine: steps for each photo.", show_default=False)
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="With refine: networks a,b to keep.", show_default=False)
    ] = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
) -> None:
    """Compress photos, and folders of photos with their tree, to standard files."""
    from tamis.compression import compress as run

    spec = _refine_spec(preprocessor, steps, models)
    with progress_bar("compressing") as progress:
        summary = run(
            paths,
            out,
            codec,
            quality,
            spec,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    _report(summary, out, f"{summary.bpp:.3f} bpp, ")


def decompress(
    paths: Sources, out: Out, workers: Workers = None, overwrite: Overwrite = False
) -> None:
    """Decode files of any codec, and folders of them with their tree, to PNG."""
    from tamis.compression import decompress as run

    with progress_bar("decoding") as progress:
        summary = run(paths, out, workers=workers, overwrite=overwrite, progress=progress)
    _report(summary, out)


def _refine_spec(preprocessor: str, steps: int | None, models: str | None) -> str:
    """`--steps` and `--models` as options of the spec `refine`."""
    spec = preprocessor
    if steps is not None:
        spec += f":steps={steps}"
    if models is not None:
        spec += f":models={'+'.join(split(models))}"
    if spec != preprocessor and preprocessor.split(":")[0] != "refine":
        raise TamisError(
            f"--steps and --models go with --preprocessor refine, not '{preprocessor}'"
        )
    return spec


def _report(summary: Summary, out: Path, rate: str = "") -> None:
    if summary.written:
        OUT.print(
            f"{summary.written} written to {out}: {_size(summary.source_bytes)} -> "
            f"{_size(summary.target_bytes)}, {rate}{summary.seconds:.1f} s",
            soft_wrap=True,
            markup=False,
        )
    if summary.skipped:
        OUT.print(f"{summary.skipped} were there already; --overwrite does them again")
    for failure in summary.failures:
        line(f"{failure.source}: {failure.reason}")
    if summary.failures:
        fail(f"{len(summary.failures)} of {len(summary.failures) + summary.written} not done")


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
