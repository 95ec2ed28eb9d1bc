"""Preprocessors one after the other: `downscale:0.6+default`."""

from collections.abc import Sequence

from tamis.codecs import Codec, Image
from tamis.preprocessing.base import Preprocessor


class Chain:
    """Applies `parts` in order; the next one sees what the one before made."""

    def __init__(self, parts: Sequence[Preprocessor]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in self.parts)

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Filter one image by every part."""
        return self.batch([image], codec, quality)[0]

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """Filter several images by every part."""
        result = list(images)
        for part in self.parts:
            result = part.batch(result, codec, quality)
        return result
