"""JPEG through Pillow (libjpeg-turbo), with the settings that make the smallest file by default."""

import io
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from PIL import Image as PillowImage

from tamis.codecs.base import Codec, Image, QualityScale
from tamis.codecs.pillow import decode_with_pillow


def jpeg_scale(quality: int) -> float:
    """Factor by which libjpeg scales the standard's example tables at `quality` 1..100."""
    return 50 / quality if quality < 50 else 2 - quality / 50


@dataclass(frozen=True)
class Jpeg(Codec):
    """Baseline or progressive JPEG with optimised Huffman tables.

    Attributes:
        subsampling: chroma format, `"420"` or `"444"`.
        progressive: `True`, `False`, or `"best"`: write both and keep the smaller file.
    """

    name: ClassVar[str] = "jpeg"
    suffix: ClassVar[str] = ".jpg"
    quality: ClassVar[QualityScale] = QualityScale(
        "quality", 1, 95, True, (5, 8, 12, 16, 20, 25, 30, 40, 50, 65, 80), 30
    )
    max_side: ClassVar[int] = 65500

    subsampling: Literal["420", "444"] = "420"
    progressive: bool | Literal["best"] = "best"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is the start of a JPEG file."""
        return head.startswith(b"\xff\xd8\xff")

    def step(self, quality: int) -> float:
        """Step of the low luma frequencies: about 12 in the standard's table, scaled."""
        return max(1.0, 12 * jpeg_scale(quality))

    def draft(self) -> "Jpeg":
        """Progressive alone: one encoding for two; small pictures come out a little larger."""
        return replace(self, progressive=True) if self.progressive == "best" else self

    def _encode(self, image: Image, quality: int) -> bytes:
        kinds = (True, False) if self.progressive == "best" else (self.progressive,)
        return min((self._write(image, quality, bool(kind)) for kind in kinds), key=len)

    def _write(self, image: Image, quality: int, progressive: bool) -> bytes:
        out = io.BytesIO()
        PillowImage.fromarray(image).save(
            out,
            "JPEG",
            quality=quality,
            subsampling=0 if self.subsampling == "444" else 2,
            optimize=True,
            progressive=progressive,
        )
        return out.getvalue()

    def _decode(self, data: bytes) -> Image:
        return decode_with_pillow(data, self.name, self.max_side, "JPEG")
