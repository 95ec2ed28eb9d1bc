"""Every kind of convolution in the entropy models as one matrix over the window of a position."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tamis.errors import TamisError
from tamis.learned.context import CausalConvolution, WindowConvolution
from tamis.learned.integer_layers import Array


class ConvolutionMatrix(NamedTuple):
    """`columns @ matrix + bias`, where columns are what stands at `offsets` from a position.

    Attributes:
        offsets: (row, column) of every tap, `(T, 2)`.
        factor: 1, or 2 where a position of the input gives 2x2 positions of the output.
        matrix: `(T * inputs, factor^2 * outputs)`, rows by (tap, input), columns by (row, column,
            output).
        bias: `(factor^2 * outputs,)`.
    """

    offsets: Array
    factor: int
    matrix: Array
    bias: Array


def convolution_matrix(module: nn.Module) -> ConvolutionMatrix:
    """The matrix of a convolution that keeps the size, or of a transposed one that doubles it.

    Raises:
        TamisError: another module, or a convolution with a stride.
    """
    if isinstance(module, nn.ConvTranspose2d):
        return _transposed(module)
    if isinstance(module, CausalConvolution):
        window = module.window
        return _direct(module.weight, module.bias, window.above, window.left, window.offsets)
    if isinstance(module, WindowConvolution):
        above, left = module.window.above, module.window.left
        return _direct(module.convolution.weight, module.convolution.bias, above, left)
    if isinstance(module, nn.Conv2d) and module.stride == (1, 1):
        top, left = (size // 2 for size in module.kernel_size)
        return _direct(module.weight, module.bias, top, left)
    raise TamisError(f"{module} has no integer form")


def _direct(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    top: int,
    left: int,
    offsets: list[tuple[int, int]] | None = None,
) -> ConvolutionMatrix:
    """Taps of a kernel `(outputs, inputs, rows, columns)` whose (top, left) is the position."""
    kernel, outputs = _numpy(weight), len(weight)
    if offsets is None:
        rows, columns = kernel.shape[2:]
        offsets = [(row - top, column - left) for row in range(rows) for column in range(columns)]
    taps = [kernel[:, :, top + row, left + column].T for row, column in offsets]
    return ConvolutionMatrix(np.array(offsets), 1, np.concatenate(taps), _bias(bias, outputs))


def _transposed(module: nn.ConvTranspose2d) -> ConvolutionMatrix:
    """The output at `2 * i + phase` sees input `i + d` through kernel row `phase + pad - 2 * d`."""
    kernel = _numpy(module.weight)
    inputs, outputs, size = kernel.shape[:3]
    stride, padding = module.stride[0], int(module.padding[0])
    steps = range((padding - size) // stride + 1, (stride - 1 + padding) // stride + 1)
    taps = np.zeros((len(steps), len(steps), inputs, stride, stride, outputs))
    # Pairs of phase and distance for which the kernel has a row (or column).
    pairs = [
        (phase, i, phase + padding - stride * d)
        for phase in range(stride)
        for i, d in enumerate(steps)
        if 0 <= phase + padding - stride * d < size
    ]
    for row_phase, i, row in pairs:
        for column_phase, j, column in pairs:
            taps[i, j, :, row_phase, column_phase] = kernel[:, :, row, column]
    offsets = np.array([(row, column) for row in steps for column in steps])
    bias = np.tile(_bias(module.bias, outputs), stride**2)
    return ConvolutionMatrix(offsets, stride, taps.reshape(-1, stride**2 * outputs), bias)


def _bias(bias: torch.Tensor | None, outputs: int) -> Array:
    return np.zeros(outputs) if bias is None else _numpy(bias)


def _numpy(values: torch.Tensor) -> Array:
    return values.detach().cpu().double().numpy()
