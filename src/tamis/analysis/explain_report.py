"""What `tamis explain` writes: panels as PNG, the numbers as CSV, one page with all of it."""

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from tamis.analysis.explain import Explanation, explain
from tamis.analysis.panels import panels
from tamis.codecs import get_codec
from tamis.data import load_photo
from tamis.errors import TamisError
from tamis.mirror import write_whole
from tamis.preprocessing import get_preprocessor

REPORT, NUMBERS = "explain.html", "explain.csv"
COLUMNS = ("photo", "about", "of", "against", "measure", "value")

CAPTIONS = {
    "focus": "What speaks for the task's finding on the original: brighter says more. The white "
    "line bounds the strongest fifth; two unrelated fifths have an IoU of 0.11.",
    "bits": "Bits per pixel of the photo, block by block, read from the files.",
    "removed": "What the preprocessor changed before the encoder.",
}

_DPI = 100


def explain_photos(
    photos: Sequence[Path],
    out: Path,
    tasks: Sequence[str],
    codec: str = "jpeg",
    quality: int | None = None,
    preprocessor: str = "default",
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Explain every photo and write the files into `out`; return their paths, the page first.

    Args:
        photos: files; their names without suffix name the panels.
        out: folder.
        tasks: specs, each possibly with `:layer=LAYER+LAYER`.
        codec: its spec.
        quality: the codec's; None for its default.
        preprocessor: its spec.
        progress: told photos done and all there are.

    Raises:
        TamisError: two photos of one name, an unknown name, or a task that cannot be explained.
    """
    names = [photo.stem for photo in photos]
    for name in names:
        if names.count(name) > 1:
            raise TamisError(f"two photos are called {name}; their panels would be one file")
    coder, filter_ = get_codec(codec), get_preprocessor(preprocessor)
    knob = type(coder).quality
    chosen = knob.check(coder.name, knob.default if quality is None else quality)
    entries, rows, written = [], [], []
    for i, (name, photo) in enumerate(zip(names, photos, strict=True)):
        found = explain(name, load_photo(photo), tasks, coder, chosen, filter_)
        pictures = _draw(found)
        for kind, data in pictures.items():
            written.append(out / f"{name}-{kind}.png")
            write_whole(written[-1], data)
        rows += [(name, *row) for row in found.rows()]
        entries.append(_entry(found, pictures))
        if progress:
            progress(i + 1, len(photos))
    facts = {
        "codec": codec,
        knob.unit: str(chosen),
        "preprocessor": preprocessor,
        "tasks": ", ".join(tasks) or "none",
    }
    write_whole(out / NUMBERS, _csv(rows))
    write_whole(out / REPORT, _page(entries, facts).encode())
    return [out / REPORT, out / NUMBERS, *written]


def _draw(found: Explanation) -> dict[str, bytes]:
    """The panels as PNG files."""
    pictures = {}
    for kind, figure in panels(found).items():
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=_DPI, facecolor="white")
        pictures[kind] = data.getvalue()
    return pictures


def _entry(found: Explanation, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """What the page shows of one photo."""
    return {
        "name": found.name,
        "size": f"{found.original.shape[1]}x{found.original.shape[0]}",
        "layers": [(looks.name, ", ".join(looks.layers)) for looks in found.looks],
        "panels": [
            (kind, CAPTIONS[kind], "data:image/png;base64," + base64.b64encode(data).decode())
            for kind, data in pictures.items()
        ],
        "rows": list(found.rows()),
    }


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*row[:-1], f"{row[-1]:.6g}"] for row in rows)
    return out.getvalue().encode()


def _page(entries: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("explain.html.j2").render(entries=entries, facts=facts)
