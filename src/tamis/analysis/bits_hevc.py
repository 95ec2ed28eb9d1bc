"""Bits of every 8x8 block of an HEVC intra picture, in HEIC and BPG files.

The arithmetic-coded data are decoded bin by bin; a bin costs what it narrows the coder's interval,
in fractions of a bit. The costs of all blocks add up to the slice's data to the last bit, less its
stop bit and padding. What is coded for a larger block is spread evenly over its 8x8 cells, since
below a transform block bits have no place; blocks of 4x4 are counted with their cell.
"""

import io

import pillow_heif

from tamis.analysis.bits import BitMap, fold
from tamis.analysis.hevc_headers import parse_pps, parse_slice
from tamis.analysis.hevc_picture import CELL, PictureReader
from tamis.codecs import bpg_container
from tamis.codecs.bpg import first_picture
from tamis.codecs.hevc_bitstream import (
    PPS,
    SPS,
    START_CODE,
    is_slice,
    nal_type,
    split_nals,
)
from tamis.codecs.hevc_sps import Sps, parse_sps
from tamis.errors import CorruptFileError, TamisError

_CHROMA = {"400": 0, "420": 1, "422": 2, "444": 3}


def bpg_bits(data: bytes) -> BitMap:
    """Bits of the 8x8 blocks of a BPG file.

    Raises:
        CorruptFileError: not a whole BPG file.
        TamisError: coding tools that `encode` never uses, such as opacity or PCM.
    """
    header, picture, _ = bpg_container.read_bpg(data)
    if header.alpha != "none":
        raise TamisError("BPG pictures with opacity have no map of their bits")
    tools, at = bpg_container.read_tools(picture, 0)
    nals = first_picture(split_nals(START_CODE + picture[at:]), False)
    width, height = (
        -(-side // tools.cb_size) * tools.cb_size for side in (header.width, header.height)
    )
    sps = Sps(_CHROMA[header.color.layout], width, height, header.color.depth, tools)
    return _map(sps, nals, header.width, header.height, len(data))


def heic_bits(data: bytes) -> BitMap:
    """Bits of the 8x8 blocks of a HEIC file with one picture.

    Raises:
        CorruptFileError: not a whole HEIC file.
        TamisError: several pictures, or coding tools that x265 does not use for a still picture.
    """
    import av

    try:
        with av.open(io.BytesIO(data), "r", format="mov,mp4,m4a,3gp,3g2,mj2") as file:
            stream = file.streams.video[0]
            several = len(file.streams) > 1
            config = bytes(stream.codec_context.extradata or b"")
            samples = [bytes(packet) for packet in file.demux(stream) if packet.size]
    except (av.FFmpegError, IndexError) as error:
        raise CorruptFileError(f"not a whole HEIC file: {error}") from error
    if several or len(samples) != 1:
        raise TamisError("HEIC files of several pictures have no map of their bits")
    nals = _configuration(config) + _by_length(samples[0], (config[21] & 3) + 1)
    sps = next(parse_sps(nal) for nal in nals if nal_type(nal) == SPS)
    # The coded size is rounded up twice, to blocks and to whole chroma samples.
    width, height = pillow_heif.open_heif(io.BytesIO(data)).size
    return _map(sps, nals, width, height, len(data))


def _map(sps: Sps, nals: list[bytes], width: int, height: int, size: int) -> BitMap:
    """The map of the one slice among `nals`, cut to a picture of `width` x `height`."""
    parameters = [nal for nal in nals if nal_type(nal) == PPS]
    slices = [nal for nal in nals if is_slice(nal)]
    if len(slices) != 1 or not parameters:
        raise TamisError("HEVC pictures of several slices have no map of their bits")
    pps = parse_pps(parameters[0])
    try:
        bits = PictureReader(sps, pps, parse_slice(slices[0], sps, pps)).read()
    except (IndexError, ValueError) as error:
        raise CorruptFileError("an HEVC slice ends in the middle of a block") from error
    bits = fold(bits, -(-height // CELL), -(-width // CELL))
    return BitMap(bits, CELL, width, height, 8 * size - float(bits.sum()))


def _configuration(config: bytes) -> list[bytes]:
    """NAL units of an HEVC decoder configuration record (ISO/IEC 14496-15, 8.3.3.1)."""
    if len(config) < 23:
        raise CorruptFileError("the HEIC file has no HEVC configuration")
    nals, at = [], 23
    for _ in range(config[22]):
        count, at = int.from_bytes(config[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(config[at : at + 2], "big")
            nals.append(config[at + 2 : at + 2 + size])
            at += 2 + size
    return nals


def _by_length(sample: bytes, width: int) -> list[bytes]:
    """NAL units of a sample, each behind its length in `width` bytes."""
    nals, at = [], 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + width], "big")
        nals.append(sample[at + width : at + width + size])
        at += width + size
    return nals
