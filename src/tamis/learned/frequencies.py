"""The frequencies of a table: positive integers that sum to 2**24, checked when they are read."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tamis.errors import CorruptFileError

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

TOTAL = 2**24
"""Sum of the frequencies of a table: the fixed-point precision of constriction's coders."""


def quantize(mass: Floats) -> Ints:
    """Integer frequencies, at least 1, that sum to `TOTAL`.

    Args:
        mass: probabilities; what they lack to 1 is that of the last symbol, the escape.
    """
    mass = mass.copy()
    mass[-1] += max(0.0, 1 - mass.sum())
    frequencies = 1 + np.floor(mass / mass.sum() * (TOTAL - len(mass))).astype(np.int64)
    frequencies[frequencies.argmax()] += TOTAL - frequencies.sum()
    return np.asarray(frequencies, np.int32)


def take(arrays: Mapping[str, npt.NDArray[np.integer]], names: list[str]) -> list[Ints]:
    """The arrays of these names, int32.

    Raises:
        CorruptFileError: one is missing.
    """
    if missing := [name for name in names if name not in arrays]:
        raise CorruptFileError(f"frequency tables lack {', '.join(missing)}")
    return [np.ascontiguousarray(arrays[name], np.int32) for name in names]


def check(frequencies: Ints, starts: npt.NDArray[np.int64]) -> None:
    """Check tables that begin at `starts` of the flattened `frequencies`.

    Raises:
        CorruptFileError: a frequency is not positive, or a table does not sum to `TOTAL`.
    """
    if not frequencies.size:
        raise CorruptFileError("a frequency table is empty")
    sums = np.add.reduceat(frequencies.ravel().astype(np.int64), starts)
    if frequencies.min() < 1 or (sums != TOTAL).any():
        raise CorruptFileError(f"frequencies must be positive and sum to {TOTAL} in every table")
