"""`tamis train` and `tamis convert`: where models come from."""

from pathlib import Path
from typing import Annotated

import typer

from tamis.cli.console import OUT

train = typer.Typer(help="Train what stands in front of the encoder.", no_args_is_help=True)
convert = typer.Typer(help="Make codecs of other people's models.", no_args_is_help=True)

Recipe = Annotated[Path, typer.Argument(help="A YAML recipe.", show_default=False)]
Resume = Annotated[
    bool, typer.Option("--resume/--restart", help="Go on where a run stopped, or start over.")
]


@train.command("preprocessor")
def train_preprocessor(recipe: Recipe, resume: Resume = True) -> None:
    """Train a preprocessor as a recipe says."""
    from tamis.training.preprocessor import train_preprocessor as run

    OUT.print(f"written: {run(recipe, resume=resume)}", soft_wrap=True, markup=False)


@train.command("codec")
def train_codec(recipe: Recipe, resume: Resume = True) -> None:
    """Train a learned codec, one rate after another, as a recipe says."""
    from tamis.training.codec import train_codec as run

    for path in run(recipe, resume=resume):
        OUT.print(f"written: {path}", soft_wrap=True, markup=False)


@train.command("proxy")
def train_proxy(recipe: Recipe, resume: Resume = True) -> None:
    """Fit a learned codec to a codec that has no gradient, as a recipe says."""
    from tamis.training.proxy import train_proxy as run

    OUT.print(f"written: {run(recipe, resume=resume)}", soft_wrap=True, markup=False)


@train.command("task")
def train_task(recipe: Recipe, resume: Resume = True) -> None:
    """Fine-tune the classifier behind the decoder on coded photos, as a recipe says."""
    from tamis.training.finetune import finetune as run

    OUT.print(f"written: {run(recipe, resume=resume)}", soft_wrap=True, markup=False)


@convert.command("compressai")
def convert_compressai(
    checkpoint: Annotated[Path, typer.Argument(help="Its weights.", show_default=False)],
    name: Annotated[str, typer.Argument(help="CompressAI's name of the model.")],
    out: Annotated[Path, typer.Argument(help="Directory to write.", show_default=False)],
    calibrate: Annotated[
        Path, typer.Option(help="Photos that set the integer ranges.", show_default=False)
    ],
) -> None:
    """Make a codec of a CompressAI checkpoint, used as `learned:./DIRECTORY`."""
    from tamis.data import list_photos
    from tamis.learned.conversion import convert as run

    card = run(checkpoint, name, out, list_photos(calibrate))
    OUT.print(f"written: {out}, fingerprint {card.fingerprint[:16]}", soft_wrap=True, markup=False)
