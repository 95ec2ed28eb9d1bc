"""The preprocessor contract: an image, the codec and its quality in; the image to encode out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tamis.codecs import Codec, Image


@runtime_checkable
class Preprocessor(Protocol):
    """Anything that rewrites images before they are encoded.

    `name` is the spec that makes it (`blur:1.0`), as it stands in tables. The result has the
    size of the input; only the `downscale` baseline and preprocessors that say so store a
    smaller picture.
    """

    name: str

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Return the image to hand to `codec.encode(image, quality)`."""
        ...

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """The same for several images of any sizes; may be faster than one at a time."""
        ...
