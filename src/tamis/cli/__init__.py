"""The command line: arguments in, one function call, a table or a line out.

Every command imports what it runs when it runs, so that `tamis compress` starts fast and needs no
torch. An error a user can act on is one red line and exit code 1.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tamis import __version__
from tamis.cli.ablate import ablate
from tamis.cli.analyze import analyze
from tamis.cli.console import OUT, fail
from tamis.cli.explain import explain
from tamis.cli.files import compress, decompress
from tamis.cli.learn import convert, train
from tamis.cli.lists import codecs, models
from tamis.cli.measure import bench, demo, proxy
from tamis.errors import TamisError

app = typer.Typer(
    name="tamis",
    help="Compress images for machines with the encoders people already run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (compress, decompress, codecs, models, bench, proxy, demo, ablate, explain):
    app.command()(command)
app.add_typer(train, name="train")
app.add_typer(analyze, name="analyze")
app.add_typer(convert, name="convert")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a line of error, 2 wrong usage, 130 Ctrl-C."""
    try:
        app(args=None if arguments is None else list(arguments))
    except TamisError as error:
        fail(str(error))
    except ImportError as error:
        if (error.name or "tamis").startswith("tamis"):
            _unexpected(error)
        fail(f"this command needs more packages ({error.name}): pip install 'tamis[lab]'")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _unexpected(error)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Compress images for machines with the encoders people already run."""
    if show:
        OUT.print(f"tamis {__version__}")
        raise typer.Exit


def _unexpected(error: Exception) -> None:
    """A mistake of ours: still one line, with the way to the traceback."""
    if os.environ.get("TAMIS_TRACEBACK"):
        raise error
    fail(f"unexpected {type(error).__name__}: {error} (TAMIS_TRACEBACK=1 shows where)")
