"""The file around a learned codec's bits: everything in it comes back, and damage is named."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.codecs import registry
from tamis.codecs.base import MAX_PIXELS
from tamis.errors import CodecError, CorruptFileError, LimitError
from tamis.learned.container import HEADER, MAGIC, MAX_SIDE, VERSION, pack, unpack

FINGERPRINT = bytes(range(8))


@given(st.binary(min_size=8, max_size=8), st.integers(1, 4096), st.integers(1, 65535), st.binary())
def test_what_is_packed_comes_back(
    fingerprint: bytes, height: int, width: int, payload: bytes
) -> None:
    data = pack(fingerprint, height, width, payload)
    assert unpack(data) == (fingerprint, height, width, payload)
    assert data.startswith(MAGIC) and len(data) == 21 + len(payload)


def test_the_bytes_of_a_file_never_change() -> None:
    data = pack(FINGERPRINT, 512, 768, b"latents")
    assert data.hex() == "54414d530100010203040506070200030072d6dd2e6c6174656e7473"


def test_every_changed_byte_is_noticed() -> None:
    data = pack(FINGERPRINT, 512, 768, b"latents")
    for position in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flip
            with pytest.raises(CorruptFileError):
                unpack(bytes(damaged))


def test_every_missing_or_extra_byte_is_noticed() -> None:
    data = pack(FINGERPRINT, 512, 768, b"latents")
    for length in range(len(data)):
        with pytest.raises(CorruptFileError):
            unpack(data[:length])
    with pytest.raises(CorruptFileError, match="checksum"):
        unpack(data + b"\0")


@given(st.binary())
def test_arbitrary_bytes_are_refused_in_one_line(data: bytes) -> None:
    for candidate in (data, MAGIC + data):
        with pytest.raises(CorruptFileError) as caught:
            unpack(candidate)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a Tamis file"),
        (b"\xff\xd8\xff\xe0 a photo", "not a Tamis file"),
        (MAGIC + b"\x01", "cut short: 5 of 21"),
        (MAGIC + bytes([VERSION + 1]) + bytes(40), "version 2; this program reads 1"),
        (pack(FINGERPRINT, 9, 9, b"latents")[:-1], "checksum differs"),
    ],
)
def test_errors_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        unpack(data)


def repacked(height: int, width: int) -> bytes:
    """A file of this size whose checksum is right, as `pack` refuses to write it."""
    import struct
    import zlib

    head = HEADER.pack(MAGIC, VERSION, FINGERPRINT, height, width, 0)[:-4]
    return head + struct.pack(">I", zlib.crc32(head))


def test_a_file_cannot_announce_more_pixels_than_the_limit() -> None:
    with pytest.raises(LimitError, match=str(MAX_PIXELS)):
        unpack(repacked(65535, 65535))
    with pytest.raises(CorruptFileError, match="no pixels"):
        unpack(repacked(0, 5))
    assert unpack(repacked(4096, 65535)).height == 4096


def test_only_images_that_fit_are_packed() -> None:
    with pytest.raises(LimitError, match=str(MAX_SIDE)):
        pack(FINGERPRINT, 1, MAX_SIDE + 1, b"")
    with pytest.raises(LimitError, match="pixels"):
        pack(FINGERPRINT, MAX_SIDE, MAX_SIDE, b"")
    with pytest.raises(CodecError, match="no pixels"):
        pack(FINGERPRINT, 0, 1, b"")
    with pytest.raises(CodecError, match="8 bytes"):
        pack(b"short", 1, 1, b"")


def test_no_other_codec_takes_the_file_for_its_own() -> None:
    data = pack(FINGERPRINT, 512, 768, b"latents")
    others = [cls for name, cls in registry.CODECS.items() if name != "learned"]
    assert others and not any(cls.recognizes(data) for cls in others)


def test_reading_the_header_needs_no_torch() -> None:
    code = "import sys, tamis.learned.container; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
