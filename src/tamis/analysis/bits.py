"""Where the bits of a file went: how many of them each block of the picture took."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BitMap:
    """Bits of a coded picture, cell by cell.

    Attributes:
        bits: of every cell, `(rows, columns)`; cells of the last row and column may be cut.
        cell: side of a cell, pixels of the coded picture.
        width: of the coded picture, pixels.
        height: of the coded picture, pixels.
        overhead: bits of the file that are no cell's: headers, tables, padding, stuffing.
    """

    bits: Array
    cell: int
    width: int
    height: int
    overhead: float

    @property
    def total(self) -> float:
        """Bits of all cells; with `overhead` those of the whole file."""
        return float(self.bits.sum())

    def density(self, height: int, width: int) -> Array:
        """Bits per pixel at every pixel of a photo `(height, width)`.

        A picture stored smaller is laid over the photo; the mean is kept.
        """
        rows, columns = np.arange(self.height), np.arange(self.width)
        tall = np.bincount(rows // self.cell, minlength=self.bits.shape[0])
        wide = np.bincount(columns // self.cell, minlength=self.bits.shape[1])
        each = self.bits / np.outer(tall, wide)
        ys = np.arange(height) * self.height // height
        xs = np.arange(width) * self.width // width
        spread: Array = each[np.ix_(ys // self.cell, xs // self.cell)]
        return spread * (self.height * self.width / (height * width))


def fold(bits: Array, rows: int, columns: int) -> Array:
    """`bits` cut to `rows` x `columns`; what lay outside the picture goes to its last cells."""
    kept = bits[:rows].copy()
    kept[-1] += bits[rows:].sum(axis=0)
    cut = kept[:, :columns].copy()
    cut[:, -1] += kept[:, columns:].sum(axis=1)
    return cut
