"""Lossy WebP through Pillow (libwebp)."""

import io
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image as PillowImage
from PIL import features

from tamis.codecs.base import Codec, Image, QualityScale, check_size
from tamis.codecs.pillow import decode_with_pillow


@dataclass(frozen=True)
class WebP(Codec):
    """A lossy WebP file; the format is always 4:2:0.

    Attributes:
        method: 0 (fastest) to 6 (smallest file) effort of libwebp.
    """

    name: ClassVar[str] = "webp"
    suffix: ClassVar[str] = ".webp"
    quality: ClassVar[QualityScale] = QualityScale(
        "quality", 0, 100, True, (1, 5, 10, 16, 24, 34, 45, 56, 66, 75, 84), 45
    )
    max_side: ClassVar[int] = 16383

    method: Literal[0, 1, 2, 3, 4, 5, 6] = 6

    @classmethod
    def missing(cls) -> str | None:
        """`pillow`, where its build has no WebP."""
        return None if features.check("webp") else "pillow"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is the start of a WebP file."""
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"

    def _encode(self, image: Image, quality: int) -> bytes:
        out = io.BytesIO()
        PillowImage.fromarray(image).save(out, "WEBP", quality=quality, method=self.method)
        return out.getvalue()

    def _decode(self, data: bytes) -> Image:
        # libwebp allocates the canvas on opening; only the extended header can announce one over
        # the limit: 24 bits a side, less one, after the header's flags.
        if data[12:16] == b"VP8X":
            width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
            check_size(self.name, width, height, self.max_side)
        return decode_with_pillow(data, self.name, self.max_side, "WEBP")
