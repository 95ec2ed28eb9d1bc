"""AVIF: AV1 intra pictures by libaom, through Pillow."""

import io
from bisect import bisect_right
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image as PillowImage
from PIL import features

from tamis.codecs.base import Codec, Image, QualityScale
from tamis.codecs.pillow import decode_with_pillow

_STEPS = {
    0: 4, 1: 8, 95: 102, 120: 152, 137: 203, 150: 255, 160: 305, 169: 359,
    176: 408, 182: 456, 188: 510, 193: 560, 198: 615, 255: 1828,
}  # fmt: skip
"""Knots of AV1's table of AC steps (8 bits, in eighths of a grey level) by quantizer index:
linear between them, geometric after the last but one; within 1 % of the table."""


@dataclass(frozen=True)
class Avif(Codec):
    """An AVIF file with one AV1 intra picture, 8-bit, full range.

    Attributes:
        chroma: chroma format, `"420"` or `"444"`.
        speed: 0 (smallest file) to 10 (fastest) effort of libaom.
    """

    name: ClassVar[str] = "avif"
    suffix: ClassVar[str] = ".avif"
    quality: ClassVar[QualityScale] = QualityScale(
        "quality", 0, 100, True, (10, 16, 22, 28, 34, 40, 48, 56, 64, 74, 84), 45
    )
    max_side: ClassVar[int] = 16384

    chroma: Literal["420", "444"] = "420"
    speed: Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] = 4

    @classmethod
    def missing(cls) -> str | None:
        """`pillow`, where its build has no AVIF."""
        return None if features.check("avif") else "pillow"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is a file type box that names AVIF among its brands."""
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, len(head), 4))}
        return head[4:8] == b"ftyp" and b"avif" in brands

    def step(self, quality: int) -> float:
        """AV1's luma AC step at `quality`, grey levels: libavif's quantizer, libaom's index."""
        quantizer = ((100 - quality) * 63 + 50) // 100
        index = {62: 249, 63: 255}.get(quantizer, 4 * quantizer)
        knots = list(_STEPS.items())
        right = min(bisect_right(list(_STEPS), index), len(knots) - 1)
        (low, a), (high, b) = knots[right - 1 : right + 1]
        part = (index - low) / (high - low)
        return (a * (b / a) ** part if high == 255 else a + part * (b - a)) / 8

    def _encode(self, image: Image, quality: int) -> bytes:
        out = io.BytesIO()
        PillowImage.fromarray(image).save(
            out,
            "AVIF",
            quality=quality,
            speed=self.speed,
            subsampling="4:4:4" if self.chroma == "444" else "4:2:0",
            max_threads=1,
        )
        return out.getvalue()

    def _decode(self, data: bytes) -> Image:
        return decode_with_pillow(data, self.name, self.max_side, "AVIF")
