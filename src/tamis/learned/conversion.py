"""A CompressAI checkpoint made into a model directory that works as a codec."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tamis.codecs.base import Image
from tamis.data.folders import load_photo
from tamis.learned.card import Card
from tamis.learned.compressai import load_compressai, read_checkpoint
from tamis.learned.package import save

CALIBRATION_PHOTOS = 24
CALIBRATION_SIDE = 512
"""Photos that set the integer ranges, and the longest side of what is taken from their middle."""


def convert(
    checkpoint: Path | str, name: str, out: Path | str, photos: Sequence[Path | str]
) -> Card:
    """Write the model directory `out` from weights of CompressAI's model `name`.

    Args:
        checkpoint: file of torch or safetensors.
        name: one of `tamis.learned.compressai.MODELS`.
        out: made if needed.
        photos: like those to be coded; `CALIBRATION_PHOTOS` spread over them are read.

    Raises:
        TamisError: weights of another model, a photo that cannot be read, or no place to write.
    """
    model = load_compressai(read_checkpoint(checkpoint), name)
    return save(
        out,
        model,
        calibration_images(photos),
        lambda_=None,
        metric=None,
        steps=None,
        recipe=f"{Path(checkpoint).name}, converted from CompressAI's {name}",
        data="unknown",
        licence="NOASSERTION",
    )


def calibration_images(photos: Sequence[Path | str]) -> Iterator[Image]:
    """The middles of some photos, spread evenly over all of them."""
    for photo in photos[:: -(-len(photos) // CALIBRATION_PHOTOS) or 1]:
        image = load_photo(photo)
        top, left = (max(0, side - CALIBRATION_SIDE) // 2 for side in image.shape[:2])
        yield image[top : top + CALIBRATION_SIDE, left : left + CALIBRATION_SIDE]
