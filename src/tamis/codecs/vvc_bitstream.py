"""What a VVC (H.266) byte stream says about its picture, read and written without a decoder.

Source: ITU-T H.266, 7.3.1 (NAL units), 7.3.2.4 (sequence parameter set), 7.3.3 (profile, tier,
level), Annex B (byte stream), and H.274, 8.3 (user data SEI).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tamis.errors import CorruptFileError

SPS = 15
SEI_SUFFIX = 24
VCL_TYPES = range(12)
"""NAL unit types that carry coded slices."""

SIZE_UUID = bytes.fromhex("7461d6a99c0e4b1e8f5a43726f705648")
"""Names our user data message: the picture's true width and height, two big-endian `uint32`."""

MAX_SPS_BYTES = 4096


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


def coded_size(payload: bytes) -> tuple[int, int]:
    """Largest width and height that a sequence parameter set announces, before any cropping.

    Raises:
        CorruptFileError: the parameter set ends early or makes no sense.
    """
    bits = _Bits(_unescape(payload[:MAX_SPS_BYTES]))
    bits.take(8)  # identifiers of the SPS and of its VPS
    sublayers = bits.take(3)
    bits.take(2 + 2)  # chroma format, size of the coding tree unit
    if bits.take(1):
        _skip_profile(bits, sublayers)
    bits.take(1)  # gradual decoding refresh
    if bits.take(1):  # reference picture resampling
        bits.take(1)
    return bits.golomb(), bits.golomb()


def _skip_profile(bits: "_Bits", sublayers: int) -> None:
    bits.take(7 + 1 + 8 + 2)  # profile, tier, level, frame-only and multilayer flags
    if bits.take(1):  # general constraints: 71 flags and numbers, then a counted extension
        bits.take(71)
        bits.take(bits.take(8))
    bits.align()
    present = [bits.take(1) for _ in range(sublayers)]
    bits.align()
    bits.take(8 * sum(present))
    bits.take(32 * bits.take(8))


def size_message(width: int, height: int) -> bytes:
    """A suffix SEI unit, start code included, that carries the true size in user data.

    4:2:0 pictures have even sizes and encoders a smallest one; other decoders ignore the message
    and show the padding, ours cuts it off.
    """
    body = SIZE_UUID + width.to_bytes(4) + height.to_bytes(4)
    message = bytes([5, len(body)]) + body + b"\x80"
    return b"\0\0\1" + bytes([0, SEI_SUFFIX << 3 | 1]) + _escape(message)


def true_size(payload: bytes) -> tuple[int, int] | None:
    """The size that an SEI unit written by `size_message` carries; None for any other message."""
    message = _unescape(payload[:64])
    if len(message) < 26 or message[0] != 5 or message[2:18] != SIZE_UUID:
        return None
    return int.from_bytes(message[18:22]), int.from_bytes(message[22:26])


def _escape(raw: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)


def _unescape(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")


class _Bits:
    """Reads a byte string bit by bit, most significant first."""

    def __init__(self, raw: bytes) -> None:
        self._value = int.from_bytes(raw)
        self._length = 8 * len(raw)
        self._at = 0

    def take(self, count: int) -> int:
        self._at += count
        if self._at > self._length:
            raise CorruptFileError("the VVC sequence parameter set ends early")
        return self._value >> (self._length - self._at) & ((1 << count) - 1)

    def align(self) -> None:
        self._at += -self._at % 8

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code, `ue(v)`."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise CorruptFileError("the VVC sequence parameter set holds no valid number")
        return (1 << zeros) - 1 + self.take(zeros)
