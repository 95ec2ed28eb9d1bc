"""What a VVC (H.266) byte stream says about its picture, read and written without a decoder.

Source: ITU-T H.266, 7.3.1 (NAL units), 7.3.2.4 (sequence parameter set), 7.3.3 (profile, tier,
level), Annex B (byte stream), and H.274, 8.3 (user data SEI).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tamis.codecs.hevc_bitstream import BitReader
from tamis.errors import CorruptFileError

SPS = 15
SUFFIX_SEI = 24

SIZE_UUID = bytes.fromhex("7461d6a99c0e4b1e8f5a43726f705648")
"""Names our user data message: the picture's true width and height, two big-endian `uint32`."""

USER_DATA = 5
"""Payload type of an SEI message of user data without registration."""


@dataclass(frozen=True)
class Nal:
    """One NAL unit: its type and its payload, start code and two-byte header removed."""

    kind: int
    payload: bytes


def nal_units(stream: bytes) -> Iterator[Nal]:
    """The NAL units of an Annex B byte stream, in order."""
    starts = [match.end() for match in re.finditer(b"\0\0\1", stream)]
    for start, end in zip(starts, [s - 3 for s in starts[1:]] + [len(stream)], strict=True):
        unit = stream[start:end].rstrip(b"\0")
        if len(unit) > 2:
            yield Nal(unit[1] >> 3, unit[2:])


def coded_size(sps: bytes) -> tuple[int, int]:
    """Width and height that a sequence parameter set announces, before any cropping.

    Raises:
        CorruptFileError: the parameter set ends early or makes no sense.
    """
    bits = BitReader(_unescape(sps))
    try:
        bits.u(8)  # identifiers of the SPS and of its VPS
        sublayers = bits.u(3)
        bits.u(4)  # chroma format, size of the coding tree unit
        if bits.u(1):
            _skip_profile(bits, sublayers)
        bits.u(1)  # gradual decoding refresh
        if bits.u(1):  # reference picture resampling
            bits.u(1)
        return bits.ue(), bits.ue()
    except CorruptFileError as error:
        raise CorruptFileError("the VVC sequence parameter set ends early") from error


def _skip_profile(bits: BitReader, sublayers: int) -> None:
    """Pass over `profile_tier_level`, which begins on a byte."""
    bits.u(18)  # profile, tier, level, frame-only and multilayer flags
    used = 19
    if bits.u(1):  # general constraints: 71 bits of flags, then a counted extension
        bits.u(71)
        extension = bits.u(8)
        bits.u(extension)
        used += 79 + extension
    bits.u(-used % 8)
    present = sum(bits.u(1) for _ in range(sublayers))
    bits.u(-sublayers % 8)
    bits.u(8 * present)
    bits.u(32 * bits.u(8))


def size_message(width: int, height: int) -> bytes:
    """A suffix SEI unit, start code included, that carries the true size as user data.

    4:2:0 pictures have even sides and encoders a smallest size; other decoders ignore the message
    and show the padding, ours cuts it off.
    """
    body = SIZE_UUID + width.to_bytes(4) + height.to_bytes(4)
    message = bytes([USER_DATA, len(body)]) + body + b"\x80"
    return b"\0\0\1" + bytes([0, SUFFIX_SEI << 3 | 1]) + _escape(message)


def true_size(sei: bytes) -> tuple[int, int] | None:
    """The size that an SEI unit written by `size_message` carries; None for any other message."""
    message = _unescape(sei[:64])
    if len(message) < 26 or message[0] != USER_DATA or message[2:18] != SIZE_UUID:
        return None
    return int.from_bytes(message[18:22]), int.from_bytes(message[22:26])


def _escape(raw: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)


def _unescape(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")
