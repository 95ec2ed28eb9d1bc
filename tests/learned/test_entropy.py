"""The entropy coder: every symbol comes back, in as few bits as the model says, always the same."""

import math
import random
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import CodecError, CorruptFileError
from tamis.learned.density import GaussianDensity
from tamis.learned.entropy import Decoder, Encoder
from tamis.learned.gaussian import likelihood
from tamis.learned.runs import BLOCK
from tamis.learned.tables import SCALES, ChannelTables, GaussianTables

GAUSSIAN = GaussianTables.build()
INT32 = st.integers(-(2**31), 2**31 - 1)

Chunk = tuple[np.ndarray, np.ndarray, np.ndarray]


def channel_tables(*scales: float) -> ChannelTables:
    density = GaussianDensity(len(scales))
    with torch.no_grad():
        density.log_scales.copy_(torch.tensor(scales).log())
    return ChannelTables.from_density(density, np.zeros(len(scales)))


CHANNELS = channel_tables(0.2, 3, 40)


def chunk(seed: int, shape: tuple[int, ...], low: int = 0, high: int = 64) -> Chunk:
    """Latents drawn from Gaussians with scale indices `low` to `high`: values, means, scales."""
    rng = np.random.default_rng(seed)
    scales = rng.integers(low, high, shape)
    means = rng.integers(-800, 800, shape).astype(np.int32)
    values = np.round(rng.normal(means / 16, np.array(SCALES)[scales])).astype(np.int32)
    return values, means, scales


def coded(*chunks: Chunk) -> bytes:
    encoder = Encoder()
    for values, means, scales in chunks:
        encoder.gaussian(GAUSSIAN, values, means, scales)
    return encoder.finish()


def ideal_bytes(*chunks: Chunk) -> float:
    bits = 0.0
    for values, means, scales in chunks:
        y, mean = torch.from_numpy(values).double(), torch.from_numpy(means).double() / 16
        mass = likelihood(y, mean, torch.tensor(SCALES, dtype=torch.float64)[scales])
        bits -= float(mass.log2().sum())
    return bits / 8


@pytest.mark.parametrize("shape", [(1340,), (96, 7), (3, 1, 5), (1,), (0,), (4, 0), (2 * BLOCK,)])
def test_gaussian_symbols_come_back_in_their_shape(shape: tuple[int, ...]) -> None:
    values, means, scales = chunk(1, shape)
    decoder = Decoder(coded((values, means, scales)))
    decoded = decoder.gaussian(GAUSSIAN, means, scales)
    assert decoded.shape == shape and decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, values)
    decoder.finish()


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 1, 1), (3, 0, 4), (3,), (3, 200, 200)])
def test_channel_symbols_come_back_in_their_shape(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    scales = np.array([0.2, 3, 40]).reshape(-1, *[1] * (len(shape) - 1))
    values = np.round(rng.normal(0, scales, shape)).astype(np.int32)
    encoder = Encoder()
    encoder.channels(CHANNELS, values)
    decoder = Decoder(encoder.finish())
    decoded = decoder.channels(CHANNELS, shape)
    assert decoded.shape == shape and decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, values)
    decoder.finish()


def test_chunks_of_both_kinds_follow_each_other_in_one_stream() -> None:
    z = np.array([[0, 1], [5, -9], [60, -70]], np.int32)
    first, empty, second = chunk(3, (8, 30)), chunk(4, (0,)), chunk(5, (100,))
    encoder = Encoder()
    encoder.channels(CHANNELS, z)
    for part in (first, empty, second):
        encoder.gaussian(GAUSSIAN, *part)
    decoder = Decoder(encoder.finish())
    np.testing.assert_array_equal(decoder.channels(CHANNELS, z.shape), z)
    for values, means, scales in (first, empty, second):
        np.testing.assert_array_equal(decoder.gaussian(GAUSSIAN, means, scales), values)
    decoder.finish()


def test_nothing_takes_no_bytes() -> None:
    assert coded() == coded(chunk(6, (0,))) == b""
    Decoder(b"").finish()


symbols = st.tuples(INT32, INT32, st.integers(0, 63))
near = st.tuples(st.integers(-(2**24), 2**24), st.integers(-(2**28), 2**28), st.integers(0, 63))


@given(st.lists(st.one_of(symbols, near), max_size=40))
@settings(deadline=None)
def test_every_int32_comes_back_whatever_its_mean(triples: list[tuple[int, int, int]]) -> None:
    values, means, scales = (
        (np.array(column, np.int32) for column in zip(*triples, strict=True))
        if (triples)
        else (np.empty(0, np.int32),) * 3
    )
    decoder = Decoder(coded((values, means, scales)))
    np.testing.assert_array_equal(decoder.gaussian(GAUSSIAN, means, scales), values)
    decoder.finish()


@given(st.lists(st.tuples(*[st.one_of(INT32, st.integers(-300, 300))] * 3), max_size=20))
@settings(deadline=None)
def test_every_int32_comes_back_from_its_channel(rows: list[tuple[int, int, int]]) -> None:
    values = np.array(rows, np.int32).reshape(-1, 3).T
    encoder = Encoder()
    encoder.channels(CHANNELS, values)
    decoder = Decoder(encoder.finish())
    np.testing.assert_array_equal(decoder.channels(CHANNELS, values.shape), values)
    decoder.finish()


@pytest.mark.parametrize("extreme", [-(2**31), -(2**24), 2**24, 2**31 - 1])
def test_extremes_cost_a_bounded_number_of_bits(extreme: int) -> None:
    values = np.full(100, extreme, np.int32)
    opposite = np.full(100, -1 - extreme, np.int32)
    scales = np.arange(100, dtype=np.int32) % 64
    data = coded((values, opposite, scales))
    assert len(data) < 100 * 12
    np.testing.assert_array_equal(Decoder(data).gaussian(GAUSSIAN, opposite, scales), values)


def test_numbers_that_int32_does_not_hold_are_refused() -> None:
    one, large = np.ones(1, np.int64), np.full(1, 2**31)
    with pytest.raises(CodecError, match="32 bits"):
        Encoder().gaussian(GAUSSIAN, large, one, one)
    with pytest.raises(CodecError, match="32 bits"):
        Encoder().gaussian(GAUSSIAN, one, large, one)
    with pytest.raises(CodecError, match="32 bits"):
        Encoder().channels(CHANNELS, np.full((3, 1), -(2**31) - 1))


def test_shapes_that_do_not_agree_are_refused() -> None:
    with pytest.raises(CodecError, match="shape"):
        Encoder().gaussian(GAUSSIAN, np.zeros(2, int), np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(CodecError, match="shape"):
        Decoder(b"").gaussian(GAUSSIAN, np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(CodecError, match="expected 3 channels"):
        Encoder().channels(CHANNELS, np.zeros((4, 2), int))
    with pytest.raises(CodecError, match="expected 3 channels"):
        Decoder(b"").channels(CHANNELS, ())


@pytest.mark.parametrize(("low", "high"), [(0, 64), (0, 8), (8, 24), (24, 40), (40, 64), (63, 64)])
def test_the_length_is_that_of_the_float_likelihood(low: int, high: int) -> None:
    chunks = [chunk(seed, (1340,), low, high) for seed in range(40)]
    ideal = ideal_bytes(*chunks)
    assert abs(len(coded(*chunks)) - ideal) < 0.003 * ideal + 16


def test_one_symbol_takes_a_few_bytes() -> None:
    values, means, scales = np.zeros(1, int), np.zeros(1, int), np.zeros(1, int)
    assert len(coded((values, means, scales))) <= 7


def test_the_length_of_channels_is_that_of_their_density() -> None:
    scales = (0.2, 1.0, 7.5, 90.0)
    values = np.round(
        np.random.default_rng(7).normal(0, np.array(scales)[:, None], (4, 5000))
    ).astype(np.int32)
    encoder = Encoder()
    encoder.channels(channel_tables(*scales), values)
    z, scale = torch.from_numpy(values).double(), torch.tensor(scales).double()[:, None]
    ideal = -float(likelihood(z, None, scale).log2().sum()) / 8
    assert abs(len(encoder.finish()) - ideal) < 0.003 * ideal + 16


def integer_coder(chunks: list[Chunk]) -> bytes:
    """What `Encoder` writes, in plain Python integers: no array, no float, no constriction.

    64-bit state, 32-bit words, 24-bit probabilities (Duda 2013, range variant).
    """
    steps: list[tuple[int, int]] = []  # first quantile and frequency, in the order of decoding
    for values, means, scales in chunks:
        steps += integer_steps(values.tolist(), means.tolist(), scales.tolist())
    checksum = zlib.crc32(b"".join(chunk[0].astype("<i4").tobytes() for chunk in chunks))
    steps.append(step_of_bits(checksum, 16))
    state, words = 0, []
    for first, frequency in reversed(steps):
        if state >> 40 >= frequency:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // frequency << 24) + first + state % frequency
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")


def integer_steps(values: list[int], means: list[int], scales: list[int]) -> list[tuple[int, int]]:
    tables = [row.tolist() for table in GAUSSIAN.frequencies for row in table]
    lengths = [2 ** max(23 - i, 3) for i in range(33)]
    lengths[0] += 2**24 - sum(lengths)
    keys = [s * 16 + (m + 8) % 16 for m, s in zip(means, scales, strict=True)]
    rows = [int(GAUSSIAN.rows[key]) for key in keys]
    steps, low, over = [], [], []
    for i in sorted(range(len(rows)), key=rows.__getitem__):
        table, shift = tables[rows[i]], int(GAUSSIAN.shifts[scales[i]])
        distance = values[i] - math.floor((means[i] + 8) / 16)
        coarse = distance >> shift
        zigzag = 2 * coarse if coarse >= 0 else -2 * coarse - 1
        symbol = min(zigzag, len(table) - 1)
        steps.append((sum(table[:symbol]), table[symbol]))
        if shift:
            low.append(step_of_bits(distance, shift))
        if symbol == len(table) - 1:
            over.append(zigzag - symbol + 1)
    sizes = [number.bit_length() - 1 for number in over]
    steps += low
    steps += [(sum(lengths[:size]), lengths[size]) for size in sizes]
    pairs = list(zip(over, sizes, strict=True))
    steps += [step_of_bits(number, min(size, 16)) for number, size in pairs if size]
    return steps + [step_of_bits(n >> 16, size - 16) for n, size in pairs if size > 16]


def step_of_bits(number: int, count: int) -> tuple[int, int]:
    return (number & (2**count - 1)) << (24 - count), 2 ** (24 - count)


def test_the_bytes_are_those_of_integer_arithmetic() -> None:
    wild = tuple(np.random.default_rng(8).integers(-(2**31), 2**31, (2, 300)).astype(np.int32))
    chunks = [chunk(9, (900,)), (*wild, np.arange(300) % 64), chunk(10, (33_000,), 0, 20)]
    assert coded(*chunks) == integer_coder(chunks)


def test_the_bytes_of_a_stream_never_change() -> None:
    halves = np.array([2**23, 2**22, 2**22, 2**23, 2**23], np.int32)
    channels = ChannelTables(np.array([-1, 4], np.int32), np.array([3, 2], np.int32), halves)
    encoder = Encoder()
    encoder.channels(channels, np.array([[0, 1, -1, 9], [4, 5, -700, 4]], np.int32))
    scales = np.arange(64)
    means = 37 * np.arange(64) - 1000
    encoder.gaussian(GAUSSIAN, (means >> 4) + scales % 5 - 2, means, scales)
    assert encoder.finish().hex() == (
        "00c3d50f10efbf6d6e3c05a5c42d08e60791122fc0fd38a9d51f8a3eb07df79e30eeff8ea1b7f10cfbff"
        "ff99cd2eed71fbffff0e5d23f3c210dc8097e90a"
    )


def decode_any(data: bytes) -> None:
    """Decode with tables of all kinds; the only error allowed is CorruptFileError."""
    _, means, scales = chunk(11, (60,))
    try:
        decoder = Decoder(data)
        assert decoder.channels(CHANNELS, (3, 4)).shape == (3, 4)
        for _ in range(3):
            decoder.gaussian(GAUSSIAN, means, scales)
        decoder.finish()
    except CorruptFileError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=200)
def test_arbitrary_bytes_give_symbols_or_one_clear_error(data: bytes) -> None:
    decode_any(data)


def test_thousands_of_random_and_uniform_payloads_do_no_harm() -> None:
    rng = random.Random(12)
    for length in range(1000):
        decode_any(rng.randbytes(rng.randrange(300)))
        decode_any(bytes([rng.randrange(256)]) * (length % 200))


def test_changed_bytes_are_noticed_at_the_end() -> None:
    for seed in range(10):
        values, means, scales = chunk(seed, (300,))
        data = coded((values, means, scales))
        for position in range(0, len(data), 5):
            damaged = bytearray(data)
            damaged[position] ^= 1 << position % 8
            with pytest.raises(CorruptFileError):
                read_to_the_end(bytes(damaged), means, scales)


def test_other_parameters_than_the_encoder_s_are_noticed_at_the_end() -> None:
    values, means, scales = chunk(13, (500,))
    data = coded((values, means, scales))
    for position in range(0, 500, 7):
        for change in (-1, 1):
            others = scales.copy()
            others[position] = min(max(scales[position] + change, 0), 63)
            if others[position] != scales[position]:
                with pytest.raises(CorruptFileError):
                    read_to_the_end(data, means, others)


def read_to_the_end(data: bytes, means: np.ndarray, scales: np.ndarray) -> None:
    decoder = Decoder(data)
    decoder.gaussian(GAUSSIAN, means, scales)
    decoder.finish()


def test_bytes_that_are_missing_or_left_are_noticed() -> None:
    values, means, scales = chunk(14, (300,))
    data = coded((values, means, scales))
    for wrong in (data[:-1], data[:-4], data[:9], b"", data + b"\1", b"1234" + data):
        with pytest.raises(CorruptFileError, match="damaged"):
            read_to_the_end(wrong, means, scales)
    with pytest.raises(CorruptFileError, match="zero byte"):
        Decoder(data + b"\0")
