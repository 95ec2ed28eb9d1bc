"""The command line: arguments in, one function call, a table or a line out.

Every command imports what it runs when it runs, so that `tamis compress` starts fast and needs no
torch. An error a user can act on is one red line and exit code 1.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from tamis import __version__
from tamis.errors import TamisError
from tamis.mirror import Progress, Summary

app = typer.Typer(
    name="tamis",
    help="Compress images for machines with the encoders people already run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(help="Train what stands in front of the encoder.", no_args_is_help=True)
app.add_typer(train, name="train")
analyze = typer.Typer(help="See what is left in a learned codec's latents.", no_args_is_help=True)
app.add_typer(analyze, name="analyze")
convert = typer.Typer(help="Make codecs of other people's models.", no_args_is_help=True)
app.add_typer(convert, name="convert")

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

Sources = Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", show_default=False)]
Workers = Annotated[int | None, typer.Option(help="Threads.", show_default="one a core")]
Patches = Annotated[int, typer.Option(help="Random patches of the photos.")]
PatchSize = Annotated[int, typer.Option(help="Their side in pixels, a multiple of 64.")]
Small = Annotated[
    Literal["reflect", "resize"], typer.Option(help="What is done with smaller photos.")
]
Seed = Annotated[int, typer.Option(help="Another seed, other patches.")]
Processes = Annotated[int | None, typer.Option(help="Processes.", show_default="one a core")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Redo files that are there already.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a line of error, 2 wrong usage, 130 Ctrl-C."""
    try:
        app(args=None if arguments is None else list(arguments))
    except TamisError as error:
        _fail(str(error))
    except ImportError as error:
        if (error.name or "tamis").startswith("tamis"):
            _unexpected(error)
        _fail(f"this command needs more packages ({error.name}): pip install 'tamis[lab]'")
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
        _out.print(f"tamis {__version__}")
        raise typer.Exit


@app.command()
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
    with _progress("compressing") as progress:
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


@app.command()
def decompress(
    paths: Sources, out: Out, workers: Workers = None, overwrite: Overwrite = False
) -> None:
    """Decode files of any codec, and folders of them with their tree, to PNG."""
    from tamis.compression import decompress as run

    with _progress("decoding") as progress:
        summary = run(paths, out, workers=workers, overwrite=overwrite, progress=progress)
    _report(summary, out)


@app.command()
def codecs() -> None:
    """List the codecs: their quality knob, their options, and whether they work here."""
    from tamis.codecs.registry import describe

    table = Table("codec", "files", "quality", "best is", "options", "works here")
    for row in describe():
        knob, larger = f"{row.unit} {row.low}..{row.high}", "high" if row.ascending else "low"
        options = "\n".join(f"{key}={values[0]}" for key, values in row.options.items())
        works = "yes" if row.missing is None else f"no: pip install {row.missing}"
        table.add_row(row.name, row.suffix, knob, larger, options, works)
    _out.print(table)


@app.command()
def models() -> None:
    """List the networks: what they cost, under what licence, for which codecs."""
    from tamis.learned.zoo import shipped_models
    from tamis.preprocessing.catalogue import model_rows

    table = Table("model", "network", "parameters", "MACs/pixel", "licence", "codecs")
    for row in model_rows():
        covers = ", ".join(f"{codec} {low}..{high}" for codec, (low, high) in row.codecs.items())
        cost = (f"{row.parameters:,}", f"{row.macs_per_pixel:,.0f}")
        table.add_row(row.name, row.network, *cost, row.licence, covers or "untrained")
    _out.print(table)
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
        _out.print(table)


@train.command("preprocessor")
def train_preprocessor(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.", show_default=False)],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on where a run stopped, or start over.")
    ] = True,
) -> None:
    """Train a preprocessor as a recipe says."""
    from tamis.training.preprocessor import train_preprocessor as run

    _out.print(f"written: {run(recipe, resume=resume)}", soft_wrap=True, markup=False)


@train.command("codec")
def train_codec(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.", show_default=False)],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on where a run stopped, or start over.")
    ] = True,
) -> None:
    """Train a learned codec, one rate after another, as a recipe says."""
    from tamis.training.codec import train_codec as run

    for path in run(recipe, resume=resume):
        _out.print(f"written: {path}", soft_wrap=True, markup=False)


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
    _out.print(f"written: {out}, fingerprint {card.fingerprint[:16]}", soft_wrap=True, markup=False)


@app.command()
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
    from tamis.data import list_photos

    results = run(
        [photo for path in photos for photo in list_photos(path)],
        tasks=[name for names in task for name in _split(names)],
        codecs=_split(codecs),
        preprocessors=_split(preprocessors),
        protocol=protocol,
        qualities=_ladders(qualities or []),
        out=out,
        processes=processes,
        console=_out,
    )
    _out.print(results.rich_table())
    _out.print(f"report: {results.report}", soft_wrap=True, markup=False)
    _out.print(results.sentence(), soft_wrap=True, markup=False)


@app.command()
def proxy(
    photos: Sources, codecs: Annotated[str, typer.Option(help="Codecs a,b.")] = "jpeg,bpg"
) -> None:
    """Say how well the differentiable stand-in of each codec predicts real file sizes."""
    from tamis.bench.proxy_report import report

    report(photos, codecs=_split(codecs), console=_out)


@analyze.command("correlation")
def analyze_correlation(
    photos: Sources,
    model: Annotated[
        str, typer.Option(help="A shipped model, such as joint-2, or a model directory.")
    ],
    out: Out,
    patches: Patches = 5000,
    pairs: Annotated[int, typer.Option(help="Adjacent pairs in each patch.")] = 200,
    size: PatchSize = 512,
    small: Small = "reflect",
    seed: Seed = 0,
    workers: Processes = None,
) -> None:
    """Measure correlation in the latent, before and after prediction; go on where it stopped."""
    from tamis.analysis.correlation import analyze_correlation as run
    from tamis.analysis.report import REPORT, sentences
    from tamis.data import list_photos

    files = [photo for path in photos for photo in list_photos(path)]
    with _progress("analyzing") as progress:
        result = run(
            model,
            files,
            out,
            patches=patches,
            pairs=pairs,
            size=size,
            small=small,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    table = Table("finding", "channels", "verdict", "evidence")
    for finding in result.findings:
        table.add_row(finding.claim, finding.channels, finding.verdict, finding.evidence)
    _out.print(table)
    for sentence in sentences(result):
        _out.print(sentence, soft_wrap=True, markup=False)
    _out.print(f"report: {out / REPORT}", soft_wrap=True, markup=False)


@analyze.command("features")
def analyze_features(
    photos: Sources,
    model: Annotated[list[str], typer.Option(help="Shipped models or directories; repeat or a,b.")],
    out: Out,
    patches: Patches = 1000,
    size: PatchSize = 512,
    small: Small = "reflect",
    seed: Seed = 0,
    workers: Processes = None,
) -> None:
    """Compare how much the features of several models say, and how often they say nothing."""
    from tamis.analysis.features import analyze_features as run
    from tamis.data import list_photos

    with _progress("analyzing") as progress:
        found = run(
            [name for names in model for name in _split(names)],
            [photo for path in photos for photo in list_photos(path)],
            out,
            patches=patches,
            size=size,
            small=small,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    # One column a model: there are more statistics than a terminal has room for.
    table = Table("statistic", *found["model"])
    for column in found.drop("model"):
        cells = (
            f"{v:.3f}" if isinstance(v, float) else "" if v is None else str(v) for v in column
        )
        table.add_row(column.name, *cells)
    _out.print(table)


@analyze.command("latents")
def analyze_latents(
    photo: Annotated[Path, typer.Argument(help="One photo.", show_default=False)],
    model: Annotated[str, typer.Option(help="A shipped model, or a model directory.")],
    out: Out,
    channels: Annotated[int, typer.Option(help="How many of the most expensive to show.")] = 3,
) -> None:
    """Draw a photo inside a learned codec: where its bits go, what is predicted, what remains."""
    from tamis.analysis.anatomy import draw_anatomy
    from tamis.analysis.sources import model_directory
    from tamis.data import load_photo
    from tamis.learned.package import load

    network = load(model_directory(model)).model
    for path in draw_anatomy(network, load_photo(photo), out, f"latents-{photo.stem}", channels):
        _out.print(str(path), soft_wrap=True, markup=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("demo"),
) -> None:
    """Compress sample photos with and without Tamis, and see what a classifier makes of them."""
    from tamis.demo import demo as run

    run(out, _out)


def _refine_spec(preprocessor: str, steps: int | None, models: str | None) -> str:
    """`--steps` and `--models` as options of the spec `refine`."""
    spec = preprocessor
    if steps is not None:
        spec += f":steps={steps}"
    if models is not None:
        spec += f":models={'+'.join(_split(models))}"
    if spec != preprocessor and preprocessor.split(":")[0] != "refine":
        raise TamisError(
            f"--steps and --models go with --preprocessor refine, not '{preprocessor}'"
        )
    return spec


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _ladders(texts: list[str]) -> dict[str, list[int]]:
    """`["jpeg=10,20", "bpg=37"]` as qualities by codec."""
    ladders: dict[str, list[int]] = {}
    for text in texts:
        codec, equals, values = text.rpartition("=")
        numbers = _split(values)
        if not equals or not all(number.isdecimal() for number in numbers):
            raise TamisError(f"qualities are written codec=10,20,30, not '{text}'")
        ladders[codec] = [int(number) for number in numbers]
    return ladders


def _report(summary: Summary, out: Path, rate: str = "") -> None:
    if summary.written:
        _out.print(
            f"{summary.written} written to {out}: {_size(summary.source_bytes)} -> "
            f"{_size(summary.target_bytes)}, {rate}{summary.seconds:.1f} s",
            soft_wrap=True,
            markup=False,
        )
    if summary.skipped:
        _out.print(f"{summary.skipped} were there already; --overwrite does them again")
    for failure in summary.failures:
        _line(f"{failure.source}: {failure.reason}")
    if summary.failures:
        _fail(f"{len(summary.failures)} of {len(summary.failures) + summary.written} not done")


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


def _line(text: str) -> None:
    _err.print(" ".join(text.split()), style="red", soft_wrap=True, markup=False)


def _fail(text: str) -> None:
    _line(f"tamis: {text}")
    sys.exit(1)


def _unexpected(error: Exception) -> None:
    """A mistake of ours: still one line, with the way to the traceback."""
    if os.environ.get("TAMIS_TRACEBACK"):
        raise error
    _fail(f"unexpected {type(error).__name__}: {error} (TAMIS_TRACEBACK=1 shows where)")
