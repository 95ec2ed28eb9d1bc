"""Image strips for the report: original, filtered, difference, decoded, with bits and top class."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from tamis.bench.metrics import enlarge
from tamis.codecs import Codec, Image
from tamis.preprocessing.base import Preprocessor
from tamis.tasks.base import Predictions, Task

AMPLIFIED = 4
"""Differences are shown times this, around mid grey."""
LONGEST_SIDE = 448
"""Pictures are shrunk to this many pixels for display; lossy WebP of quality 92."""


@dataclass(frozen=True)
class Cell:
    """What one preprocessor did to one photo.

    Attributes:
        preprocessor: its spec.
        filtered: the picture handed to the encoder.
        difference: filtered minus original, amplified, or None where nothing changed.
        decoded: what the decoder gives.
        bits: length of the file.
        bpp: bits per pixel of the source.
        says: top prediction of the task for the decoded picture, empty if it cannot tell.
    """

    preprocessor: str
    filtered: Image
    difference: Image | None
    decoded: Image
    bits: int
    bpp: float
    says: str


@dataclass(frozen=True)
class Strip:
    """One photo at one codec and quality through every preprocessor."""

    name: str
    codec: str
    quality: int
    original: Image
    says: str
    cells: tuple[Cell, ...]


def make_strips(
    photos: Sequence[tuple[str, Image]],
    codec: tuple[str, Codec],
    quality: int,
    preprocessors: Sequence[tuple[str, Preprocessor]],
    task: Task,
) -> list[Strip]:
    """Filter, code and decode a few pictures and keep what there is to see.

    Args:
        photos: names and pictures, as they are coded.
        codec: spec and codec.
        quality: the codec's.
        preprocessors: specs and preprocessors.
        task: whose top prediction is told, by `describe(row)` if it has that.
    """
    images = [image for _, image in photos]
    columns: list[list[Cell]] = []
    for spec, preprocessor in preprocessors:
        filtered = preprocessor.batch(images, codec[1], quality)
        files = [codec[1].encode(image, quality) for image in filtered]
        decoded = [codec[1].decode(data) for data in files]
        says = _describe(task, task.predict(decoded))
        columns.append(
            [
                Cell(spec, kept, difference(kept, image), back, 8 * len(data),
                     8 * len(data) / (image.shape[0] * image.shape[1]), words)
                for image, kept, data, back, words in zip(
                    images, filtered, files, decoded, says, strict=True
                )
            ]
        )  # fmt: skip
    originals = _describe(task, task.predict(images))
    return [
        Strip(name, codec[0], quality, image, originals[i], tuple(column[i] for column in columns))
        for i, (name, image) in enumerate(photos)
    ]


def difference(filtered: Image, original: Image) -> Image | None:
    """Filtered minus original times `AMPLIFIED` around grey 128; None if they are equal."""
    change = enlarge(filtered, original).astype(np.int16) - original
    if not change.any():
        return None
    shown: Image = np.clip(128 + AMPLIFIED * change, 0, 255).astype(np.uint8)
    return shown


def data_uri(image: Image) -> str:
    """A picture for an `src` attribute."""
    picture = PillowImage.fromarray(image)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=92)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _describe(task: Task, predictions: Predictions) -> list[str]:
    describe = getattr(task, "describe", None)
    return [describe(row) if describe else "" for row in predictions]
