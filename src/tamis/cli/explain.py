"""`tamis explain`: what the machine sees of a photo, what was removed, where the bits went."""

from typing import Annotated

import typer

from tamis.cli.console import OUT, Out, Sources, photos_in, progress_bar


def explain(
    photos: Sources,
    out: Out,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task with a gradient; repeat. [:layer=NAME] chooses feature maps."),
    ] = None,
    codec: Annotated[str, typer.Option(help="A name from `tamis codecs`, with options.")] = "jpeg",
    quality: Annotated[
        int | None, typer.Option(help="The codec's own knob.", show_default="the codec's")
    ] = None,
    preprocessor: Annotated[
        str, typer.Option(help="default, refine, blur:S, downscale:F, or a file.")
    ] = "default",
) -> None:
    """Show what tasks look at, what a preprocessor removed, and where a file's bits went."""
    from tamis.analysis.explain_report import explain_photos

    with progress_bar("explaining") as progress:
        written = explain_photos(
            photos_in(photos),
            out,
            ["classify:efficientnet_lite0"] if task is None else task,
            codec,
            quality,
            preprocessor,
            progress,
        )
    for path in written:
        OUT.print(str(path), soft_wrap=True, markup=False)
