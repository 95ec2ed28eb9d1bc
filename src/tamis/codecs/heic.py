"""HEIC: HEVC intra pictures by x265 in HEIF files, through pillow-heif (libheif)."""

import io
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pillow_heif
from PIL import Image as PillowImage

from tamis.codecs.base import Codec, Image, QualityScale, check_size
from tamis.codecs.pillow import damage_as_tamis_error
from tamis.errors import CodecError

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
"""Major brands of HEIF files with HEVC pictures; `mif1` leaves the coding open."""


@dataclass(frozen=True)
class Hevc(Codec):
    """A HEIC file with one HEVC intra picture at a constant QP.

    Attributes:
        chroma: chroma format, `"420"` or `"444"`.
        preset: effort of x265; slower presets give smaller files.
    """

    name: ClassVar[str] = "hevc"
    suffix: ClassVar[str] = ".heic"
    quality: ClassVar[QualityScale] = QualityScale(
        "QP", 0, 51, False, (47, 44, 41, 38, 36, 34, 31, 28, 25, 22), 34
    )
    max_side: ClassVar[int] = 16384

    chroma: Literal["420", "444"] = "420"
    preset: Literal["ultrafast", "fast", "medium", "slow", "veryslow", "placebo"] = "slow"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is the file type box of a HEIF file that is not AVIF."""
        compatible = {head[i : i + 4] for i in range(16, len(head), 4)}
        return head[4:8] == b"ftyp" and head[8:12] in BRANDS and b"avif" not in compatible

    def step(self, quality: int) -> float:
        """Quantization step in grey levels, doubling every 6 QP; it is 1 at QP 4."""
        return float(2 ** ((quality - 4) / 6))

    def _encode(self, image: Image, quality: int) -> bytes:
        settings = {
            "preset": self.preset,
            "x265:qp": str(quality),
            "x265:ipratio": "1",  # x265 codes intra pictures 3 QP finer unless told not to
            "x265:allow-non-conformance": "1",  # long thin pictures: small blocks at a high level
            "x265:pools": "none",
        }
        out = io.BytesIO()
        try:
            pillow_heif.from_pillow(PillowImage.fromarray(image)).save(
                out, quality=50, chroma=int(self.chroma), enc_params=settings
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise CodecError(f"x265 refuses this picture: {error}") from error
        return out.getvalue()

    def _decode(self, data: bytes) -> Image:
        with damage_as_tamis_error(self.name):
            picture = pillow_heif.open_heif(io.BytesIO(data))
            width, height = picture.size
            check_size(self.name, width, height, self.max_side)
            return np.asarray(picture.to_pillow().convert("RGB"))
