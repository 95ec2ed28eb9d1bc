"""Bits, NAL units and parameter sets survive a round trip, and refuse what ends early."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.codecs.hevc_bitstream import (
    START_CODE,
    BitReader,
    BitWriter,
    escape,
    nal_layer,
    nal_type,
    split_nals,
    to_base_layer,
    unescape,
)
from tamis.codecs.hevc_sps import CodingTools, Pcm, Sps, parse_sps, write_sps, write_vps
from tamis.errors import CorruptFileError

flags = st.integers(0, 1)
tools = st.builds(
    CodingTools,
    *[st.integers(0, 3)] * 4,
    st.integers(0, 4),
    flags,
    st.none() | st.builds(Pcm, *[st.integers(0, 15)] * 2, *[st.integers(0, 2)] * 2, flags),
    flags,
    st.none() | st.integers(0, 511),
)
sides = st.integers(1, 1 << 15).map(lambda n: 8 * n)


@given(st.lists(st.integers(0, 2**31 - 2)))
def test_exp_golomb_codes_read_back(values: list[int]) -> None:
    bits = BitWriter()
    bits.ue(*values)
    reader = BitReader(bits.padded(stop_bit=True))
    assert [reader.ue() for _ in values] == values


def test_signed_codes_alternate_as_in_table_9_3() -> None:
    bits = BitWriter()
    bits.ue(0, 1, 2, 3, 4)
    reader = BitReader(bits.padded(stop_bit=True))
    assert [reader.se() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_reading_past_the_end_is_a_corrupt_file() -> None:
    with pytest.raises(CorruptFileError, match="ends in the middle"):
        BitReader(b"\x80").u(9)
    with pytest.raises(CorruptFileError):
        BitReader(bytes(20)).ue()


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 255])).map(bytes))
def test_escaped_payload_has_no_start_code_and_unescapes(payload: bytes) -> None:
    escaped = escape(payload)
    assert all(bytes((0, 0, k)) not in escaped for k in range(3))
    assert unescape(escaped) == payload


def test_annex_b_splits_at_both_start_codes_without_the_zeros() -> None:
    nals = [b"\x40\x01\x0c\x7f", b"\x42\x01\x01\x80"]
    assert split_nals(b"\0" + START_CODE + nals[0] + b"\0\0" + START_CODE + nals[1]) == nals


def test_layer_moves_to_the_base_and_keeps_its_type() -> None:
    nal = bytes((20 << 1, 1 << 3 | 1, 0x80, 5))
    assert (nal_layer(nal), nal_type(nal)) == (1, 20)
    base = to_base_layer(nal)
    assert (nal_layer(base), nal_type(base), base[2:]) == (0, 20, nal[2:])


@given(st.builds(Sps, st.integers(0, 3), sides, sides, st.integers(8, 14), tools))
def test_sps_reads_back(sps: Sps) -> None:
    assert parse_sps(write_sps(sps)) == sps


@given(st.builds(Sps, st.integers(0, 3), sides, sides, st.just(8), tools), st.integers(0, 20))
def test_truncated_sps_is_refused(sps: Sps, size: int) -> None:
    with pytest.raises(CorruptFileError):
        parse_sps(write_sps(sps)[:size])


def test_vps_is_a_nal_unit_of_type_32() -> None:
    assert nal_type(write_vps()) == 32
