"""The file around a learned codec's bits: which model, what size, and whether all of it is there.

Bytes, numbers big-endian:

    0   magic "TAMS"
    4   version, 1
    5   fingerprint of the model that decodes it, 8 bytes
    13  height, 2 bytes
    15  width, 2 bytes
    17  CRC-32 of everything else, 4 bytes
    21  payload
"""

import struct
import zlib
from typing import NamedTuple

from tamis.codecs.base import MAX_PIXELS
from tamis.errors import CodecError, CorruptFileError, LimitError

MAGIC = b"TAMS"
VERSION = 1
MAX_SIDE = 2**16 - 1
HEADER = struct.Struct(">4sB8sHHI")
_CHECKED = HEADER.size - 4


class Packed(NamedTuple):
    """What a file holds.

    Attributes:
        fingerprint: first 8 bytes of the SHA-256 of the model.
        height: of the image, in pixels.
        width: of the image, in pixels.
        payload: the coded latents.
    """

    fingerprint: bytes
    height: int
    width: int
    payload: bytes


def pack(fingerprint: bytes, height: int, width: int, payload: bytes) -> bytes:
    """A whole file; the header takes 21 bytes.

    Raises:
        CodecError: a fingerprint that is not 8 bytes, or an image without pixels.
        LimitError: a side over `MAX_SIDE`, or more than `MAX_PIXELS` pixels.
    """
    if len(fingerprint) != 8:
        raise CodecError(f"a fingerprint has 8 bytes; this one has {len(fingerprint)}")
    if height < 1 or width < 1:
        raise CodecError(f"an image of {width}x{height} pixels has no pixels")
    _check_size(height, width)
    head = HEADER.pack(MAGIC, VERSION, fingerprint, height, width, 0)[:_CHECKED]
    return head + struct.pack(">I", _checksum(head, payload)) + payload


def unpack(data: bytes) -> Packed:
    """What `pack` put in.

    Raises:
        CorruptFileError: not this format, another version, cut short, or changed on the way.
        LimitError: an image over the limit.
    """
    if data[:4] != MAGIC:
        raise CorruptFileError(f"not a Tamis file: it begins with {data[:4]!r}, not {MAGIC!r}")
    if len(data) < HEADER.size:
        raise CorruptFileError(
            f"Tamis file is cut short: {len(data)} of {HEADER.size} header bytes"
        )
    _, version, fingerprint, height, width, checksum = HEADER.unpack_from(data)
    if version != VERSION:
        raise CorruptFileError(f"Tamis file of version {version}; this program reads {VERSION}")
    payload = data[HEADER.size :]
    if _checksum(data[:_CHECKED], payload) != checksum:
        raise CorruptFileError("Tamis file is damaged or cut short: its checksum differs")
    if height < 1 or width < 1:
        raise CorruptFileError(f"Tamis file of {width}x{height} pixels has no pixels")
    _check_size(height, width)
    return Packed(fingerprint, height, width, payload)


def _checksum(head: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(head))


def _check_size(height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE:
        raise LimitError(f"Tamis files take sides up to {MAX_SIDE}; this is {width}x{height}")
    if height * width > MAX_PIXELS:
        raise LimitError(f"images are limited to {MAX_PIXELS} pixels; this is {width}x{height}")
