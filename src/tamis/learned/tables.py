"""Integer frequency tables: how probable each symbol is, in numbers that no machine rounds.

They are built once, when a model is exported, with the floating-point functions of that machine,
and stored with the model. From there on there are only integers.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from tamis.errors import CorruptFileError
from tamis.learned.density import Density
from tamis.learned.frequencies import Floats, Ints, Weights, check, quantize, take

MEAN_STEPS = 16
"""A mean is an integer in units of 1/16."""

SCALES: tuple[float, ...] = tuple(0.11 * (256 / 0.11) ** (i / 63) for i in range(64))
"""What a scale index stands for: the scale table of CompressAI, logarithmic from 0.11 to 256."""

WIDTHS = (8, 24, 96)
"""Widths of the Gaussian tables; each scale uses the narrowest that holds it."""

REACH = 4.3
"""Standard deviations a Gaussian table covers on each side; 2e-5 of the mass is outside."""

CHANNEL_REACH = 2048
"""Farthest distance from its centre that a channel's table may cover, in symbols."""

CHANNEL_TAIL = 2.0**-17
"""Mass that a channel's table may leave outside on each side."""


@dataclass(frozen=True)
class GaussianTables:
    """Tables of quantized Gaussians for every scale index and 16 fractional means.

    A mean is split into the nearest integer and a `phase`: `mean + 8 = 16 * nearest + phase`. The
    distance `d` of a latent from that integer is coded in zigzag order (0, -1, 1, -2, ...), which
    puts the likely symbols first; the last column is the escape for all that do not fit.

    Scales over `WIDTHS[-1] / 2 / REACH` do not get wider tables. Instead the low `shift` bits of d
    are sent as they are, and a table of a Gaussian that is `2**shift` times narrower codes the
    rest, `d >> shift`. In its units the phase becomes `phase >> shift`. That the density is flat
    over `2**shift` values costs less than 0.04 % of the rate.

    Attributes:
        frequencies: for each of `WIDTHS`, `(rows, width)`; each row sums to `TOTAL`.
        rows: row of a scale index and phase, at `scale * MEAN_STEPS + phase`, counted through all
            of `frequencies`; `(1024,)`.
        shifts: bits that are sent as they are, for each scale index, `(64,)`.
    """

    frequencies: tuple[Ints, ...]
    rows: Ints
    shifts: Ints

    @classmethod
    def build(cls) -> "GaussianTables":
        """The tables of `SCALES`, computed with the `erfc` of this machine."""
        rows: dict[tuple[int, int], int] = {}
        tables: list[list[Ints]] = [[] for _ in WIDTHS]
        shifts = [_shift(scale) for scale in SCALES]
        for index, (scale, shift) in enumerate(zip(SCALES, shifts, strict=True)):
            narrow = scale / 2**shift
            width = next(i for i, width in enumerate(WIDTHS) if narrow <= _widest(width))
            for phase in range((MEAN_STEPS - 1 >> shift) + 1):
                # Scales ascend, so that the tables of one width stay together.
                rows[index, phase] = sum(map(len, tables))
                tables[width].append(_gaussian(narrow, phase, WIDTHS[width]))
        keys = [(i, phase >> shifts[i]) for i in range(len(SCALES)) for phase in range(MEAN_STEPS)]
        return cls(
            tuple(np.stack(table) for table in tables),
            np.array([rows[key] for key in keys], np.int32),
            np.array(shifts, np.int32),
        )

    @cached_property
    def starts(self) -> Ints:
        """Row at which each width starts, and the number of rows: `(len(WIDTHS) + 1,)`."""
        return np.cumsum([0, *map(len, self.frequencies)]).astype(np.int32)

    @cached_property
    def weights(self) -> tuple[Weights, ...]:
        """`frequencies - 1`, as the coder takes them; exact in float32."""
        return tuple((table - 1).astype(np.float32) for table in self.frequencies)

    def to_arrays(self) -> dict[str, Ints]:
        """What to store; `from_arrays` takes it back."""
        tables = zip(WIDTHS, self.frequencies, strict=True)
        named = {f"frequencies_{width}": table for width, table in tables}
        return {"rows": self.rows, "shifts": self.shifts, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.integer]]) -> "GaussianTables":
        """The tables that `to_arrays` gave.

        Raises:
            CorruptFileError: arrays that are missing or are no such tables.
        """
        names = [f"frequencies_{width}" for width in WIDTHS]
        found = take(arrays, ["rows", "shifts", *names])
        rows, shifts, *tables = found
        for width, table in zip(WIDTHS, tables, strict=True):
            if table.ndim != 2 or table.shape[1] != width:
                raise CorruptFileError(f"Gaussian table has shape {table.shape}, not (.., {width})")
            check(table, np.arange(0, table.size, width))
        if rows.shape != (len(SCALES) * MEAN_STEPS,) or shifts.shape != (len(SCALES),):
            raise CorruptFileError(f"Gaussian tables are for {shifts.size} scales, not 64")
        if rows.min() < 0 or rows.max() >= min(sum(map(len, tables)), 2**16):
            raise CorruptFileError("a scale refers to a Gaussian table that does not exist")
        if shifts.min() < 0 or shifts.max() > 8:
            raise CorruptFileError(f"shifts are {shifts.min()} to {shifts.max()}, expected 0 to 8")
        return cls(tuple(tables), rows, shifts)


@dataclass(frozen=True)
class ChannelTables:
    """One table per channel for a latent without side information: symbol `round(z - centre)`.

    Channel c holds the symbols from `lows[c]` on, and an escape as the last one for all others.

    Attributes:
        lows: least symbol of each table, `(C,)`.
        widths: entries of each table, the escape included, `(C,)`.
        frequencies: all tables, one behind the other, `(widths.sum(),)`; each sums to `TOTAL`.
    """

    lows: Ints
    widths: Ints
    frequencies: Ints

    @classmethod
    def from_density(cls, density: Density, centres: npt.NDArray[np.floating]) -> "ChannelTables":
        """Tables of the bins of width 1 around `centres` + k, for all integers k with mass.

        Args:
            density: of C channels.
            centres: what the codec subtracts before it rounds, `(C,)`: the medians as it knows
                them, multiples of 1/16.
        """
        symbols = np.arange(-CHANNEL_REACH, CHANNEL_REACH + 1)
        tables = [_channel(mass) for mass in _bins(density, np.asarray(centres), symbols)]
        return cls(
            np.array([symbols[low] for low, _ in tables], np.int32),
            np.array([len(table) for _, table in tables], np.int32),
            np.concatenate([table for _, table in tables]),
        )

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each table starts in `frequencies`, `(C,)`."""
        return np.cumsum(self.widths, dtype=np.int64) - self.widths

    def to_arrays(self) -> dict[str, Ints]:
        """What to store; `from_arrays` takes it back."""
        return {"lows": self.lows, "widths": self.widths, "frequencies": self.frequencies}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.integer]]) -> "ChannelTables":
        """The tables that `to_arrays` gave.

        Raises:
            CorruptFileError: arrays that are missing or are no such tables.
        """
        tables = cls(*take(arrays, ["lows", "widths", "frequencies"]))
        widths = tables.widths
        if widths.ndim != 1 or not widths.size or tables.lows.shape != widths.shape:
            raise CorruptFileError("channel tables have no channels, or other ones than widths")
        if widths.min() < 2 or widths.sum(dtype=np.int64) != tables.frequencies.size:
            raise CorruptFileError("channel tables are not as wide as their widths say")
        if np.abs(tables.lows.astype(np.int64)).max() > 2**16:
            raise CorruptFileError("a channel table starts farther out than 65536")
        check(tables.frequencies, tables.starts)
        return tables


def _widest(width: int) -> float:
    """Largest scale a Gaussian table of `width` columns holds; its mean is off by 1/2 at most."""
    return (width - 2) / 2 / REACH


def _shift(scale: float) -> int:
    return next(k for k in range(9) if scale / 2**k <= _widest(WIDTHS[-1]))


def _gaussian(scale: float, phase: int, width: int) -> Ints:
    """One row: `width - 1` distances in zigzag order, then everything beyond them."""
    zigzag = np.arange(width - 1)
    distance = (zigzag >> 1) ^ -(zigzag & 1)
    mean = phase / MEAN_STEPS - 0.5
    return quantize(np.append(_mass(np.abs(distance - mean), scale), 0))


def _mass(distance: Floats, scale: float) -> Floats:
    """Mass of a Gaussian in the bin of width 1 at a `distance` from its mean."""
    below = np.array([math.erfc((x - 0.5) / scale * 0.5**0.5) for x in distance])
    above = np.array([math.erfc((x + 0.5) / scale * 0.5**0.5) for x in distance])
    mass: Floats = (below - above) / 2
    return mass


def _bins(density: Density, centres: Floats, symbols: npt.NDArray[np.int64]) -> Floats:
    """Masses of the symbols of every channel, `(C, len(symbols))`."""
    values = torch.from_numpy(centres.astype(np.float64)[:, None] + symbols)
    with torch.no_grad():
        likelihood = copy.deepcopy(density).double().cpu().likelihood(values[None, ..., None])
    mass: Floats = likelihood[0, ..., 0].numpy()
    # The least likelihood stands for "nothing here", thousands of times in a tail.
    return np.where(mass > 2e-9, mass, 0)


def _channel(mass: Floats) -> tuple[int, Ints]:
    """Index of the first symbol that is kept, and the table of those kept and the escape."""
    below, above = np.cumsum(mass), np.cumsum(mass[::-1])
    low = int(np.searchsorted(below, CHANNEL_TAIL))
    high = len(mass) - int(np.searchsorted(above, CHANNEL_TAIL))
    low = min(low, len(mass) - 1)
    return low, quantize(np.append(mass[low : max(high, low + 1)], 0))
