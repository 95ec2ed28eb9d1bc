"""Decoding through Pillow's plugins, with the size checked before any pixel is allocated."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image as PillowImage

from tamis.codecs.base import Image, check_size
from tamis.errors import CorruptFileError, LimitError, TamisError


def decode_with_pillow(data: bytes, codec: str, max_side: int, format_: str) -> Image:
    """Decode `data` by Pillow's plugin for `format_` and by no other.

    The plugin is opened directly: `PIL.Image.open` would apply a limit of its own, which is lower
    than ours and belongs to the whole process.

    Raises:
        CorruptFileError: not a whole, valid file of the format.
        LimitError: the header announces a picture over the limit, or memory runs out.
    """
    PillowImage.init()
    factory, _ = PillowImage.OPEN[format_]
    with damage_as_tamis_error(codec), factory(io.BytesIO(data), "") as picture:
        check_size(codec, picture.width, picture.height, max_side)
        return np.asarray(picture.convert("RGB"))


@contextmanager
def damage_as_tamis_error(codec: str) -> Iterator[None]:
    """Turn whatever a decoder raises inside into `CorruptFileError`, or `LimitError` for memory."""
    try:
        yield
    except MemoryError as error:
        raise LimitError(f"not enough memory for this {codec} picture") from error
    except TamisError:
        raise
    except Exception as error:  # damage comes as any type: IndexError, struct.error, KeyError
        lines = str(error).strip().splitlines()
        raise CorruptFileError(
            f"not a whole {codec} file: {lines[0] if lines else type(error).__name__}"
        ) from error
