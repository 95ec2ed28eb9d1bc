"""HEVC at the level of bits: NAL units, fixed-length and Exp-Golomb codes.

Source: ITU-T H.265 (08/2021), clauses 7.3.1 (NAL units), 9.2 (Exp-Golomb) and annex B.
"""

import re

from tamis.errors import CorruptFileError

START_CODE = b"\x00\x00\x01"
VPS, SPS, PPS = 32, 33, 34


class BitReader:
    """Reads bits, most significant first; raises `CorruptFileError` past the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._left

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

    def ue(self, *values: int) -> None:
        """Append each of `values` as an unsigned Exp-Golomb code."""
        for value in values:
            self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def padded(self, stop_bit: bool) -> bytes:
        """The bits as bytes, after a stop bit if asked, filled up with zeros."""
        bits = self._bits << 1 | 1 if stop_bit else self._bits
        size = (self._count + stop_bit + 7) // 8
        return (bits << (8 * size - self._count - stop_bit)).to_bytes(size, "big")


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
