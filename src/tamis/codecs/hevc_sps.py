"""HEVC parameter sets of a single intra picture: read from an encoder, written for a decoder.

Source: ITU-T H.265 (08/2021), clauses 7.3.2.1 (VPS), 7.3.2.2 (SPS), 7.3.3 (profile, tier, level)
and E.2.1 (VUI).
"""

from dataclasses import dataclass

from tamis.codecs.hevc_bitstream import SPS, VPS, BitReader, BitWriter, escape, unescape
from tamis.errors import CorruptFileError


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
    bits.ue(1, 0, 0)
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
    bits.ue(sps.width, sps.height)
    bits.u(1, 0)
    bits.ue(sps.depth - 8, sps.depth - 8)
    bits.ue(4)  # log2_max_pic_order_cnt_lsb_minus4
    bits.u(1, 1)
    bits.ue(1, 0, 0)
    bits.ue(tools.log2_min_cb_minus3, tools.log2_diff_max_min_cb)
    bits.ue(tools.log2_min_tb_minus2, tools.log2_diff_max_min_tb)
    bits.ue(tools.max_transform_depth_intra, tools.max_transform_depth_intra)
    bits.u(2, 1)  # no scaling list; asymmetric motion partitions
    bits.u(1, tools.sao)
    write_pcm(bits, tools.pcm)
    bits.ue(0)
    bits.u(2, 1)  # no long-term references; temporal motion vector prediction
    bits.u(1, tools.strong_intra_smoothing)
    bits.u(1, 0)
    write_extension(bits, tools.range_extension)
    return escape(bits.padded(stop_bit=True))
