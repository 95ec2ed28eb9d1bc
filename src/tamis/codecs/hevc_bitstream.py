"""HEVC at the level of bits: NAL units, Exp-Golomb codes and the parameter sets of one picture.

Source: ITU-T H.265 (08/2021), clauses 7.3.1 (NAL units), 7.3.2.1 to 7.3.2.2 (VPS, SPS), 9.2.
"""

import re
from dataclasses import dataclass

from tamis.errors import CorruptFileError

START_CODE = b"\x00\x00\x01"
VPS, SPS, PPS, PREFIX_SEI, SUFFIX_SEI = 32, 33, 34, 39, 40


class BitReader:
    """Reads bits, most significant first; raises `CorruptFileError` past the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def u(self, count: int) -> int:
        """Unsigned integer of `count` bits."""
        if count > self._left:
            raise CorruptFileError("an HEVC header ends in the middle of a field")
        self._left -= count
        return (self._bits >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        """Unsigned Exp-Golomb code, `ue(v)`."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise CorruptFileError("an HEVC header holds a number over 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb code, `se(v)`."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


class BitWriter:
    """Collects bits, most significant first."""

    def __init__(self) -> None:
        self._bits = 0
        self._count = 0

    def u(self, count: int, value: int) -> None:
        """Append `value` in `count` bits."""
        self._bits = (self._bits << count) | value
        self._count += count

    def ue(self, value: int) -> None:
        """Append an unsigned Exp-Golomb code."""
        length = (value + 1).bit_length()
        self.u(2 * length - 1, value + 1)

    def padded(self, stop_bit: bool) -> bytes:
        """The bits as bytes, after a stop bit if asked, filled up with zeros."""
        bits, count = (self._bits << 1 | 1, self._count + 1) if stop_bit else (self._bits, self._count)
        fill = -count % 8
        return (bits << fill).to_bytes((count + fill) // 8, "big")


def split_nals(stream: bytes) -> list[bytes]:
    """NAL units of an Annex B stream, without start codes; zero bytes between them are dropped."""
    return [nal for part in stream.split(START_CODE)[1:] if len(nal := part.rstrip(b"\0")) > 2]


def nal_type(nal: bytes) -> int:
    """The `nal_unit_type`."""
    return nal[0] >> 1 & 0x3F


def nal_layer(nal: bytes) -> int:
    """The `nuh_layer_id`."""
    return (nal[0] & 1) << 5 | nal[1] >> 3


def is_slice(nal: bytes) -> bool:
    """Whether the NAL unit is a slice segment of a coded picture."""
    kind = nal_type(nal)
    return kind <= 9 or 16 <= kind <= 21


def starts_picture(nal: bytes) -> bool:
    """Whether the NAL unit is the first slice segment of a picture."""
    return is_slice(nal) and bool(nal[2] & 0x80)


def to_base_layer(nal: bytes) -> bytes:
    """The same NAL unit with `nuh_layer_id` 0."""
    return bytes((nal[0] & 0xFE, nal[1] & 0x07)) + nal[2:]


def unescape(nal: bytes) -> bytes:
    """Remove emulation prevention bytes."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


def escape(payload: bytes) -> bytes:
    """Insert emulation prevention bytes, so that no start code appears inside."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


@dataclass(frozen=True)
class Pcm:
    """PCM coding fields of an SPS, named as in the standard."""

    luma_depth_minus1: int
    chroma_depth_minus1: int
    log2_min_size_minus3: int
    log2_diff_max_min_size: int
    loop_filter_disabled: int


@dataclass(frozen=True)
class CodingTools:
    """The fields of an SPS that decide how an intra picture is parsed, beside size and depth.

    Attributes:
        range_extension: the nine flags of `sps_range_extension`, or None where there is none.
    """

    log2_min_cb_minus3: int
    log2_diff_max_min_cb: int
    log2_min_tb_minus2: int
    log2_diff_max_min_tb: int
    max_transform_depth_intra: int
    sao: int
    pcm: Pcm | None
    strong_intra_smoothing: int
    range_extension: int | None

    @property
    def cb_size(self) -> int:
        """Smallest coding block, in luma samples; the coded size is a multiple of it."""
        return 8 << self.log2_min_cb_minus3


@dataclass(frozen=True)
class Sps:
    """Sequence parameter set of a single intra picture.

    Attributes:
        chroma_format: `chroma_format_idc`, 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        width: coded width in luma samples.
        height: coded height in luma samples.
        depth: bits per sample, of luma and chroma.
    """

    chroma_format: int
    width: int
    height: int
    depth: int
    tools: CodingTools


def read_pcm(bits: BitReader) -> Pcm | None:
    """`pcm_enabled_flag` and what depends on it."""
    return Pcm(bits.u(4), bits.u(4), bits.ue(), bits.ue(), bits.u(1)) if bits.u(1) else None


def write_pcm(bits: BitWriter, pcm: Pcm | None) -> None:
    """Inverse of `read_pcm`."""
    bits.u(1, int(pcm is not None))
    if pcm is not None:
        bits.u(4, pcm.luma_depth_minus1)
        bits.u(4, pcm.chroma_depth_minus1)
        bits.ue(pcm.log2_min_size_minus3)
        bits.ue(pcm.log2_diff_max_min_size)
        bits.u(1, pcm.loop_filter_disabled)


def read_extension(bits: BitReader) -> int | None:
    """`sps_extension_present_flag` and a range extension; other extensions are refused."""
    if not bits.u(1):
        return None
    has_range = bits.u(1)
    if bits.u(7):
        raise CorruptFileError("the HEVC picture uses an extension other than the range extension")
    return bits.u(9) if has_range else None


def write_extension(bits: BitWriter, flags: int | None) -> None:
    """Inverse of `read_extension`."""
    bits.u(1, int(flags is not None))
    if flags is not None:
        bits.u(8, 0x80)
        bits.u(9, flags)


def _skip_vui(bits: BitReader) -> None:
    if bits.u(1) and bits.u(8) == 255:  # aspect ratio
        bits.u(32)
    if bits.u(1):  # overscan
        bits.u(1)
    if bits.u(1):  # video signal type
        bits.u(4)
        if bits.u(1):
            bits.u(24)
    if bits.u(1):  # chroma location
        bits.ue(), bits.ue()
    bits.u(3)
    if bits.u(1):  # default display window
        bits.ue(), bits.ue(), bits.ue(), bits.ue()
    if bits.u(1):  # timing
        bits.u(64)
        if bits.u(1):
            bits.ue()
        if bits.u(1):
            raise CorruptFileError("HRD parameters in an SPS are not supported")
    if bits.u(1):  # bitstream restriction
        bits.u(3)
        for _ in range(5):
            bits.ue()


def parse_sps(nal: bytes) -> Sps:
    """Parse the SPS that an intra encoder wrote, as clause 7.3.2.2 lays it out.

    Raises:
        CorruptFileError: it ends early, or uses what a single picture cannot (sub-layers, scaling
            lists, separate colour planes, reference picture sets).
    """
    bits = BitReader(unescape(nal)[2:])
    bits.u(4)
    if bits.u(3):
        raise CorruptFileError("an SPS with sub-layers is not supported")
    bits.u(1)
    bits.u(96)  # profile, tier and level
    bits.ue()
    chroma_format = bits.ue()
    if chroma_format == 3 and bits.u(1):
        raise CorruptFileError("separately coded colour planes are not supported")
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        for _ in range(4):
            bits.ue()
    depth = bits.ue() + 8
    if bits.ue() + 8 != depth:
        raise CorruptFileError("luma and chroma of different bit depths are not supported")
    bits.ue()
    bits.u(1)
    bits.ue(), bits.ue(), bits.ue()  # picture buffer
    blocks = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    bits.ue()
    depth_intra = bits.ue()
    if bits.u(1):
        raise CorruptFileError("scaling lists are not supported")
    bits.u(1)
    sao = bits.u(1)
    pcm = read_pcm(bits)
    if bits.ue() or bits.u(1):
        raise CorruptFileError("an SPS with reference picture sets is not supported")
    bits.u(1)
    smoothing = bits.u(1)
    if bits.u(1):
        _skip_vui(bits)
    tools = CodingTools(*blocks, depth_intra, sao, pcm, smoothing, read_extension(bits))
    return Sps(chroma_format, width, height, depth, tools)


def _write_profile(bits: BitWriter) -> None:
    bits.u(8, 4)  # format range extensions profile
    bits.u(32, 1 << 27)
    bits.u(48, 0)
    bits.u(8, 255)  # level 8.5: no limit


def write_vps() -> bytes:
    """The NAL unit of a video parameter set for one layer without timing (clause 7.3.2.1)."""
    bits = BitWriter()
    bits.u(16, VPS << 9 | 1)
    bits.u(4, 0)
    bits.u(2, 3)
    bits.u(9, 0)
    bits.u(1, 1)
    bits.u(16, 0xFFFF)
    _write_profile(bits)
    bits.u(1, 1)
    bits.ue(1), bits.ue(0), bits.ue(0)
    bits.u(6, 0)
    bits.ue(0)
    bits.u(2, 0)
    return escape(bits.padded(stop_bit=True))


def write_sps(sps: Sps) -> bytes:
    """The NAL unit of `sps`; what BPG leaves out has the values its specification assumes."""
    bits, tools = BitWriter(), sps.tools
    bits.u(16, SPS << 9 | 1)
    bits.u(8, 1)
    _write_profile(bits)
    bits.ue(0)
    bits.ue(sps.chroma_format)
    if sps.chroma_format == 3:
        bits.u(1, 0)
    bits.ue(sps.width), bits.ue(sps.height)
    bits.u(1, 0)
    bits.ue(sps.depth - 8), bits.ue(sps.depth - 8)
    bits.ue(4)  # log2_max_pic_order_cnt_lsb_minus4
    bits.u(1, 1)
    bits.ue(1), bits.ue(0), bits.ue(0)
    bits.ue(tools.log2_min_cb_minus3), bits.ue(tools.log2_diff_max_min_cb)
    bits.ue(tools.log2_min_tb_minus2), bits.ue(tools.log2_diff_max_min_tb)
    bits.ue(tools.max_transform_depth_intra), bits.ue(tools.max_transform_depth_intra)
    bits.u(2, 1)  # no scaling list; asymmetric motion partitions
    bits.u(1, tools.sao)
    write_pcm(bits, tools.pcm)
    bits.ue(0)
    bits.u(2, 1)  # no long-term references; temporal motion vector prediction
    bits.u(1, tools.strong_intra_smoothing)
    bits.u(1, 0)
    write_extension(bits, tools.range_extension)
    return escape(bits.padded(stop_bit=True))
