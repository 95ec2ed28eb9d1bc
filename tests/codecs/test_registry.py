"""Codecs are found by name with options, and by the bytes of a file."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.codecs import decode, get_codec, list_codecs, sniff
from tamis.codecs.heic import Hevc
from tamis.codecs.jpeg import Jpeg
from tamis.codecs.jxl import Jxl
from tamis.codecs.registry import CODECS, describe, suffixes
from tamis.codecs.vvc import Vvc
from tamis.errors import (
    CorruptFileError,
    LimitError,
    MissingPackageError,
    TamisError,
    UnknownNameError,
)

PICTURE = np.zeros((16, 16, 3), np.uint8)


def test_the_order_is_that_of_the_table() -> None:
    assert list(CODECS) == ["jpeg", "bpg", "hevc", "vvc", "avif", "webp", "jxl"]
    assert [row.name for row in describe()][: len(CODECS)] == list(CODECS)


def test_a_row_says_what_a_user_needs() -> None:
    row = describe()[0]
    assert (row.suffix, row.unit, row.low, row.high) == (".jpg", "quality", 1, 95)
    assert row.ascending
    assert row.usable
    assert row.missing is None
    assert row.options == {"subsampling": ("420", "444"), "progressive": ("best", "true", "false")}


def test_suffixes_are_distinct() -> None:
    assert len(suffixes()) == len(CODECS) + 1
    assert {row.suffix for row in describe()} <= suffixes()


def test_options_become_fields() -> None:
    assert get_codec("jpeg:subsampling=444:progressive=FALSE") == Jpeg("444", False)
    assert get_codec("vvc:preset=slow") == Vvc("slow")
    assert get_codec("jxl:effort=9") == Jxl(9)


def test_a_codec_passes_through() -> None:
    codec = Hevc(chroma="444")
    assert get_codec(codec) is codec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("jpg", "did you mean 'jpeg'"),
        ("jpeg:presett=slow", "known: progressive, subsampling"),
        ("vvc:presett=slow", "did you mean 'preset'"),
        ("vvc:preset=slowest", "one of faster, fast, medium, slow"),
        ("vvc:37", "written key=value"),
    ],
)
def test_a_wrong_spec_is_one_line_that_says_what_is_right(spec: str, words: str) -> None:
    with pytest.raises(TamisError, match=words):
        get_codec(spec)


def test_an_unknown_name_is_its_own_error() -> None:
    with pytest.raises(UnknownNameError):
        get_codec("gif")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "pillow_jxl", raising=False)
    assert "jxl" not in list_codecs()
    assert "jxl" in list_codecs(usable=False)
    row = next(row for row in describe() if row.name == "jxl")
    assert (row.usable, row.missing) == (False, "tamis[jxl]")
    with pytest.raises(MissingPackageError, match=r"pip install 'tamis\[jxl\]'"):
        get_codec("jxl")


def test_a_format_of_nobody_is_refused() -> None:
    out = io.BytesIO()
    PillowImage.fromarray(PICTURE).save(out, "PNG")
    with pytest.raises(CorruptFileError, match="no format known"):
        sniff(out.getvalue())
    with pytest.raises(CorruptFileError, match="no format known"):
        decode(b"")


@pytest.mark.parametrize("major", [b"avif", b"mif1"])
def test_avif_and_heic_are_told_apart_by_all_brands(major: bytes) -> None:
    box = lambda *brands: b"\0\0\0\x20ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])  # noqa: E731
    assert sniff(box(major, b"mif1", b"avif", b"miaf")).name == "avif"
    assert sniff(box(b"mif1", b"mif1", b"heic", b"miaf")).name == "hevc"


def test_hevc_streams_are_not_taken_for_vvc() -> None:
    assert Vvc.recognizes(bytes.fromhex("00000001007900"))  # sequence parameter set
    assert not Vvc.recognizes(bytes.fromhex("0000000140010c01"))  # HEVC: video parameter set
    assert not Vvc.recognizes(bytes.fromhex("0000000167640028"))  # H.264: sequence parameter set


def announce(name: str) -> bytes:
    """A small file whose header, and nothing else, was changed to a giant size."""
    file = bytearray(get_codec(name).encode(PICTURE))
    if name == "jpeg":
        at = file.index(b"\xff\xc2" if b"\xff\xc2" in file else b"\xff\xc0")
        file[at + 5 : at + 9] = b"\xff" * 4
    elif name in ("hevc", "avif"):
        at = file.index(b"ispe")
        file[at + 8 : at + 16] = b"\x00\x00\xff\xff" * 2
    elif name == "webp":
        canvas = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + b"\xff\xff\xff" * 2
        file[12:12] = canvas
        file[4:8] = (len(file) - 8).to_bytes(4, "little")
    elif name == "jxl":
        # Not small, height in 30 bits, square.
        bits = 0 | 3 << 1 | (1 << 29) << 3 | 1 << 33
        file[2:7] = bits.to_bytes(5, "little")
    return bytes(file)


@pytest.mark.parametrize("name", ["jpeg", "hevc", "avif", "webp", "jxl"])
def test_a_giant_announced_by_a_small_file_is_refused(name: str) -> None:
    with pytest.raises((LimitError, CorruptFileError)) as caught:
        decode(announce(name))
    if name in ("jpeg", "webp", "jxl"):
        assert isinstance(caught.value, LimitError)
