"""JPEG XL through pillow-jxl-plugin (libjxl), an optional package."""

import io
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar, Literal

from PIL import Image as PillowImage

from tamis.codecs.base import Codec, Image, QualityScale, check_size
from tamis.codecs.pillow import decode_with_pillow
from tamis.errors import CorruptFileError

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

RATIOS = ((0, 1), (1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width over height, by the size header's code; code 0 gives the width itself."""


@dataclass(frozen=True)
class Jxl(Codec):
    """A lossy JPEG XL file (VarDCT in the XYB colour space).

    Attributes:
        effort: 1 (fastest) to 9 (smallest file) effort of libjxl.
    """

    name: ClassVar[str] = "jxl"
    suffix: ClassVar[str] = ".jxl"
    quality: ClassVar[QualityScale] = QualityScale(
        "quality", 1, 99, True, (5, 8, 12, 18, 26, 36, 48, 60, 70, 80, 88), 48
    )
    max_side: ClassVar[int] = 16384

    effort: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9] = 7

    @classmethod
    def missing(cls) -> str | None:
        """`tamis[jxl]`, where pillow-jxl-plugin is not installed."""
        return None if find_spec("pillow_jxl") else "tamis[jxl]"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is a JPEG XL codestream or the container around one."""
        return head.startswith((CODESTREAM, CONTAINER))

    def _encode(self, image: Image, quality: int) -> bytes:
        _register()
        out = io.BytesIO()
        PillowImage.fromarray(image).save(
            out, "JXL", quality=quality, effort=self.effort, lossless=False, num_threads=1
        )
        return out.getvalue()

    def _decode(self, data: bytes) -> Image:
        # The plugin decodes on opening, so the size has to be read before.
        check_size(self.name, *coded_size(data), self.max_side)
        _register()
        return decode_with_pillow(data, self.name, self.max_side, "JXL")


@cache
def _register() -> None:
    """Import the plugin, which adds the format to Pillow, on first use only."""
    import_module("pillow_jxl")


def coded_size(data: bytes) -> tuple[int, int]:
    """Width and height in the size header of a JPEG XL file.

    Source: ISO/IEC 18181-1, size header (fields from the least significant bit up), and 18181-2,
    boxes.

    Raises:
        CorruptFileError: there is no codestream or it ends early.
    """
    stream = data if data.startswith(CODESTREAM) else _codestream(data)
    if not stream.startswith(CODESTREAM):
        raise CorruptFileError("not a whole jxl file: no codestream")
    bits, used = int.from_bytes(stream[2:14], "little"), 0

    def take(count: int) -> int:
        nonlocal used
        used += count
        return bits >> (used - count) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    over, under = RATIOS[take(3)]
    return (height * over // under if over else side()), height


def _codestream(data: bytes) -> bytes:
    """The first bytes of the codestream in a container."""
    at = len(CONTAINER)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16]), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            return data[start : start + 64]
        if length < head:
            break
        at += length
    return b""
