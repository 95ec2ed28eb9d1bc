"""HEVC headers in front of an intra slice's data: the picture parameter set and the slice header.

Source: ITU-T H.265 (08/2021), clauses 7.3.2.3 (PPS) and 7.3.6.1 (slice segment header).
"""

from dataclasses import dataclass

from tamis.codecs.hevc_bitstream import BitReader, nal_type, unescape
from tamis.codecs.hevc_sps import Sps
from tamis.errors import CorruptFileError, TamisError

_IDR = (19, 20)
_I_SLICE = 2
_LONGEST = 4096  # bytes in which a slice header ends, entry points of long pictures included


@dataclass(frozen=True)
class Pps:
    """What of a picture parameter set decides how an intra slice is parsed."""

    output_flag: int
    extra_bits: int
    sign_hiding: int
    init_qp: int
    transform_skip: int
    qp_delta_depth: int | None
    chroma_qp_offsets: int
    bypass: int
    wavefront: int
    filter_across: int
    deblocking_override: int
    deblocking_disabled: int
    header_extension: int


@dataclass(frozen=True)
class Slice:
    """The one slice of an intra picture.

    Attributes:
        qp: at its start.
        sao_luma: whether each coding tree block says how luma is offset.
        sao_chroma: the same for chroma.
        data: the arithmetic-coded bytes, without emulation prevention.
    """

    qp: int
    sao_luma: int
    sao_chroma: int
    data: bytes


def parse_pps(nal: bytes) -> Pps:
    """Parse a picture parameter set.

    Raises:
        TamisError: tiles, scaling lists or an extension, which still pictures do without.
        CorruptFileError: it ends early.
    """
    bits = BitReader(unescape(nal)[2:])
    bits.ue(), bits.ue()
    bits.u(1)
    output_flag, extra_bits, sign_hiding = bits.u(1), bits.u(3), bits.u(1)
    bits.u(1)
    bits.ue(), bits.ue()
    init_qp = 26 + bits.se()
    bits.u(1)
    transform_skip = bits.u(1)
    qp_delta_depth = bits.ue() if bits.u(1) else None
    bits.se(), bits.se()
    chroma_qp_offsets = bits.u(1)
    bits.u(2)
    bypass, tiles, wavefront, filter_across = bits.u(1), bits.u(1), bits.u(1), 0
    if not tiles:
        filter_across = bits.u(1)
    override = disabled = 0
    if not tiles and bits.u(1):
        override, disabled = bits.u(1), bits.u(1)
        if not disabled:
            bits.se(), bits.se()
    if tiles or bits.u(1):
        raise TamisError("HEVC pictures with tiles or scaling lists have no map of their bits")
    bits.u(1)
    bits.ue()
    header_extension = bits.u(1)
    if bits.u(1):
        raise TamisError("HEVC pictures with an extended PPS have no map of their bits")
    return Pps(
        output_flag, extra_bits, sign_hiding, init_qp, transform_skip, qp_delta_depth,
        chroma_qp_offsets, bypass, wavefront, filter_across, override, disabled, header_extension,
    )  # fmt: skip


def parse_slice(nal: bytes, sps: Sps, pps: Pps) -> Slice:
    """Split a slice into what its header says and its data.

    Raises:
        TamisError: not the one slice of an IDR picture.
        CorruptFileError: it ends early.
    """
    if nal_type(nal) not in _IDR or not nal[2] & 0x80:
        raise TamisError("HEVC pictures that are not one whole IDR slice have no map of their bits")
    payload = unescape(nal)[2:]
    head = payload[:_LONGEST]
    bits = BitReader(head)
    bits.u(2)
    bits.ue()
    bits.u(pps.extra_bits)
    if bits.ue() != _I_SLICE:
        raise CorruptFileError("the HEVC slice is not an intra slice")
    bits.u(pps.output_flag)
    sao_luma = sao_chroma = 0
    if sps.tools.sao:
        sao_luma = bits.u(1)
        sao_chroma = bits.u(1) if sps.chroma_format else 0
    qp = pps.init_qp + bits.se()
    if pps.chroma_qp_offsets:
        bits.se(), bits.se()
    disabled = pps.deblocking_disabled
    if pps.deblocking_override and bits.u(1):
        disabled = bits.u(1)
        if not disabled:
            bits.se(), bits.se()
    if pps.filter_across and (sao_luma or sao_chroma or not disabled):
        bits.u(1)
    if pps.wavefront and (entries := bits.ue()):
        width = bits.ue() + 1
        for _ in range(entries):
            bits.u(width)
    if pps.header_extension:
        bits.u(8 * bits.ue())
    used = 8 * len(head) - bits.left
    return Slice(qp, sao_luma, sao_chroma, payload[used // 8 + 1 :])
