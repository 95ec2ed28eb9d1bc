"""`tamis demo`: real encoders with and without preprocessors, on photos that need no download."""

from pathlib import Path

from PIL import Image as PillowImage
from rich.console import Console

from tamis.bench import bench
from tamis.codecs import Image
from tamis.data import sample_photos
from tamis.mirror import usable_cores

KNOWN, UNSEEN = "efficientnet_lite0", "efficientnet_lite1"
"""Networks that judge. `refine` works for the first and never meets the second."""

REFINE = f"refine:steps=12:models={KNOWN}+efficientnet_lite2"

QUALITIES = {"jpeg": (4, 10, 20, 40, 75), "bpg": (44, 40, 36, 32), "vvc": (44, 40, 36, 32)}
"""By codec, by rising rate: enough for a curve, few enough for five minutes."""


def demo(out: Path, console: Console) -> None:
    """Bench the sample photos into `out`; end with the table, the report and one sentence.

    Photos are coded at the classifier's input size (protocol `model`), by every codec at every
    quality, as they are and through each preprocessor. Started again, it codes nothing twice.

    Raises:
        TamisError: `out` cannot be written, or packages of the extra `lab` are missing.
    """
    photos = [
        _save(photo, out / "photos" / f"{name}.png") for name, photo in sample_photos().items()
    ]
    results = bench(
        photos,
        tasks=[f"classify:{KNOWN}", f"classify:{UNSEEN}"],
        codecs=list(QUALITIES),
        preprocessors=["none", "default", REFINE],
        protocol="model",
        qualities=QUALITIES,
        out=out / "run",
        processes=usable_cores(),
        console=console,
    )
    console.print(results.rich_table())
    console.print(f"refine was tuned without {UNSEEN}: its rows are the test.")
    console.print(f"report: {results.report.resolve()}", soft_wrap=True, markup=False)
    console.print(results.sentence(), soft_wrap=True, markup=False)


def _save(photo: Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(photo).save(path)
    return path
