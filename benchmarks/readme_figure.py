"""The README's picture: sample photos through one codec, as an unseen network sees them.

    python benchmarks/readme_figure.py --preprocessors none,default,refine

writes `docs/images/strips.jpg`. A row is a photo (the first of the sample photos, not chosen), a
column a preprocessor; the last shows what the last preprocessor changed, times four. Under each
picture: the length of the file, what EfficientNet-Lite2 says, which trained and refined nothing
here, and how far that is from what it says of the original, in nats of KL divergence.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tamis.bench.strips import AMPLIFIED, Strip, make_strips
from tamis.codecs import Image, get_codec
from tamis.data import sample_photos
from tamis.preprocessing import get_preprocessor
from tamis.tasks import Classify

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "strips.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preprocessors", default="none,default,refine")
    parser.add_argument("--codec", default="jpeg")
    parser.add_argument("--quality", type=int, default=20)
    parser.add_argument("--photos", type=int, default=3)
    parser.add_argument("--judge", default="efficientnet_lite2")
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    judge = Classify(arguments.judge)
    photos = list(sample_photos().items())[: arguments.photos]
    strips = make_strips(
        [(name, judge.prepare(photo)) for name, photo in photos],
        (arguments.codec, get_codec(arguments.codec)),
        arguments.quality,
        [(name, get_preprocessor(name)) for name in arguments.preprocessors.split(",")],
        judge,
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure = draw(strips, judge)
    figure.savefig(arguments.out, dpi=110, facecolor="white", pil_kwargs={"quality": 92})
    print(f"written: {arguments.out}")


def draw(strips: list[Strip], judge: Classify) -> Figure:
    """A row of pictures with captions for each strip; the numbers are printed as well."""
    columns = len(strips[0].cells) + 2
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(2.5 * columns, 2.95 * len(strips) + 0.3), layout="constrained")
        grid = figure.subplots(len(strips), columns, squeeze=False)
        for row, (line, strip) in enumerate(zip(grid, strips, strict=True)):
            reference = judge.predict([strip.original])
            show(line[0], strip.original, "original" if not row else "", f"\n{strip.says}")
            for axes, cell in zip(line[1:], strip.cells, strict=False):
                kl = judge.score(judge.predict([cell.decoded]), reference)["kl"][0]
                below = f"{cell.bits // 8:,} bytes, {kl:.2f} nats\n{cell.says}"
                plain = f"{strip.codec} {strip.quality}"
                title = plain if cell.preprocessor == "none" else f"{cell.preprocessor}, {plain}"
                show(axes, cell.decoded, "" if row else title, below)
                print(f"{strip.name} | {title} | {below}".replace("\n", ", "))
            changed = strip.cells[-1].difference
            if changed is None:
                line[-1].remove()
            else:
                show(line[-1], changed, "" if row else f"what it changed, x{AMPLIFIED}", "")
    return figure


def show(axes: Axes, image: Image, title: str, below: str) -> None:
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(below)
    for side in axes.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    main()
