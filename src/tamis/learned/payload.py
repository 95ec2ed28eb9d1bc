"""The body of a stream: the symbols of z and y, in the order in which a decoder can know them.

First z, with one table per channel; then y. Without hyperprior, y alone with one table per
channel. Without context, y at once. With context, the zero-mean channels at once (if there are
any), then the others wavefront by wavefront. Pictures of one size are coded together, each into
its own bytes. Arrays are channels-last.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tamis.learned import wavefront
from tamis.learned.entropy import Decoder, Encoder
from tamis.learned.integer import Z_STEPS, IntegerEntropy
from tamis.learned.integer_layers import Array
from tamis.learned.tables import MEAN_STEPS, ChannelTables, GaussianTables

# Far outside of any latent, and far inside of what the coder takes.
LATENT_LIMIT = 2**24


class Decoded(NamedTuple):
    """Latents of a batch.

    Attributes:
        z: symbols, `(B, H/4, W/4, N)` int32, or None for a model without hyperprior.
        y: symbols, `(B, H, W, M)` int32: rounded latents, or their rounded distances from the
            mean or median where a model rounds around those.
        y_hat: the quantized latents, `(B, H, W, M)` float32.
    """

    z: Array | None
    y: Array
    y_hat: Array


class DensityPayload:
    """y with one table per channel, rounded around medians."""

    def __init__(self, medians: Array, tables: ChannelTables) -> None:
        """`medians` are integers in 1/16, `(M,)`; `tables` are built around them."""
        self.medians = medians
        self.centres = medians / Z_STEPS
        self.tables = tables

    def encode(self, y: Array) -> list[bytes]:
        """Latents `(B, H, W, M)`, not yet rounded, to the bytes of each."""
        payloads = []
        for symbols in rounded(y - self.centres):
            encoder = Encoder()
            encoder.channels(self.tables, symbols.transpose(2, 0, 1))
            payloads.append(encoder.finish())
        return payloads

    def decode(self, payloads: Sequence[bytes], height: int, width: int) -> Decoded:
        """Latents of pictures whose y has `height` by `width` positions.

        Raises:
            CorruptFileError: bytes that no encoder wrote.
        """
        shape = (len(self.centres), height, width)
        decoders = [Decoder(payload) for payload in payloads]
        y = np.stack([decoder.channels(self.tables, shape) for decoder in decoders])
        for decoder in decoders:
            decoder.finish()
        y = y.transpose(0, 2, 3, 1)
        return Decoded(None, y, (y + self.centres).astype(np.float32))


class HyperPayload:
    """z with one table per channel, y with Gaussians whose parameters integer networks give."""

    def __init__(
        self, entropy: IntegerEntropy, channels: ChannelTables, gaussian: GaussianTables
    ) -> None:
        self.entropy = entropy
        self.z = DensityPayload(entropy.medians, channels)
        self.tables = gaussian

    def encode(self, z: Array, y: Array) -> list[bytes]:
        """Latents, not yet rounded, `(B, H/4, W/4, N)` and `(B, H, W, M)`, to the bytes of each."""
        z = rounded(z - self.z.centres)
        encoders = [Encoder() for _ in z]
        for encoder, symbols in zip(encoders, z, strict=True):
            encoder.channels(self.z.tables, symbols.transpose(2, 0, 1))
        features = self.entropy.features(z)
        if self.entropy.context_channels:
            self._encode_context(encoders, features, rounded(y))
        else:
            scales, means = self.entropy.hyper_parameters(features)
            symbols = rounded(y - means / MEAN_STEPS)
            for i, encoder in enumerate(encoders):
                # Distances from the mean: what is coded has none.
                encoder.gaussian(self.tables, symbols[i], np.zeros_like(means[i]), scales[i])
        return [encoder.finish() for encoder in encoders]

    def decode(self, payloads: Sequence[bytes], height: int, width: int) -> Decoded:
        """Latents of pictures whose y has `height` by `width` positions, multiples of 4.

        Raises:
            CorruptFileError: bytes that no encoder wrote.
        """
        decoders = [Decoder(payload) for payload in payloads]
        shape = (len(self.z.centres), height // 4, width // 4)
        z = np.stack([decoder.channels(self.z.tables, shape) for decoder in decoders])
        z = z.transpose(0, 2, 3, 1)
        features = self.entropy.features(z)
        if self.entropy.context_channels:
            y = self._decode_context(decoders, features)
            y_hat = y.astype(np.float32)
        else:
            scales, means = self.entropy.hyper_parameters(features)
            zeros = np.zeros_like(means[0])
            pairs = zip(decoders, scales, strict=True)
            y = np.stack([coder.gaussian(self.tables, zeros, scale) for coder, scale in pairs])
            y_hat = (y + means / MEAN_STEPS).astype(np.float32)
        for decoder in decoders:
            decoder.finish()
        return Decoded(z, y, y_hat)

    def _encode_context(self, encoders: list[Encoder], features: Array, y: Array) -> None:
        coded = self.entropy.context_channels
        if coded < self.entropy.channels:
            scales, means = self.entropy.zero_mean_parameters(features)
            for i, encoder in enumerate(encoders):
                encoder.gaussian(self.tables, y[i, ..., coded:], means[i], scales[i])
        y = y[..., :coded]
        parameters = wavefront.parameters(self.entropy, features, y)
        batch, height, width, _ = y.shape
        rows = (batch, height * width, coded)
        y, scales, means = (array.reshape(rows) for array in (y, *parameters))
        for front in wavefront.wavefronts(height, width, self.entropy.slope):
            for i, encoder in enumerate(encoders):
                encoder.gaussian(self.tables, y[i, front], means[i, front], scales[i, front])

    def _decode_context(self, decoders: list[Decoder], features: Array) -> Array:
        rest: list[Array] = []
        if self.entropy.context_channels < self.entropy.channels:
            scales, means = self.entropy.zero_mean_parameters(features)
            triples = zip(decoders, means, scales, strict=True)
            rest = [np.stack([coder.gaussian(self.tables, *pair) for coder, *pair in triples])]
        y = wavefront.decode(self.entropy, features, decoders, self.tables)
        return np.concatenate([y, *rest], axis=-1)


def rounded(values: Array) -> Array:
    """The nearest integers, int32; what is not finite or far out is brought into range."""
    values = np.nan_to_num(values, nan=0.0, posinf=LATENT_LIMIT, neginf=-LATENT_LIMIT)
    return np.rint(values).clip(-LATENT_LIMIT, LATENT_LIMIT).astype(np.int32)
