"""The order in which symbols go through the coder, and the model that each of them has there.

Symbols that use tables of the same width follow each other, so that a chunk takes one call of the
coder for each width, and not one for each table.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from constriction import stream

from tamis.errors import CodecError
from tamis.learned.frequencies import Ints, Weights
from tamis.learned.tables import MEAN_STEPS, WIDTHS, ChannelTables, GaussianTables

Longs = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer]

BLOCK = 2**15
"""Symbols whose tables are laid out at once: bounds the memory that large images take."""

_ROWS = stream.model.Categorical(perfect=False)
_SIZES = stream.model.Uniform()


class Run(NamedTuple):
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


class Plan(NamedTuple):
    """Order and tables of a chunk of Gaussian symbols, sorted by table.

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
    runs: list[tuple[slice, Run]]

    @classmethod
    def make(cls, tables: GaussianTables, means: Integers, scales: Integers) -> "Plan":
        """The plan of a chunk with these means, in 1/16, and scale indices; of one shape, any.

        Raises:
            CodecError: means outside of int32, or arrays of different shapes.
        """
        if means.shape != scales.shape:
            raise CodecError(f"means have shape {means.shape}, but scales {scales.shape}")
        shifted = widened(means).ravel() + 8
        scales = scales.ravel()
        rows = tables.rows.take(scales.astype(np.int64) * MEAN_STEPS + (shifted & 15))
        # numpy's stable sort of 16-bit numbers is a radix sort.
        order = np.argsort(rows.astype(np.uint16), kind="stable")
        rows = rows[order]
        ends = np.searchsorted(rows, tables.starts).tolist()
        runs = [
            (slice(start, end), Run(_ROWS, rows[start:end] - first, weights))
            for start, end, first, weights in zip(
                ends, ends[1:], tables.starts, tables.weights, strict=False
            )
            if end > start
        ]
        escapes = np.repeat(np.array(WIDTHS) - 1, np.diff(ends))
        return cls(order, (shifted >> 4)[order], tables.shifts.take(scales[order]), escapes, runs)


def table_run(frequencies: Ints) -> Run:
    """All symbols with the same table."""
    weights = (frequencies - 1).astype(np.float32)
    return Run(stream.model.Categorical(weights, perfect=False))


def channel_runs(tables: ChannelTables, shape: tuple[int, ...]) -> list[Run]:
    """The table of each channel of symbols of `shape`, `(C, ...)`.

    Raises:
        CodecError: another number of channels.
    """
    if not shape or shape[0] != len(tables.widths):
        raise CodecError(f"symbols have shape {shape}; expected {len(tables.widths)} channels")
    return [table_run(table) for table in np.split(tables.frequencies, tables.starts[1:])]


def bits_run(counts: Integers) -> Run:
    """Numbers of 1 to 23 bits, as many as `counts` says, all values alike."""
    return Run(_SIZES, (1 << counts).astype(np.int32))


def blocks(count: int) -> list[slice]:
    """Slices of at most `BLOCK` that cover `count` symbols, first to last."""
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def widened(values: Integers) -> Longs:
    """`values` as int64, with room to calculate.

    Raises:
        CodecError: one that int32 does not hold.
    """
    if values.dtype != np.int32 and values.size:
        low, high = int(values.min()), int(values.max())
        if low < -(2**31) or high >= 2**31:
            raise CodecError(f"latents and means must fit 32 bits; these are {low} to {high}")
    return values.astype(np.int64)
