"""What a preprocessor took out of a photo: where, in which direction, at which frequencies."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from tamis.bench.metrics import enlarge
from tamis.codecs import Image
from tamis.errors import TamisError

Array = npt.NDArray[np.float64]

BLOCK = 8
BANDS: dict[str, tuple[int, int]] = {"low": (0, 2), "middle": (3, 6), "high": (7, 14)}
"""By name the sums u + v of the frequencies of an 8x8 DCT that belong to the band."""


@dataclass(frozen=True)
class Removed:
    """The difference filtered - original, in grey levels.

    Attributes:
        absolute: mean of |difference| over the channels, `(H, W)`.
        luma: signed difference of the BT.601 luma, `(H, W)`.
        bands: root mean square of the luma difference in each 8x8 block, by band.
        shares: energy of the difference in each band over the original's energy there; the mean of
            a block is left out of both.
    """

    absolute: Array
    luma: Array
    bands: dict[str, Array]
    shares: dict[str, float]


def removed(original: Image, filtered: Image) -> Removed:
    """Compare; a picture stored smaller is enlarged first, as in the bench.

    Raises:
        TamisError: the photo is smaller than a block.
    """
    if min(original.shape[:2]) < BLOCK:
        raise TamisError(f"a photo of {original.shape[1]}x{original.shape[0]} has no 8x8 block")
    change = enlarge(filtered, original).astype(np.float64) - original
    luma = change @ _LUMA
    gone, there = _energies(luma), _energies(original @ _LUMA)
    return Removed(
        absolute=np.abs(change).mean(axis=2),
        luma=luma,
        bands={name: np.sqrt(energy / BLOCK**2) for name, energy in gone.items()},
        shares={
            name: float(gone[name].sum() / there[name].sum()) if there[name].any() else 0.0
            for name in BANDS
        },
    )


_LUMA = np.array([0.299, 0.587, 0.114])


def _energies(plane: Array) -> dict[str, Array]:
    """Energy of each 8x8 block by band, `(H // 8, W // 8)`; incomplete blocks are left out."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    blocks = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    squares = dctn(blocks, axes=(1, 3), norm="ortho") ** 2
    squares[:, 0, :, 0] = 0
    order = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    return {
        name: np.einsum("ruco,uo->rc", squares, ((order >= low) & (order <= high)).astype(float))
        for name, (low, high) in BANDS.items()
    }
