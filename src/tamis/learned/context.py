"""Causal windows: what the decoder already knows around a position, in raster order."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


class Window(NamedTuple):
    """A causal window: the rows above the position and what is left of it in its own row.

    Attributes:
        above: rows above the position's own.
        left: columns to the left.
        right: columns to the right (in the rows above only).
    """

    above: int
    left: int
    right: int

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """(row, column) relative to the position, of everything known, in raster order."""
        columns = range(-self.left, self.right + 1)
        known = [(row, column) for row in range(-self.above, 0) for column in columns]
        return known + [(0, column) for column in range(-self.left, 0)]

    @property
    def slope(self) -> int:
        """Positions with equal `column + slope * row` do not see each other: a wavefront."""
        return self.right + 1


# Minnen et al. 2018: 5x5, its second half masked. Lee et al. 2019: rows h-3..h, columns w-2..w+1.
MINNEN_WINDOW = Window(above=2, left=2, right=2)
LEE_WINDOW = Window(above=3, left=2, right=1)


class CausalConvolution(nn.Module):
    """A convolution over a `Window`: `(N, inputs, H, W)` to `(N, outputs, H, W)`.

    Attributes:
        weight: `(outputs, inputs, rows, columns)`; entries at and after the position are zero.
    """

    def __init__(self, inputs: int, outputs: int, window: Window) -> None:
        super().__init__()
        self.window = window
        rows, columns = window.above + 1, window.left + 1 + window.right
        start = nn.Conv2d(inputs, outputs, (rows, columns))
        self.weight = nn.Parameter(start.weight.detach())
        self.bias = nn.Parameter(torch.zeros(outputs))
        mask = torch.zeros(rows, columns)
        for row, column in window.offsets:
            mask[window.above + row, window.left + column] = 1
        self.mask: torch.Tensor
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zeros stand outside of the image."""
        window = self.window
        padded = F.pad(x, (window.left, window.right, window.above, 0))
        return F.conv2d(padded, self.weight * self.mask, self.bias)


class WindowConvolution(nn.Module):
    """An ordinary convolution over the whole rectangle of a `Window`, nothing masked."""

    def __init__(self, inputs: int, outputs: int, window: Window) -> None:
        super().__init__()
        self.window = window
        self.convolution = nn.Conv2d(
            inputs, outputs, (window.above + 1, window.left + 1 + window.right)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H, W)`; zeros stand outside of the image."""
        window = self.window
        return torch.as_tensor(
            self.convolution(F.pad(x, (window.left, window.right, window.above, 0)))
        )
