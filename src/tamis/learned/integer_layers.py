"""A convolution as integers: what is stored of it, the proof that floats carry it, how it runs.

Integers carried in floating point are exact as long as nothing on the way, in whatever order a
library sums, leaves the range in which every integer is a float: 2^24 for float32, 2^53 for
float64. `IntegerLayer` proves that from the stored integers and the range of its inputs when it is
built. Products and sums of integers then have one right result, on every machine, with any number
of threads. Source: Ballé et al. 2019 ("Integer networks for data compression with latent-variable
models"); He et al. 2022 (arXiv 2202.07513) for the requantization between layers.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tamis.errors import CorruptFileError, TamisError

Array = npt.NDArray[Any]

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53
MAX_SHIFT = 60

# Rows of a matrix product: a block of window columns stays in the cache of a core.
BLOCK = 128


class LayerTensors(NamedTuple):
    """The integers of a layer. K = taps times inputs; J = outputs times `factor` squared.

    Column j of a position's accumulator is `inputs @ weight[:, j] + bias[j]`. It becomes the
    output `(accumulator * multiplier[j] + 2^(shift[j] - 1)) >> shift[j]`, clamped to
    `low[j]..high[j]`; a negative accumulator takes `negative[j]` in place of `multiplier[j]`.

    Attributes:
        offsets: (row, column) of every tap relative to the position, `(T, 2)`.
        factor: `(1,)`, 1, or 2 where every position gives 2x2 of them (a transposed convolution);
            the columns are then ordered by (row, column, channel).
        weight: `(K, J)`, its rows ordered by (tap, input channel).
        bias: `(J,)`.
        multiplier: `(J,)`.
        negative: `(J,)`, at most `multiplier`; the same where there is no leaky ReLU.
        shift: `(J,)`, 1 to `MAX_SHIFT`.
        low: `(J,)`, zero where there is a ReLU.
        high: `(J,)`.
    """

    offsets: Array
    factor: Array
    weight: Array
    bias: Array
    multiplier: Array
    negative: Array
    shift: Array
    low: Array
    high: Array

    @property
    def inputs(self) -> int:
        """Channels that go in."""
        return len(self.weight) // len(self.offsets)

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.weight.shape[1] // self.factor[0] ** 2)

    def named(self, name: str) -> dict[str, Array]:
        """The tensors as `{"<name>.<field>": array}`."""
        return {f"{name}.{field}": value for field, value in self._asdict().items()}

    @classmethod
    def take(cls, tensors: Mapping[str, Array], name: str) -> "LayerTensors":
        """The layer `name` of `tensors`; its shapes are checked, its values are not.

        Raises:
            CorruptFileError: a tensor is missing, no integers, or not of its shape.
        """
        try:
            layer = cls(**{field: np.asarray(tensors[f"{name}.{field}"]) for field in cls._fields})
        except KeyError as missing:
            raise CorruptFileError(f"the integer model has no tensor {missing}") from None
        if any(value.dtype.kind != "i" for value in layer):
            raise CorruptFileError(f"layer {name} of the integer model is not made of integers")
        taps, columns = len(layer.offsets), layer.weight.shape[-1] if layer.weight.ndim else 0
        sound = (
            layer.offsets.shape == (taps, 2)
            and layer.factor.shape == (1,)
            and layer.weight.ndim == 2
            and taps > 0
            and len(layer.weight) % taps == 0
            and all(value.shape == (columns,) for value in layer[3:])
            and layer.factor[0] in (1, 2)
            and columns % layer.factor[0] ** 2 == 0
            and abs(layer.offsets).max() < 64
        )
        if not sound:
            raise CorruptFileError(f"layer {name} of the integer model has tensors of wrong shapes")
        return layer


class Grid:
    """Positions of `batch` pictures of `height` by `width`, zeros around them, and their windows.

    Attributes:
        positions: row of the buffer that belongs to every position, `(batch, height, width)`.
        taps: what to add to it to get the rows of its window, `(T,)`.
        rows: rows of the buffer.
    """

    def __init__(self, batch: int, height: int, width: int, offsets: Array) -> None:
        (above, left), (below, right) = -offsets.min(0).clip(max=0), offsets.max(0).clip(min=0)
        rows, columns = height + above + below, width + left + right
        self.rows = int(batch * rows * columns)
        row = np.arange(height)[:, None] + above
        picture = np.arange(batch)[:, None, None] * rows * columns
        self.positions: Array = picture + row * columns + np.arange(width) + left
        self.taps: Array = offsets[:, 0].astype(np.intp) * columns + offsets[:, 1]

    def buffer(self, channels: int, dtype: npt.DTypeLike) -> Array:
        """Zeros for every position and the padding, `(rows, channels)`."""
        return np.zeros((self.rows, channels), dtype)


class IntegerLayer:
    """A layer that is proven exact and ready to run.

    Attributes:
        tensors: what is stored.
        dtype: the float type that carries its accumulators.
        weight: `(K, J)` of that type.
        low: least output of every channel, `(outputs,)`.
        high: greatest output of every channel.
    """

    def __init__(self, name: str, tensors: LayerTensors, low: Array, high: Array) -> None:
        """Prove and prepare.

        Args:
            name: for the error message.
            tensors: of the layer.
            low: least value of every input channel, `(inputs,)`.
            high: greatest value of every input channel.

        Raises:
            CorruptFileError: other inputs than the layer takes, or integers for which no float
                type is exact.
        """
        self.tensors = tensors
        if len(low) != tensors.inputs:
            raise CorruptFileError(f"layer {name} takes {tensors.inputs} channels, not {len(low)}")
        bound = accumulator_bound(tensors.weight, low, high)
        _check_requantization(name, tensors, bound)
        self.dtype: npt.DTypeLike = (
            np.float32 if bound.max(initial=0) < FLOAT32_EXACT else np.float64
        )
        _check_matrix_product()
        self.weight: Array = np.ascontiguousarray(tensors.weight, self.dtype)
        self.low, self.high = _per_channel(tensors)
        # Powers of two are exact: what follows is the integer multiplication and shift.
        unit = np.exp2(-tensors.shift.astype(np.float64))
        self._scale = tensors.multiplier * unit
        self._offset = self._scale * tensors.bias + 0.5
        self._leaky = bool((tensors.negative != tensors.multiplier).any())
        self._negative_scale = tensors.negative * unit
        self._negative_offset = self._negative_scale * tensors.bias + 0.5
        self._clamp = tensors.low.astype(np.float64), tensors.high.astype(np.float64)

    def requantize(self, products: Array) -> Array:
        """Sums `inputs @ weight`, `(P, J)`, to outputs, `(P, J)` float32 holding integers."""
        values = np.multiply(products, self._scale, dtype=np.float64)
        values += self._offset
        if self._leaky:
            # The factor of negative accumulators is the smaller one, so it wins below zero only.
            leaked = np.multiply(products, self._negative_scale, dtype=np.float64)
            leaked += self._negative_offset
            np.maximum(values, leaked, out=values)
        np.floor(values, out=values)
        np.maximum(values, self._clamp[0], out=values)
        np.minimum(values, self._clamp[1], out=values)
        outputs: Array = values.astype(np.float32)
        return outputs

    def __call__(self, x: Array) -> Array:
        """`(B, H, W, inputs)` to `(B, factor * H, factor * W, outputs)`, float32 integers."""
        batch, height, width, _ = x.shape
        outputs: Array = np.empty((batch * height * width, self.weight.shape[1]), np.float32)
        for part, columns in self.windows(x):
            outputs[part] = self.requantize(columns @ self.weight)
        factor = int(self.tensors.factor[0])
        outputs = outputs.reshape(batch, height, width, factor, factor, -1)
        outputs = outputs.swapaxes(2, 3)
        return outputs.reshape(batch, factor * height, factor * width, -1)

    def windows(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Blocks of the window columns of every position of `x`, `(B, H, W, inputs)`.

        Yields:
            The slice of positions, in raster order, and their columns, `(P, K)`.
        """
        batch, height, width, channels = x.shape
        grid = Grid(batch, height, width, self.tensors.offsets)
        positions = grid.positions.reshape(-1, 1)
        buffer = grid.buffer(channels, self.dtype)
        buffer[positions[:, 0]] = x.reshape(-1, channels)
        for start in range(0, len(positions), BLOCK):
            part = slice(start, start + BLOCK)
            rows = positions[part] + grid.taps
            yield part, buffer.take(rows, axis=0).reshape(len(rows), -1)


def accumulator_bound(weight: Array, low: Array, high: Array) -> Array:
    """Largest magnitude of any partial sum of `inputs @ weight`, in any order; `(J,)` int64.

    Args:
        weight: `(K, J)` integers, rows ordered by (tap, input channel).
        low: least input of every channel, `(K / taps,)`; zero padding counts as an input.
        high: greatest.
    """
    taps = len(weight) // max(len(low), 1)
    lowest = np.tile(np.minimum(low, 0), taps).astype(np.int64)[:, None]
    highest = np.tile(np.maximum(high, 0), taps).astype(np.int64)[:, None]
    ends = lowest * weight, highest * weight
    bound: Array = np.maximum(np.maximum(*ends).sum(0), -np.minimum(*ends).sum(0))
    return bound


def _check_requantization(name: str, tensors: LayerTensors, bound: Array) -> None:
    """Prove that accumulator times multiplier plus rounding stays below 2^53."""
    multiplier, shift = tensors.multiplier.astype(np.int64), tensors.shift.astype(np.int64)
    clamps = np.maximum(abs(tensors.low.astype(np.int64)), abs(tensors.high.astype(np.int64)))
    if (
        (tensors.negative < 0).any()
        or (tensors.negative > multiplier).any()
        or (shift < 1).any()
        or (shift > MAX_SHIFT).any()
        or (tensors.low > tensors.high).any()
        or clamps.max(initial=0) >= FLOAT32_EXACT
    ):
        raise CorruptFileError(f"layer {name} of the integer model has factors out of range")
    # In Python's integers, which do not overflow.
    for most, bias, factor, bits in zip(
        bound.tolist(), tensors.bias.tolist(), multiplier.tolist(), shift.tolist(), strict=True
    ):
        if most >= FLOAT64_EXACT or (most + abs(bias)) * factor + 2 ** (bits - 1) >= FLOAT64_EXACT:
            raise CorruptFileError(
                f"layer {name} of the integer model sums to {most + abs(bias)} times {factor}; "
                f"floats are exact below {FLOAT64_EXACT} only"
            )


def _per_channel(tensors: LayerTensors) -> tuple[Array, Array]:
    """Range of every output channel, over the columns that belong to it."""
    low, high = tensors.low, tensors.high
    columns = (-1, tensors.outputs)
    return low.reshape(columns).min(0), high.reshape(columns).max(0)


@cache
def _check_matrix_product() -> None:
    """Refuse a numpy whose float32 matrix product rounds products, as reduced-precision modes do.

    Raises:
        TamisError: the product of integers below the bound is not their integer product.
    """
    values = np.random.default_rng(0)
    left, right = values.integers(-511, 512, (24, 300)), values.integers(-100, 101, (300, 40))
    product = left.astype(np.float32) @ right.astype(np.float32)
    if not np.array_equal(product.astype(np.int64), left @ right):
        raise TamisError(
            "numpy's float32 matrix product is not exact on this machine (a reduced-precision "
            "mode of its BLAS?); learned streams need it exact"
        )
