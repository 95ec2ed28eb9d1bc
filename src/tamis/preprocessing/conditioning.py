"""The scalar that tells a preprocessor how coarsely the codec will quantize (no torch)."""

import math

from tamis.codecs import Codec
from tamis.errors import TamisError


def strength(codec: Codec, quality: int) -> float:
    """Normalised logarithm of the codec's quantization step, `(log2(step) - 4) / 2`.

    A step of 16 grey levels gives 0, 4 gives -1, 64 gives 1; every useful quality of every codec
    lies between about -2 and 2, and one step further is the same change for all of them.

    >>> from tamis.codecs import get_codec
    >>> round(strength(get_codec("jpeg"), 50), 3)
    -0.208

    Raises:
        TamisError: the codec does not know its step.
    """
    step = codec.step(type(codec).quality.check(codec.name, quality))
    if step is None:
        raise TamisError(
            f"codec {codec.name} does not tell its quantization step, so a neural preprocessor "
            "cannot adapt to it; use jpeg, bpg, hevc, vvc or avif, or preprocessor none, blur or "
            "downscale"
        )
    return (math.log2(step) - 4) / 2
