"""Symbols to bytes and back, with the tables of a model: asymmetric numeral systems.

The coder is the ANS stack of `constriction`. Its categorical models take floating-point weights
and scale them to a sum of 2**24; ours are `frequency - 1`, for which that scale is exactly 1 and
every partial sum exact in float32, so what is coded are our integers. ANS needs the last symbol
first, so the encoder collects what is to be coded and does it in `finish`.

Source: Duda 2013 (arXiv 1311.2540) for ANS; Bamler 2022 (arXiv 2201.01741) for constriction.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from constriction import stream

from tamis.errors import CodecError, CorruptFileError
from tamis.learned.tables import TOTAL, WIDTHS, ChannelTables, GaussianTables, Ints, Weights

Longs = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer]

BLOCK = 2**15
"""Symbols whose tables are laid out at once: bounds the memory that large images take."""

_ROWS = stream.model.Categorical(perfect=False)
_SIZES = stream.model.Uniform()

# What does not fit a table is sent as the length of a number, 0 to 32 bits, and its bits, in two
# halves. Each length is half as probable as the one before.
_LENGTHS = np.array([2 ** max(23 - length, 3) for length in range(33)], np.int32)
_LENGTHS[0] += TOTAL - _LENGTHS.sum()
_HALF = 16


class Encoder:
    """Collects chunks of symbols; `finish` makes the bytes that a `Decoder` reads in that order."""

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, _Run]] = []

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
            CodecError: values or means outside of int32.
        """
        plan = _Plan.make(tables, means, scales)
        distance = _int32(values).ravel()[plan.order] - plan.nearest
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
        runs = _channel_runs(tables, values.shape)
        position = _int32(values).reshape(len(runs), -1) - tables.lows[:, None]
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
        for symbols, run in reversed(self._runs):
            for part in reversed(_blocks(len(symbols))):
                coder.encode_reverse(symbols[part], run.model, *run.parameters(part))
        # The last word is never zero, but its high bytes may be: the decoder puts them back.
        return bytes(coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))

    def _push(self, symbols: Integers, run: "_Run") -> None:
        self._runs.append((symbols.astype(np.int32), run))

    def _push_bits(self, numbers: Longs, counts: Integers) -> None:
        """The low bits of `numbers`, as many as `counts` says."""
        sizes = (1 << counts).astype(np.int32)
        self._push(numbers & (sizes - 1), _Run(_SIZES, sizes))

    def _push_escapes(self, remainders: Longs) -> None:
        if not remainders.size:
            return
        # frexp's exponent of an integer is its bit length, exactly.
        lengths = np.frexp((remainders + 1).astype(np.float64))[1] - 1
        self._push(lengths, _Run(_model(_LENGTHS)))
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

    def gaussian(self, tables: GaussianTables, means: Integers, scales: Integers) -> Ints:
        """The next chunk of latents, int32, the shape of `means`.

        Args:
            tables: of the model.
            means: in 1/16, int32.
            scales: indices into `SCALES`, the shape of `means`.

        Raises:
            CorruptFileError: a value outside of int32.
            CodecError: means outside of int32.
        """
        plan = _Plan.make(tables, means, scales)
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
        return _decoded(values).reshape(means.shape)

    def channels(self, tables: ChannelTables, shape: tuple[int, ...]) -> Ints:
        """The next symbols, int32, of `shape` `(C, ...)`.

        Raises:
            CorruptFileError: a value outside of int32.
            CodecError: another number of channels.
        """
        runs = _channel_runs(tables, shape)
        count = int(np.prod(shape[1:], dtype=np.int64))
        symbols = np.stack([self._pull(count, run) for run in runs]).astype(np.int64)
        escaped = symbols == (tables.widths - 1)[:, None]
        remainders = self._pull_escapes(int(escaped.sum()))
        symbols[escaped] = np.where(
            remainders & 1, -(remainders >> 1) - 1, symbols[escaped] + (remainders >> 1)
        )
        return _decoded(symbols + tables.lows[:, None]).reshape(shape)

    def finish(self) -> None:
        """Check that nothing is left: changed bytes nearly always leave something.

        Raises:
            CorruptFileError: there is.
        """
        if not self._coder.is_empty():
            raise CorruptFileError("coded symbols are damaged: not all of the bytes were used")

    def _pull(self, count: int, run: "_Run") -> Ints:
        if run.numbers is None and count:
            return np.asarray(self._coder.decode(run.model, count))
        blocks = [self._coder.decode(run.model, *run.parameters(part)) for part in _blocks(count)]
        return np.concatenate(blocks) if blocks else np.empty(0, np.int32)

    def _pull_bits(self, counts: Integers) -> Ints:
        return self._pull(len(counts), _Run(_SIZES, (1 << counts).astype(np.int32)))

    def _pull_escapes(self, count: int) -> Longs:
        if not count:
            return np.empty(0, np.int64)
        lengths = self._pull(count, _Run(_model(_LENGTHS))).astype(np.int64)
        numbers = 1 << lengths
        for start in (0, _HALF):
            longer = np.flatnonzero(lengths > start)
            counts = np.minimum(lengths[longer] - start, _HALF)
            numbers[longer] += self._pull_bits(counts).astype(np.int64) << start
        return numbers - 1


class _Run(NamedTuple):
    """How symbols that follow each other are coded.

    Attributes:
        model: constriction's: a family that takes parameters, or one model for all of them.
        numbers: one for each symbol: a row of `weights`, or the size of a uniform distribution.
        weights: tables, `(rows, width)`.
    """

    model: Any
    numbers: Integers | None = None
    weights: Weights | None = None

    def parameters(self, part: slice) -> tuple[npt.NDArray[Any], ...]:
        """What the family takes for the symbols of `part`."""
        if self.numbers is None:
            return ()
        numbers = self.numbers[part]
        return (numbers,) if self.weights is None else (self.weights.take(numbers, 0),)


class _Plan(NamedTuple):
    """Order and tables of a chunk: sorted by table, so that equal widths are coded together.

    Attributes:
        order: position in the chunk of each symbol in the stream.
        nearest: integer next to the mean, in the order of the stream, as all that follows.
        shifts: bits that are sent as they are.
        escapes: symbol that stands for what does not fit.
        runs: for each width of tables, which symbols use it, and how.
    """

    order: npt.NDArray[np.intp]
    nearest: Longs
    shifts: Ints
    escapes: Longs
    runs: list[tuple[slice, _Run]]

    @classmethod
    def make(cls, tables: GaussianTables, means: Integers, scales: Integers) -> "_Plan":
        if means.shape != scales.shape:
            raise CodecError(f"means have shape {means.shape}, but scales {scales.shape}")
        shifted = _int32(means).ravel() + 8
        scales = scales.ravel()
        rows = tables.rows.take(scales.astype(np.int64) * 16 + (shifted & 15))
        # numpy's stable sort of 16-bit numbers is a radix sort.
        order = np.argsort(rows.astype(np.uint16), kind="stable")
        rows = rows[order]
        ends = np.searchsorted(rows, tables.starts).tolist()
        runs = [
            (slice(start, end), _Run(_ROWS, rows[start:end] - first, weights))
            for start, end, first, weights in zip(
                ends, ends[1:], tables.starts, tables.weights, strict=False
            )
            if end > start
        ]
        escapes = np.repeat(np.array(WIDTHS) - 1, np.diff(ends))
        return cls(order, (shifted >> 4)[order], tables.shifts.take(scales[order]), escapes, runs)


def _channel_runs(tables: ChannelTables, shape: tuple[int, ...]) -> list[_Run]:
    if not shape or shape[0] != len(tables.widths):
        raise CodecError(f"symbols have shape {shape}; expected {len(tables.widths)} channels")
    return [_Run(_model(table)) for table in np.split(tables.frequencies, tables.starts[1:])]


def _model(frequencies: Ints) -> Any:
    return stream.model.Categorical((frequencies - 1).astype(np.float32), perfect=False)


def _blocks(count: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def _int32(values: Integers) -> Longs:
    """`values` with room to calculate."""
    if values.dtype != np.int32 and values.size:
        low, high = int(values.min()), int(values.max())
        if low < -(2**31) or high >= 2**31:
            raise CodecError(f"latents and means must fit 32 bits; these are {low} to {high}")
    return values.astype(np.int64)


def _decoded(values: Longs) -> Ints:
    narrow = values.astype(np.int32)
    if (narrow != values).any():
        raise CorruptFileError("coded symbols are damaged: a latent does not fit 32 bits")
    return narrow
