"""BPG: an HEVC intra picture without its parameter sets, in a header of a dozen bytes.

Source: BPG Specification 0.9.5 (F. Bellard, 2015). libbpg's `bpgdec` opens what this writes, and
this opens what `bpgenc` writes.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from tamis.codecs import bpg_container as container
from tamis.codecs.base import Codec, Image, QualityScale, check_size
from tamis.codecs.hevc_bitstream import (
    PPS,
    SPS,
    START_CODE,
    VPS,
    is_slice,
    nal_layer,
    nal_type,
    split_nals,
    starts_picture,
    to_base_layer,
)
from tamis.codecs.hevc_pcm import PCM_TOOLS, write_pcm_picture
from tamis.codecs.hevc_sps import CodingTools, Sps, parse_sps, write_sps, write_vps
from tamis.codecs.x265 import BLOCK, MIN_CODED_SIDE, Preset, decode_intra, encode_intra, pad
from tamis.codecs.ycbcr import ColorFormat, Layout, Plane, planes_to_rgb, rgb_to_planes
from tamis.errors import CorruptFileError

_CHROMA_FORMAT: dict[Layout, int] = {"400": 0, "420": 1, "422": 2, "444": 3}

# Bit depths FFmpeg's HEVC decoder has.
_DEPTHS = (8, 9, 10, 12)

# Flag of the range extension that only bpgenc's lossless mode with the jctvc encoder sets. FFmpeg
# 8.0 decodes such pictures to other samples than libbpg, without an error.
_IMPLICIT_RDPCM = 0b001000000

# Appended to the last slice of a file that does not say how long it is. A whole slice ends with a
# flag, so that what follows changes nothing; a truncated one decodes to something else.
_PROBE = bytes.fromhex("b7496ed35a") * 12


@dataclass(frozen=True)
class Bpg(Codec):
    """BPG with 8-bit BT.601 full-range YCbCr, encoded by x265 at a constant QP.

    The QP is that of `bpgenc -q`: file sizes and PSNR are those of bpgenc with x265. Pictures with
    a side of 8 pixels or less, which x265 does not take, are stored without loss at every QP.

    Reads every still picture of up to 12 bits that FFmpeg's decoder takes, whatever its chroma
    format and colour space; of an animation the first picture. Opacity is dropped.

    Attributes:
        chroma: chroma format, `"420"` or `"444"`.
        preset: x265 preset; `"veryslow"` is what `bpgenc` uses by default.
    """

    name: ClassVar[str] = "bpg"
    suffix: ClassVar[str] = ".bpg"
    quality: ClassVar[QualityScale] = QualityScale(
        "QP", 0, 51, False, (47, 44, 41, 38, 36, 34, 31, 28, 25, 22), 34
    )
    # The longest side of a square for which FFmpeg's decoder still allocates a frame.
    max_side: ClassVar[int] = 16248

    chroma: Literal["420", "444"] = "420"
    preset: Preset = "veryslow"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is the start of a BPG file."""
        return head.startswith(container.MAGIC)

    def draft(self) -> "Bpg":
        """Preset `medium` at most: half the time of `veryslow`."""
        return replace(self, preset="medium") if self.preset == "veryslow" else self

    def step(self, quality: int) -> float:
        """HEVC's quantization step: 1 at slice QP 4, doubling every 6 (H.265, equation 8-309)."""
        return float(2 ** ((slice_qp(quality) - 4) / 6))

    def _encode(self, image: Image, quality: int) -> bytes:
        height, width = image.shape[:2]
        color = ColorFormat(layout=self.chroma)
        coded = (-(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK)
        luma, *chroma = rgb_to_planes(image, color)
        half = 2 if self.chroma == "420" else 1
        planes = [pad(luma, *coded), *(pad(p, coded[0] // half, coded[1] // half) for p in chroma)]
        if min(coded) < MIN_CODED_SIDE:
            tools, nals = PCM_TOOLS, write_pcm_picture(planes)
        else:
            nals = split_nals(encode_intra(planes, quality, self.preset))
            tools = next(parse_sps(nal).tools for nal in nals if nal_type(nal) == SPS)
        kept = START_CODE.join(nal for nal in nals if is_slice(nal) or nal_type(nal) == PPS)
        return container.write_bpg(
            container.BpgHeader(width, height, color), container.write_tools(tools) + kept
        )

    def _decode(self, data: bytes) -> Image:
        header, picture, certain = container.read_bpg(data)
        check_size(self.name, header.width, header.height, self.max_side)
        if header.color.depth not in _DEPTHS:
            raise CorruptFileError(
                f"BPG with {header.color.depth} bits is not supported; depths are {_DEPTHS}"
            )
        at = 0
        alpha_tools = None
        if header.alpha != "none":
            alpha_tools, at = container.read_tools(picture, at)
        tools, at = container.read_tools(picture, at)
        nals = first_picture(split_nals(START_CODE + picture[at:]), alpha_tools is not None)
        planes = decode_layer(nals, 0, header, header.color.layout, tools)
        if not certain:
            probe = [*nals[:-1], nals[-1] + _PROBE]
            again = decode_layer(probe, 0, header, header.color.layout, tools)
            if not all(map(np.array_equal, planes, again)):
                raise CorruptFileError("the BPG file ends in the middle of its picture")
        image = planes_to_rgb(planes, header.width, header.height, header.color)
        if alpha_tools is None or header.alpha == "straight":
            return image
        (fourth,) = decode_layer(nals, 1, header, "400", alpha_tools)
        return apply_fourth_plane(image, fourth, header)


def slice_qp(quality: int) -> int:
    """QP of the picture that `bpgenc -q quality` codes with x265.

    In constant-QP mode x265 codes an intra picture finer than asked by its I/P ratio of 1.4,
    `6 log2(1.4)`, which comes to 3.
    """
    return max(0, quality - 3)


def first_picture(nals: list[bytes], has_alpha: bool) -> list[bytes]:
    """Slices and PPS of the first picture (and of its alpha picture).

    Raises:
        CorruptFileError: parameter sets that BPG forbids, and which would overrule the header.
    """
    kept: list[bytes] = []
    started = dict.fromkeys(range(1 + has_alpha), False)
    for nal in nals:
        layer = nal_layer(nal)
        if nal_type(nal) in (VPS, SPS):
            raise CorruptFileError("the HEVC data of a BPG file must not hold a VPS or an SPS")
        if layer not in started:
            continue
        if starts_picture(nal):
            if started[layer]:
                break
            started[layer] = True
        if is_slice(nal) or nal_type(nal) == PPS:
            kept.append(nal)
    return kept


def decode_layer(
    nals: list[bytes], layer: int, header: container.BpgHeader, layout: Layout, tools: CodingTools
) -> list[Plane]:
    """Planes of the colour (0) or alpha (1) layer, behind the SPS its BPG header stands for."""
    if (tools.range_extension or 0) & _IMPLICIT_RDPCM:
        raise CorruptFileError(
            "lossless BPG by the jctvc encoder is not supported: FFmpeg decodes it wrongly"
        )
    block = tools.cb_size
    width, height = (-(-side // block) * block for side in (header.width, header.height))
    sps = Sps(_CHROMA_FORMAT[layout], width, height, header.color.depth, tools)
    own = [to_base_layer(nal) for nal in nals if nal_layer(nal) == layer]
    stream = b"".join(START_CODE + nal for nal in (write_vps(), write_sps(sps), *own))
    planes, depth = decode_intra(stream)
    shapes = {"400": [], "420": [(height // 2, width // 2)] * 2, "422": [(height, width // 2)] * 2}
    expected = [(height, width), *shapes.get(layout, [(height, width)] * 2)]
    if depth != header.color.depth or [plane.shape for plane in planes] != expected:
        raise CorruptFileError("the HEVC picture is not what the BPG header announces")
    # FFmpeg hands out frames that are zero where no slice coded them, without an error. In these
    # colour spaces no RGB colour has three zeros, so a last block of zeros was not coded.
    has_chroma = len(planes) == 3 and header.color.matrix != "rgb"
    if has_chroma and not any(plane[-4:, -4:].any() for plane in planes):
        raise CorruptFileError("the HEVC picture of the BPG file stops before its last block")
    return planes


def apply_fourth_plane(image: Image, fourth: Plane, header: container.BpgHeader) -> Image:
    """Undo premultiplied opacity, or multiply by W, to get the colours themselves."""
    scale = (1 << header.color.depth) - 1
    weight = fourth[: header.height, : header.width, None] / np.float32(scale)
    if header.alpha == "white":
        return np.rint(image * weight).astype(np.uint8)
    with np.errstate(divide="ignore", invalid="ignore"):
        color = np.where(weight > 0, image / weight, 255)
    return np.rint(np.minimum(color, 255)).astype(np.uint8)
