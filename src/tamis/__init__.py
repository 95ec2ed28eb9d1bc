"""Tamis: compress images for machines with the encoders people already run.

    >>> import numpy as np
    >>> import tamis
    >>> image = np.zeros((48, 64, 3), np.uint8)
    >>> data = tamis.encode(image, codec="jpeg", quality=30)
    >>> tamis.decode(data).shape
    (48, 64, 3)

Importing this package costs next to nothing: each public name is imported when first used, and
none of them imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tamis.errors import TamisError

if TYPE_CHECKING:
    from tamis.codecs import Codec, Image, decode, get_codec, list_codecs
    from tamis.preprocessing import Preprocessor, get_preprocessor

__version__ = "0.1.0"

__all__ = [
    "Codec",
    "Image",
    "Preprocessor",
    "TamisError",
    "decode",
    "encode",
    "get_codec",
    "get_preprocessor",
    "list_codecs",
]

_HOME = {
    "Codec": "tamis.codecs",
    "Image": "tamis.codecs",
    "Preprocessor": "tamis.preprocessing",
    "decode": "tamis.codecs",
    "get_codec": "tamis.codecs",
    "get_preprocessor": "tamis.preprocessing",
    "list_codecs": "tamis.codecs",
}


def encode(
    image: "Image",
    codec: "str | Codec" = "jpeg",
    quality: int | None = None,
    preprocessor: "str | Preprocessor" = "none",
) -> bytes:
    """Preprocess `image` for `codec` and encode it to a standard file.

    Args:
        image: RGB `uint8 (H, W, 3)`, or grey `(H, W)`.
        codec: a name of `list_codecs`, with options if any (`"jpeg:subsampling=444"`).
        quality: the codec's own knob; None takes the codec's default.
        preprocessor: a name with options (`"default"`, `"blur:1.0"`), or a `Preprocessor`.

    Raises:
        TamisError: an unknown name, a quality out of range, an image the codec does not take.
    """
    from tamis.codecs import get_codec
    from tamis.codecs.base import check_image
    from tamis.preprocessing import get_preprocessor

    coder = get_codec(codec)
    scale = coder.quality
    quality = scale.check(coder.name, scale.default if quality is None else quality)
    rewrite = get_preprocessor(preprocessor)
    return coder.encode(rewrite(check_image(image), coder, quality), quality)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tamis' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
