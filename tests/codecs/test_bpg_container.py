"""The BPG header: every field reads back, and every impossible one is refused in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.codecs.bpg_container import (
    MAGIC,
    BpgHeader,
    read_bpg,
    read_tools,
    read_ue7,
    write_bpg,
    write_tools,
    write_ue7,
)
from tamis.codecs.hevc_sps import CodingTools, Pcm
from tamis.codecs.ycbcr import ColorFormat
from tamis.errors import CorruptFileError, TamisError

tools = CodingTools(0, 3, 0, 3, 2, 1, None, 1, None)


@pytest.mark.parametrize(
    ("encoded", "value"), [("08", 8), ("841e", 542), ("acbe17", 728855)], ids=str
)
def test_ue7_examples_of_the_specification(encoded: str, value: int) -> None:
    assert write_ue7(value) == bytes.fromhex(encoded)
    assert read_ue7(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@given(st.integers(0, 2**32 - 1))
def test_ue7_reads_back(value: int) -> None:
    data = write_ue7(value)
    assert read_ue7(data, 0) == (value, len(data))


@pytest.mark.parametrize("data", ["", "8001", "ff", "ffffffff7f", "ffffffffffff01"])
def test_ue7_that_is_long_padded_or_cut_is_refused(data: str) -> None:
    with pytest.raises(CorruptFileError):
        read_ue7(bytes.fromhex(data), 0)


@given(
    st.builds(
        BpgHeader,
        st.integers(1, 2**20),
        st.integers(1, 2**20),
        st.builds(
            ColorFormat,
            st.sampled_from(["420", "422"]),
            st.sampled_from(["bt601", "ycgco", "bt709", "bt2020"]),
            st.booleans(),
            st.integers(8, 14),
            st.booleans(),
        ),
    ),
    st.binary(min_size=1, max_size=300),
)
def test_header_and_picture_read_back(header: BpgHeader, picture: bytes) -> None:
    assert read_bpg(write_bpg(header, picture)) == (header, picture, True)


def test_a_length_of_zero_means_up_to_the_end() -> None:
    head = MAGIC + bytes((0x20, 0x00, 9, 9, 0))
    assert read_bpg(head + b"abc")[1:] == (b"abc", False)


def test_extension_data_are_skipped() -> None:
    head = MAGIC + bytes((0x20, 0x08, 9, 9, 0, 4))
    assert read_bpg(head + b"\x02\x02xx" + b"abc")[1] == b"abc"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((0xC0, 0x00), "pixel format 6"),
        ((0x20, 0x50), "colour space 5"),
        ((0x27, 0x00), "bit depth 15"),
        ((0x00, 0x10), "grey"),
        ((0x00, 0x04), "grey"),
        ((0x20, 0x10), "4:4:4"),
    ],
)
def test_reserved_values_are_refused(flags: tuple[int, int], words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        read_bpg(MAGIC + bytes((*flags, 9, 9, 0)) + b"abc")


@given(st.binary(max_size=40))
def test_any_bytes_behind_the_magic_parse_or_are_refused(data: bytes) -> None:
    try:
        header, picture, _ = read_bpg(MAGIC + data)
        read_tools(picture, 0)
    except TamisError:
        return
    assert header.color.depth <= 14
    assert 0 < len(picture) < len(data)


@pytest.mark.parametrize("pcm", [None, Pcm(7, 7, 0, 2, 1)])
@pytest.mark.parametrize("extension", [None, 0b101])
def test_modified_sps_reads_back(pcm: Pcm | None, extension: int | None) -> None:
    given_tools = CodingTools(0, 3, 0, 3, 2, 1, pcm, 1, extension and extension << 1)
    data = write_tools(given_tools)
    assert read_tools(data + b"rest", 0) == (given_tools, len(data))


def test_modified_sps_of_bpgenc_is_four_bytes() -> None:
    assert len(write_tools(tools)) == 4


@pytest.mark.parametrize("changes", [(9, 3), (0, 9)])
def test_block_sizes_hevc_does_not_have_are_refused(changes: tuple[int, int]) -> None:
    odd = CodingTools(*changes, 0, 3, 2, 1, None, 1, None)
    with pytest.raises(CorruptFileError, match="block sizes"):
        read_tools(write_tools(odd), 0)
