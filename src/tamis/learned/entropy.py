"""Symbols to bytes and back, with the tables of a model: asymmetric numeral systems.

The coder is the ANS stack of `constriction`. Its categorical models take floating-point weights
and scale them to a sum of 2**24; ours are `frequency - 1`, for which that scale is exactly 1 and
every partial sum exact in float32, so what is coded are our integers. ANS needs the last symbol
first, so the encoder collects what is to be coded and does it in `finish`.

Source: Duda 2013 (arXiv 1311.2540) for ANS; Bamler 2022 (arXiv 2201.01741) for constriction.
"""

import zlib

import numpy as np
from constriction import stream

from tamis.errors import CodecError, CorruptFileError
from tamis.learned.frequencies import TOTAL, Ints
from tamis.learned.runs import (
    Integers,
    Longs,
    Plan,
    Run,
    bits_run,
    blocks,
    channel_runs,
    table_run,
    widened,
)
from tamis.learned.tables import ChannelTables, GaussianTables

# What does not fit a table is sent as the length of a number, 0 to 32 bits, and its bits, in two
# halves. Each length is half as probable as the one before.
_LENGTHS = np.array([2 ** max(23 - length, 3) for length in range(33)], np.int32)
_LENGTHS[0] += TOTAL - _LENGTHS.sum()
_HALF = 16

# Behind the last symbol come 16 bits of the CRC-32 of all values. A decoder that lost its way finds
# other values and another end; the bytes alone do not tell, for ANS often falls into step again.
_CHECKSUM = bits_run(np.array([16]))


class Encoder:
    """Collects chunks of symbols; `finish` makes the bytes that a `Decoder` reads in that order."""

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, Run]] = []
        self._checksum = 0

    def gaussian(
        self, tables: GaussianTables, values: Integers, means: Integers, scales: Integers
    ) -> None:
        """Append integer latents; the three arrays have one shape, any.

        Args:
            tables: of the model.
            values: the latents, int32.
            means: in 1/16, int32.
            scales: indices into `SCALES`.

        Raises:
            CodecError: values or means outside of int32, or arrays of different shapes.
        """
        if values.shape != means.shape:
            raise CodecError(f"latents have shape {values.shape}, but means {means.shape}")
        self._checksum = _extended(self._checksum, values)
        plan = Plan.make(tables, means, scales)
        distance = widened(values).ravel()[plan.order] - plan.nearest
        coarse = distance >> plan.shifts
        zigzag = (coarse << 1) ^ (coarse >> 63)
        symbols = np.minimum(zigzag, plan.escapes)
        for part, run in plan.runs:
            self._push(symbols[part], run)
        low = plan.shifts > 0
        self._push_bits(distance[low], plan.shifts[low])
        self._push_escapes((zigzag - plan.escapes)[zigzag >= plan.escapes])

    def channels(self, tables: ChannelTables, values: Integers) -> None:
        """Append symbols with one table per channel: `(C, ...)`, relative to the centres.

        Raises:
            CodecError: values outside of int32, or another number of channels.
        """
        runs = channel_runs(tables, values.shape)
        self._checksum = _extended(self._checksum, values)
        position = widened(values).reshape(len(runs), -1) - tables.lows[:, None]
        escapes = (tables.widths - 1)[:, None]
        outside = (position < 0) | (position >= escapes)
        for symbols, run in zip(np.where(outside, escapes, position), runs, strict=True):
            self._push(symbols, run)
        # Even remainders lie above the table, odd ones below it.
        remainders = np.where(position < 0, -2 * position - 1, 2 * (position - escapes))
        self._push_escapes(remainders[outside])

    def finish(self) -> bytes:
        """The bytes of everything appended so far."""
        coder = stream.stack.AnsCoder()
        for symbols, run in reversed([*self._runs, (_low_bits(self._checksum), _CHECKSUM)]):
            for part in reversed(blocks(len(symbols))):
                coder.encode_reverse(symbols[part], run.model, *run.parameters(part))
        # The last word is never zero, but its high bytes may be: the decoder puts them back.
        return bytes(coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))

    def _push(self, symbols: Integers, run: Run) -> None:
        self._runs.append((symbols.astype(np.int32), run))

    def _push_bits(self, numbers: Longs, counts: Integers) -> None:
        """The low bits of `numbers`, as many as `counts` says."""
        self._push(numbers & ((1 << counts) - 1), bits_run(counts))

    def _push_escapes(self, remainders: Longs) -> None:
        if not remainders.size:
            return
        # frexp's exponent of an integer is its bit length, exactly.
        lengths = np.frexp((remainders + 1).astype(np.float64))[1] - 1
        self._push(lengths, table_run(_LENGTHS))
        for start in (0, _HALF):
            longer = lengths > start
            counts = np.minimum(lengths[longer] - start, _HALF)
            self._push_bits((remainders[longer] + 1) >> start, counts)


class Decoder:
    """Reads what an `Encoder` wrote: the same calls in the same order.

    Bytes that no encoder wrote give some symbols or a `CorruptFileError`, in the same time.

    Raises:
        CorruptFileError: bytes that end in zeros, which no encoder writes.
    """

    def __init__(self, data: bytes) -> None:
        if data.endswith(b"\0"):
            raise CorruptFileError("coded symbols are damaged: they end in a zero byte")
        words = np.frombuffer(data + b"\0" * (-len(data) % 4), "<u4").astype(np.uint32)
        self._coder = stream.stack.AnsCoder(words)
        self._checksum = 0

    def gaussian(self, tables: GaussianTables, means: Integers, scales: Integers) -> Ints:
        """The next chunk of latents, int32, the shape of `means`.

        Args:
            tables: of the model.
            means: in 1/16, int32.
            scales: indices into `SCALES`, the shape of `means`.

        Raises:
            CorruptFileError: a value outside of int32.
            CodecError: means outside of int32, or arrays of different shapes.
        """
        plan = Plan.make(tables, means, scales)
        zigzag = np.empty(len(plan.order), np.int64)
        for part, run in plan.runs:
            zigzag[part] = self._pull(part.stop - part.start, run)
        low = np.flatnonzero(plan.shifts)
        bits = self._pull_bits(plan.shifts[low])
        escaped = np.flatnonzero(zigzag == plan.escapes)
        zigzag[escaped] += self._pull_escapes(len(escaped))
        distance = ((zigzag >> 1) ^ -(zigzag & 1)) << plan.shifts
        distance[low] += bits
        values = np.empty(means.size, np.int64)
        values[plan.order] = plan.nearest + distance
        return self._decoded(values).reshape(means.shape)

    def channels(self, tables: ChannelTables, shape: tuple[int, ...]) -> Ints:
        """The next symbols, int32, of `shape` `(C, ...)`.

        Raises:
            CorruptFileError: a value outside of int32.
            CodecError: another number of channels.
        """
        runs = channel_runs(tables, shape)
        count = int(np.prod(shape[1:], dtype=np.int64))
        symbols = np.stack([self._pull(count, run) for run in runs]).astype(np.int64)
        escaped = symbols == (tables.widths - 1)[:, None]
        remainders = self._pull_escapes(int(escaped.sum()))
        symbols[escaped] = np.where(
            remainders & 1, -(remainders >> 1) - 1, symbols[escaped] + (remainders >> 1)
        )
        return self._decoded(symbols + tables.lows[:, None]).reshape(shape)

    def finish(self) -> None:
        """Check everything decoded; call it after the last symbols.

        A decoder whose means or scales differ from the encoder's gets wrong values without any
        sign of it; here it shows, but for one case in 65,536.

        Raises:
            CorruptFileError: the values are not those that were encoded, or bytes are left.
        """
        found = self._pull(1, _CHECKSUM)
        if found != _low_bits(self._checksum) or not self._coder.is_empty():
            raise CorruptFileError("coded symbols are damaged: their checksum differs")

    def _pull(self, count: int, run: Run) -> Ints:
        if run.numbers is None and count:
            return np.asarray(self._coder.decode(run.model, count))
        parts = [self._coder.decode(run.model, *run.parameters(part)) for part in blocks(count)]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def _pull_bits(self, counts: Integers) -> Ints:
        return self._pull(len(counts), bits_run(counts))

    def _pull_escapes(self, count: int) -> Longs:
        if not count:
            return np.empty(0, np.int64)
        lengths = self._pull(count, table_run(_LENGTHS)).astype(np.int64)
        numbers = 1 << lengths
        for start in (0, _HALF):
            longer = np.flatnonzero(lengths > start)
            counts = np.minimum(lengths[longer] - start, _HALF)
            numbers[longer] += self._pull_bits(counts).astype(np.int64) << start
        return numbers - 1

    def _decoded(self, values: Longs) -> Ints:
        narrow = values.astype(np.int32)
        if (narrow != values).any():
            raise CorruptFileError("coded symbols are damaged: a latent does not fit 32 bits")
        self._checksum = _extended(self._checksum, narrow)
        return narrow


def _extended(checksum: int, values: Integers) -> int:
    return zlib.crc32(values.astype("<i4").tobytes(), checksum)


def _low_bits(checksum: int) -> Ints:
    return np.array([checksum & 0xFFFF], np.int32)
