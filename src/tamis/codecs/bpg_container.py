"""The BPG container: file header and modified HEVC header, read and written.

Source: BPG Specification 0.9.5 (F. Bellard, 2015), section 3.
"""

from dataclasses import dataclass
from typing import Literal

from tamis.codecs.hevc_bitstream import BitReader, BitWriter
from tamis.codecs.hevc_sps import (
    CodingTools,
    read_extension,
    read_pcm,
    write_extension,
    write_pcm,
)
from tamis.codecs.ycbcr import ColorFormat, Layout, Matrix
from tamis.errors import CorruptFileError

MAGIC = b"BPG\xfb"

Alpha = Literal["none", "straight", "premultiplied", "white"]
"""The fourth plane: none, opacity, opacity the colours are multiplied by, or W of CMYK."""

_LAYOUTS: tuple[tuple[Layout, bool], ...] = (
    ("400", False),
    ("420", False),
    ("422", False),
    ("444", False),
    ("420", True),
    ("422", True),
)
_MATRICES: tuple[Matrix, ...] = ("bt601", "rgb", "ycgco", "bt709", "bt2020")
_ALPHAS: tuple[Alpha, ...] = ("none", "white", "straight", "premultiplied")

# Flags of the range extension a BPG file must not set: extended precision, aligned bypass.
_FORBIDDEN_RANGE_FLAGS = 0b000010001


@dataclass(frozen=True)
class BpgHeader:
    """What a BPG file says before its HEVC data; sizes in pixels."""

    width: int
    height: int
    color: ColorFormat
    alpha: Alpha = "none"
    animation: bool = False


def write_ue7(value: int) -> bytes:
    """`ue7`: seven bits a byte, most significant first, the top bit set on all but the last."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def read_ue7(data: bytes, at: int) -> tuple[int, int]:
    """The `ue7` number of at most 32 bits at offset `at`, and the offset after it."""
    value = 0
    for i in range(5):
        if at + i >= len(data):
            raise CorruptFileError("the BPG header ends in the middle of a number")
        byte = data[at + i]
        if i == 0 and byte == 0x80:
            break
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            if value >= 1 << 32:
                break
            return value, at + i + 1
    raise CorruptFileError("a number in the BPG header is not a valid ue7 of 32 bits")


def write_bpg(header: BpgHeader, picture: bytes) -> bytes:
    """A whole file. `picture` is the modified HEVC header and the HEVC data.

    The length of the picture is written (bpgenc leaves it open): one or two bytes that make a
    truncated file certain to be noticed.
    """
    color = header.color
    first = _LAYOUTS.index((color.layout, color.cosited)) << 5 | (color.depth - 8)
    second = _MATRICES.index(color.matrix) << 4 | color.limited << 1
    sizes = (header.width, header.height, len(picture))
    return MAGIC + bytes((first, second)) + b"".join(map(write_ue7, sizes)) + picture


def read_bpg(data: bytes) -> tuple[BpgHeader, bytes, bool]:
    """The header, the picture data, and whether the file says how long that data is.

    Extension data (EXIF, ICC profile, XMP, thumbnail, animation control) are skipped.

    Raises:
        CorruptFileError: reserved values, impossible lengths, or a file that ends early.
    """
    if len(data) < 6 or not data.startswith(MAGIC):
        raise CorruptFileError("not a BPG file")
    first, second = data[4], data[5]
    layout, matrix, depth = first >> 5, second >> 4, (first & 15) + 8
    if layout >= len(_LAYOUTS) or matrix >= len(_MATRICES) or depth > 14:
        raise CorruptFileError(
            f"BPG pixel format {layout}, colour space {matrix} or bit depth {depth} is reserved"
        )
    alpha = _ALPHAS[(first >> 4 & 1) << 1 | second >> 2 & 1]
    if layout == 0 and (matrix or alpha == "white"):
        raise CorruptFileError("a grey BPG picture with a colour space or a W plane")
    if matrix == 1 and layout != 3:
        raise CorruptFileError("a BPG picture in RGB must be 4:4:4")
    width, at = read_ue7(data, 6)
    height, at = read_ue7(data, at)
    length, at = read_ue7(data, at)
    if second >> 3 & 1:
        skipped, at = read_ue7(data, at)
        at += skipped
    end = at + length if length else len(data)
    if end > len(data) or at >= end:
        raise CorruptFileError(f"the BPG file ends after {len(data)} bytes; it should have {end}")
    color = ColorFormat(
        layout=_LAYOUTS[layout][0],
        matrix=_MATRICES[matrix],
        limited=bool(second >> 1 & 1),
        depth=depth,
        cosited=_LAYOUTS[layout][1],
    )
    header = BpgHeader(width, height, color, alpha, bool(second & 1))
    return header, data[at:end], length > 0


def write_tools(tools: CodingTools) -> bytes:
    """`hevc_header()`: the modified SPS."""
    bits = BitWriter()
    bits.ue(tools.log2_min_cb_minus3, tools.log2_diff_max_min_cb)
    bits.ue(tools.log2_min_tb_minus2, tools.log2_diff_max_min_tb)
    bits.ue(tools.max_transform_depth_intra)
    bits.u(1, tools.sao)
    write_pcm(bits, tools.pcm)
    bits.u(1, tools.strong_intra_smoothing)
    write_extension(bits, tools.range_extension)
    packed = bits.padded(stop_bit=False)
    return write_ue7(len(packed)) + packed


def read_tools(data: bytes, at: int) -> tuple[CodingTools, int]:
    """The `hevc_header()` at offset `at`, and the offset after it.

    Raises:
        CorruptFileError: it ends early, or block sizes that HEVC does not have.
    """
    length, at = read_ue7(data, at)
    if not 0 < length <= len(data) - at:
        raise CorruptFileError("the BPG file ends inside its HEVC header")
    bits = BitReader(data[at : at + min(length, 64)])
    blocks = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    depth = bits.ue()
    if blocks[0] + blocks[1] > 3 or blocks[2] + blocks[3] > 3 or depth > 4:
        raise CorruptFileError(f"HEVC has no block sizes like {blocks}, depth {depth}")
    sao = bits.u(1)
    pcm = read_pcm(bits)
    smoothing = bits.u(1)
    flags = read_extension(bits)
    if flags is not None and flags & _FORBIDDEN_RANGE_FLAGS:
        raise CorruptFileError("a BPG picture with extended precision or aligned bypass coding")
    return CodingTools(*blocks, depth, sao, pcm, smoothing, flags), at + length
