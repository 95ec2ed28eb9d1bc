"""The integer path once more, in plain int64, a position at a time: what every stream must match.

This is the definition; `integer` and `wavefront` are the fast form. Both read the same stored
integers and share no arithmetic: here sums are int64, the rounding is a right shift, positions are
visited one by one. Slow (seconds an image), meant for tests and for reading. One image at a time,
channels last.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from tamis.learned.entropy import Decoder, Encoder
from tamis.learned.integer_layers import Array, LayerTensors
from tamis.learned.tables import ChannelTables, GaussianTables


class Reference:
    """Codes latents with the stored integers of a model with a hyperprior."""

    def __init__(
        self, tensors: Mapping[str, Array], channels: ChannelTables, gaussian: GaussianTables
    ) -> None:
        """Build from `IntegerEntropy.to_tensors()` and the tables of z and of y."""
        self.tensors = {name: np.asarray(value).astype(np.int64) for name, value in tensors.items()}
        self.z_tables, self.y_tables = channels, gaussian
        names = {name.rsplit(".", 1)[0] for name in tensors if "." in name}
        self.layers = {name: LayerTensors.take(self.tensors, name) for name in sorted(names)}
        self.channels = int(self.tensors["channels"][0])
        self.coded = len(self.tensors["y_limit"]) if "context.0" in self.layers else 0

    def encode(self, z: Array, y: Array) -> bytes:
        """Symbols of z, `(H/4, W/4, N)`, and y, `(H, W, channels)`, not yet rounded, to bytes."""
        encoder = Encoder()
        encoder.channels(self.z_tables, z.transpose(2, 0, 1).astype(np.int32))
        features = self.features(z)
        if not self.coded:
            scales, means = self.hyper_parameters(features)
            # Symbols are distances from the mean, so what is coded has none.
            symbols = np.rint(y - means / 16).astype(np.int32)
            encoder.gaussian(self.y_tables, symbols, np.zeros_like(symbols), scales)
            return encoder.finish()
        y = np.rint(y).astype(np.int32)
        if self.coded < self.channels:
            rest = y[..., self.coded :]
            scales = self.zero_mean_scales(features)
            encoder.gaussian(self.y_tables, rest, np.zeros_like(rest), scales)
        for front in self._fronts(*y.shape[:2]):
            found = [self.parameters(features, y, row, column) for row, column in front]
            values = np.stack([y[row, column, : self.coded] for row, column in front])
            scales, means = (np.stack(part).astype(np.int32) for part in zip(*found, strict=True))
            encoder.gaussian(self.y_tables, values, means, scales)
        return encoder.finish()

    def decode(self, data: bytes, height: int, width: int) -> tuple[Array, Array]:
        """What `encode` wrote: symbols of z and of y, where y has `height` by `width` positions."""
        decoder = Decoder(data)
        shape = (len(self.tensors["medians"]), height // 4, width // 4)
        z = decoder.channels(self.z_tables, shape).transpose(1, 2, 0)
        features = self.features(z)
        if not self.coded:
            scales, means = self.hyper_parameters(features)
            return z, decoder.gaussian(self.y_tables, np.zeros_like(means), scales)
        y = np.zeros((height, width, self.channels), np.int32)
        if self.coded < self.channels:
            scales = self.zero_mean_scales(features)
            y[..., self.coded :] = decoder.gaussian(self.y_tables, np.zeros_like(scales), scales)
        for front in self._fronts(height, width):
            found = [self.parameters(features, y, row, column) for row, column in front]
            scales, means = (np.stack(part).astype(np.int32) for part in zip(*found, strict=True))
            values = decoder.gaussian(self.y_tables, means, scales)
            for (row, column), value in zip(front, values, strict=True):
                y[row, column, : self.coded] = value
        decoder.finish()
        return z, y

    def features(self, z: Array) -> Array:
        """The hyper network's outputs, `(H, W, C)`, for symbols of z, `(H/4, W/4, N)`."""
        limit = self.tensors["z_limit"]
        x: Array = np.clip(16 * z.astype(np.int64) + self.tensors["medians"], -limit, limit)
        for name in self._stage("hyper"):
            x = self._everywhere(name, x)
        return x

    def hyper_parameters(self, features: Array) -> tuple[Array, Array]:
        """Scale indices and means of a model without context, `(H, W, channels)`."""
        raw, means = features[..., : self.channels], features[..., self.channels :]
        scales = self._indices(raw)
        return scales, means.astype(np.int32) if means.shape[2] else np.zeros_like(scales)

    def zero_mean_scales(self, features: Array) -> Array:
        """Scale indices of the channels after the context-coded ones."""
        return self._indices(self._everywhere("zero_mean.0", features))

    def parameters(self, features: Array, y: Array, row: int, column: int) -> tuple[Array, Array]:
        """Scale indices and means of the context-coded channels at one position.

        Args:
            features: `(H, W, C)`.
            y: `(H, W, >= context channels)`; only what precedes the position is looked at.
            row: of the position.
            column: of the position.
        """
        limit = self.tensors["y_limit"]
        seen = y[max(row - 8, 0) : row + 1, max(column - 8, 0) : column + 9, : self.coded]
        near = np.clip(seen.astype(np.int64), -limit, limit)
        context = self._at("context.0", near, min(row, 8), min(column, 8))
        free = features[row, column]
        for name in self._stage("window"):
            free = self._at(name, features, row, column)
        x = np.concatenate([free, context])
        for name in self._stage("parameters"):
            x = self._at(name, x[None, None], 0, 0)
        return self._indices(x[: self.coded]), x[self.coded :]

    def _stage(self, stage: str) -> list[str]:
        return [name for name in self.layers if name.startswith(f"{stage}.")]

    def _everywhere(self, name: str, x: Array) -> Array:
        """A layer at all positions of `x`, `(H, W, inputs)`."""
        height, width, _ = x.shape
        factor = int(self.layers[name].factor[0])
        outputs = self.layers[name].outputs
        result = np.zeros((height * factor, width * factor, outputs), np.int64)
        for row in range(height):
            for column in range(width):
                # A transposed convolution gives the 2x2 outputs of a position, row by row.
                values = self._at(name, x, row, column).reshape(factor, factor, outputs)
                top, left = row * factor, column * factor
                result[top : top + factor, left : left + factor] = values
        return result

    def _at(self, name: str, x: Array, row: int, column: int) -> Array:
        """A layer at one position of `x`, `(H, W, inputs)`; zeros stand around x."""
        layer = self.layers[name]
        height, width, inputs = x.shape
        total = layer.bias.copy()
        for tap, (down, right) in enumerate(layer.offsets.tolist()):
            r, c = row + down, column + right
            if 0 <= r < height and 0 <= c < width:
                total += x[r, c] @ layer.weight[tap * inputs : (tap + 1) * inputs]
        factors = np.where(total < 0, layer.negative, layer.multiplier)
        half = np.left_shift(1, layer.shift - 1)
        shifted = np.right_shift(total * factors + half, layer.shift)
        clamped: Array = np.clip(shifted, layer.low, layer.high)
        return clamped

    def _indices(self, raw: Array) -> Array:
        """Index of the scale: how many thresholds a raw scale has reached."""
        indices: Array = (raw[..., None] >= self.tensors["thresholds"]).sum(-1).astype(np.int32)
        return indices

    def _fronts(self, height: int, width: int) -> Iterator[list[tuple[int, int]]]:
        """Positions in the order of the stream: by `column + slope * row`, then by row."""
        offsets = self.layers["context.0"].offsets.tolist()
        # What is above and to the right must come earlier: right - slope * up < 0.
        slope = max([1] + [right // -down + 1 for down, right in offsets if down < 0])
        for number in range(width + slope * (height - 1)):
            rows = range(height)
            front = [
                (row, number - slope * row) for row in rows if 0 <= number - slope * row < width
            ]
            if front:
                yield front
