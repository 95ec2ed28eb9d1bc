"""From z symbols to means and scales in integers: the networks of an entropy model, run exactly.

    z ──► hyper ──► c' ──┬──► window ──┐
                         │             ├──► parameters ──► scale, mean
                y_hat ───│──► context ─┘
                         └──► zero_mean ──► scale of the channels without context

Which of these there are follows from the stored tensors: a hyperprior model has `hyper` alone,
whose outputs are then the parameters; `window` and `zero_mean` are Lee et al. 2019's. A mean is an
integer in 1/16, a scale is the index of one of 64 scales. Pictures are channels-last here.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tamis.errors import CorruptFileError
from tamis.learned.integer_layers import Array, IntegerLayer, LayerTensors

SCALE_STEPS = 1024
"""Raw scales are integers in 1/1024 before their thresholds make indices of them."""

SCALE_LIMIT = 256 * SCALE_STEPS - 1
MEAN_LIMIT = 2**15 - 1
"""Largest mean, in 1/16: 2048."""

Z_STEPS = 16
"""The hyper latent goes in in units of 1/16, in which its medians are stored."""

STAGES = ("hyper", "window", "context", "parameters", "zero_mean")


class Parameters(NamedTuple):
    """What a coder needs to know of the elements of y; both of one shape, int32.

    Attributes:
        scales: indices into `tables.SCALES`.
        means: in 1/16.
    """

    scales: Array
    means: Array


class IntegerEntropy:
    """The parameter networks of a latent model, in integers that are proven exact when built.

    Attributes:
        channels: channels of y.
        context_channels: how many of them are coded with context; 0 is a model without.
        means: whether the model without context predicts means, and y is rounded around them.
        medians: of z, in 1/16, `(N,)`.
        slope: positions with equal `column + slope * row` are decoded together.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        """Build from stored tensors; `quantize` makes them and `to_tensors` returns them.

        Raises:
            CorruptFileError: something is missing, does not fit, or cannot be proven exact.
        """
        self._tensors = {name: np.asarray(value) for name, value in tensors.items()}
        self.medians = self._vector("medians")
        self._z_limit = self._vector("z_limit", len(self.medians))
        self.channels = int(self._vector("channels", 1)[0])
        # Every scale that the networks can give has its index in a table: one look-up.
        thresholds = self._vector("thresholds", 63)
        scales = np.arange(SCALE_LIMIT + 1)
        self._indices = np.searchsorted(thresholds, scales, side="right").astype(np.int32)
        self._hyper = self._chain("hyper", -self._z_limit, self._z_limit)
        inner = self._hyper[-1].low, self._hyper[-1].high
        self._zero_mean = self._chain("zero_mean", *inner)
        self._window = self._chain("window", *inner)
        self.context_channels = 0
        self.means = self._hyper[-1].tensors.outputs == 2 * self.channels
        if "context.0.weight" in self._tensors:
            self._build_context()
        elif self._hyper[-1].tensors.outputs not in (self.channels, 2 * self.channels):
            raise CorruptFileError(f"the hyper network has not {self.channels} scales or twice it")
        else:
            self._check_outputs(self._hyper[-1], self.channels)
        if self._zero_mean:
            self._check_outputs(self._zero_mean[-1], self.channels - self.context_channels)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> "IntegerEntropy":
        """The same as the constructor; numpy arrays or CPU tensors."""
        return cls(tensors)

    def to_tensors(self) -> dict[str, Array]:
        """Everything that is stored, integers only, by name."""
        return dict(self._tensors)

    def features(self, z: Array) -> Array:
        """What the hyper network makes of z.

        Args:
            z: symbols, rounded distances from the medians, `(B, H/4, W/4, N)`.

        Returns:
            `(B, H, W, C)` float32 integers.
        """
        limit = self._z_limit
        values = np.clip(z.astype(np.int64) * Z_STEPS + self.medians, -limit, limit)
        x: Array = values.astype(np.float32)
        for layer in self._hyper:
            x = layer(x)
        return x

    def hyper_parameters(self, features: Array) -> Parameters:
        """Parameters of a model without context, `(B, H, W, channels)`."""
        if self.means:
            return self._split(features)
        scales = self._indices.take(features.astype(np.intp))
        return Parameters(scales, np.zeros_like(scales))

    def zero_mean_parameters(self, features: Array) -> Parameters:
        """Parameters of the channels without context, `(B, H, W, the number of them)`."""
        scales = self._indices.take(self._zero_mean[0](features).astype(np.intp))
        return Parameters(scales, np.zeros_like(scales))

    def bit_consuming(self, features: Array) -> Array:
        """The part of the first parameter layer's sums that y_hat has no say in, `(B * H * W, J)`.

        It is computed for all positions at once before the first of them is decoded.
        """
        for layer in self._window:
            features = layer(features)
        rows: Array = features.reshape(-1, features.shape[-1])
        products: Array = rows.astype(self._first.dtype, copy=False) @ self._free_weight
        return products

    def context_input(self, y: Array) -> Array:
        """y_hat as the context sees it: clamped to the stored range, `(..., context_channels)`."""
        return np.clip(y, -self._y_limit, self._y_limit)

    def estimate(self, columns: Array, bit_consuming: Array) -> Parameters:
        """Parameters of the context-coded channels at P positions, `(P, context_channels)`.

        Args:
            columns: windows of `context_input`, `(P, taps * context_channels)`.
            bit_consuming: rows of `bit_consuming`, `(P, J)`.
        """
        context = self.context.requantize(columns @ self.context.weight)
        x: Array = context.astype(self._first.dtype, copy=False) @ self._context_weight
        x += bit_consuming
        x = self._first.requantize(x)
        for layer in self._rest:
            x = layer.requantize(x.astype(layer.dtype, copy=False) @ layer.weight)
        return self._split(x)

    def _split(self, outputs: Array) -> Parameters:
        """Scales first, then means, along the last axis."""
        half = outputs.shape[-1] // 2
        scales = self._indices.take(outputs[..., :half].astype(np.intp))
        return Parameters(scales, outputs[..., half:].astype(np.int32))

    def _build_context(self) -> None:
        self._y_limit = self._vector("y_limit")
        self.context_channels = len(self._y_limit)
        self.context = self._chain("context", -self._y_limit, self._y_limit)[0]
        self.slope = slope(self.context.tensors.offsets)
        free = self._window[-1] if self._window else self._hyper[-1]
        chain = self._chain(
            "parameters",
            np.concatenate([free.low, self.context.low]),
            np.concatenate([free.high, self.context.high]),
        )
        pointwise = all(len(layer.tensors.offsets) == 1 for layer in chain)
        if not chain or not pointwise or chain[-1].tensors.outputs != 2 * self.context_channels:
            raise CorruptFileError(
                f"the parameter network does not end in {2 * self.context_channels} outputs"
            )
        self._check_outputs(chain[-1], self.context_channels)
        self._first, self._rest = chain[0], chain[1:]
        self._free_weight, self._context_weight = np.split(self._first.weight, [len(free.low)])
        if bool(self._zero_mean) != (self.context_channels < self.channels):
            raise CorruptFileError("the integer model has no scales for the zero-mean channels")

    def _chain(self, stage: str, low: Array, high: Array) -> list[IntegerLayer]:
        """Layers `stage.0`, `stage.1`, ... as many as are stored."""
        layers: list[IntegerLayer] = []
        while (name := f"{stage}.{len(layers)}") + ".weight" in self._tensors:
            layer = IntegerLayer(name, LayerTensors.take(self._tensors, name), low, high)
            layers.append(layer)
            low, high = layer.low, layer.high
        if not layers and stage == "hyper":
            raise CorruptFileError("the integer model has no hyper network")
        return layers

    def _check_outputs(self, layer: IntegerLayer, scales: int) -> None:
        """The first `scales` outputs must be indices into the table of scales."""
        if len(layer.low) < scales or layer.low[:scales].min() < 0:
            raise CorruptFileError(f"the integer model has not {scales} scales that are positive")
        if layer.high[:scales].max() > SCALE_LIMIT:
            raise CorruptFileError(f"the integer model has scales above {SCALE_LIMIT} steps")

    def _vector(self, name: str, length: int | None = None) -> Array:
        value = self._tensors.get(name)
        if value is None or value.ndim != 1 or value.dtype.kind != "i":
            raise CorruptFileError(f"the integer model has no vector of integers '{name}'")
        if length is not None and len(value) != length:
            raise CorruptFileError(f"'{name}' has {len(value)} entries instead of {length}")
        return value.astype(np.int64)


def slope(offsets: Array) -> int:
    """Least slope for which positions of equal `column + slope * row` do not see each other.

    Raises:
        CorruptFileError: a tap at or after the position itself in raster order.
    """
    least = 1
    for row, column in offsets.tolist():
        if row > 0 or (row == 0 and column >= 0):
            raise CorruptFileError(f"the context window sees ({row}, {column}), not yet decoded")
        if row < 0:
            least = max(least, column // -row + 1)
    return least
