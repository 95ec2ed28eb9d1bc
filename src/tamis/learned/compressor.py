"""A learned model as a working codec: images to streams and back.

    image ──► g_a ──► h_a ──► payload ──► container          floats, then integers
    container ──► payload ──► y_hat ──► g_s ──► image        integers, then floats

What decides which symbols the bytes mean is all in the payload, in integers. The transforms run in
float32, an image at a time, so that a stream does not depend on its neighbours in a batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from tamis.codecs.base import Image, check_image
from tamis.errors import CorruptFileError, TamisError
from tamis.learned import container
from tamis.learned.integer import Z_STEPS, IntegerEntropy
from tamis.learned.integer_layers import Array
from tamis.learned.latents import FactorizedLatents
from tamis.learned.models import LearnedModel
from tamis.learned.payload import Decoded, DensityPayload, HyperPayload
from tamis.learned.quantization import quantize
from tamis.learned.search import Search, search
from tamis.learned.tables import ChannelTables, GaussianTables
from tamis.learned.threads import one_blas_thread

UNNAMED = bytes(8)
"""The fingerprint of a model that has not been saved."""

BATCH = 16
"""Images of one size whose latents are decoded together."""


class Symbols(NamedTuple):
    """The integers in a stream.

    Attributes:
        z: `(N, H/64, W/64)` int32; None for a model without hyperprior.
        y: `(M, H/16, W/16)` int32; rounded latents, or their rounded distances from the mean or
            median where a model rounds around those.
    """

    z: Array | None
    y: Array


class Compressor:
    """Compresses and decompresses with one model.

    Attributes:
        model: the float model, in evaluation mode.
        payload: codes its latents.
        fingerprint: 8 bytes that name the model in its streams.
    """

    def __init__(
        self, model: LearnedModel, payload: DensityPayload | HyperPayload, fingerprint: bytes
    ) -> None:
        # The layout in memory in which convolutions take half the time.
        self.model = model.eval().to(memory_format=torch.channels_last)
        self.payload = payload
        self.fingerprint = fingerprint

    @classmethod
    def build(
        cls,
        model: LearnedModel,
        calibration: Iterable[torch.Tensor],
        fingerprint: bytes = UNNAMED,
    ) -> "Compressor":
        """Make the integer networks and tables of a trained float model.

        Args:
            model: in any mode; left in evaluation mode.
            calibration: image batches `(N, 3, H, W)` in [0, 1]; a model without hyperprior looks
                at none of them.
            fingerprint: of the saved model.
        """
        density = model.latents.density
        density.update_medians()
        if isinstance(model.latents, FactorizedLatents):
            medians = np.round(density.medians.cpu().double().numpy() * Z_STEPS).astype(np.int32)
            tables = ChannelTables.from_density(density, medians / Z_STEPS)
            return cls(model, DensityPayload(medians, tables), fingerprint)
        entropy = quantize(model, calibration)
        tables = ChannelTables.from_density(density, entropy.medians / Z_STEPS)
        return cls(model, HyperPayload(entropy, tables, GaussianTables.build()), fingerprint)

    def to_tensors(self) -> dict[str, Array]:
        """Everything integer that the decoder needs, by name."""
        if isinstance(self.payload, DensityPayload):
            tables = self.payload.tables.to_arrays()
            return {"medians": self.payload.medians} | _prefixed("channels", tables)
        return (
            _prefixed("entropy", self.payload.entropy.to_tensors())
            | _prefixed("channels", self.payload.z.tables.to_arrays())
            | _prefixed("gaussian", self.payload.tables.to_arrays())
        )

    @classmethod
    def from_tensors(
        cls, model: LearnedModel, tensors: Mapping[str, Array], fingerprint: bytes = UNNAMED
    ) -> "Compressor":
        """What `to_tensors` gave, with the float model it was built from.

        Raises:
            CorruptFileError: tensors that are missing, do not fit the model or each other, or
                cannot be proven exact.
        """
        channels = ChannelTables.from_arrays(_taken("channels", tensors))
        if isinstance(model.latents, FactorizedLatents):
            medians = np.asarray(tensors.get("medians", np.empty(0, np.int32)))
            if medians.dtype.kind != "i" or not len(medians) == len(channels.widths) == model.m:
                raise CorruptFileError(f"the model's tables are not for {model.m} channels")
            return cls(model, DensityPayload(medians, channels), fingerprint)
        entropy = IntegerEntropy(_taken("entropy", tensors))
        gaussian = GaussianTables.from_arrays(_taken("gaussian", tensors))
        expected = model.m, _context_channels(model), model.n, model.n
        found = entropy.channels, entropy.context_channels, len(entropy.medians)
        if (*found, len(channels.widths)) != expected:
            raise CorruptFileError(f"the integer model is not one of this {model.name} model")
        return cls(model, HyperPayload(entropy, channels, gaussian), fingerprint)

    def compress(self, images: Sequence[Image], effort: Search | None = None) -> list[bytes]:
        """Streams of images, `uint8 (H, W, 3)` of any sizes, in their order.

        Args:
            images: the images.
            effort: search for better latents than the model's guess; None takes the guess.

        Raises:
            CodecError: no image.
            LimitError: an image too large for the container.
        """
        return [self._compress(check_image(image), effort) for image in images]

    def decompress(self, streams: Sequence[bytes]) -> list[Image]:
        """Images, `uint8 (H, W, 3)`, in the order of their streams.

        The latents of images of one size are decoded together, which is faster.

        Raises:
            CorruptFileError: not a whole stream.
            LimitError: a stream that announces an image over the limit.
            TamisError: a stream of another model.
        """
        packed = [self._unpack(stream) for stream in streams]
        return [
            self._synthesize(decoded, item.height, item.width)
            for item, decoded in zip(packed, self._decode(packed), strict=True)
        ]

    def latents(self, stream: bytes) -> Symbols:
        """The symbols in a stream; the same integers on every machine.

        Raises:
            CorruptFileError: not a whole stream.
            LimitError: a stream that announces an image over the limit.
            TamisError: a stream of another model.
        """
        decoded = self._decode([self._unpack(stream)])[0]
        z = None if decoded.z is None else decoded.z[0].transpose(2, 0, 1)
        return Symbols(z, decoded.y[0].transpose(2, 0, 1))

    def _compress(self, image: Image, effort: Search | None) -> bytes:
        height, width = image.shape[:2]
        device = next(self.model.parameters()).device
        x = torch.from_numpy(image.astype(np.float32)).to(device).permute(2, 0, 1)[None] / 255
        y, z = search(self.model, x, effort) if effort else self._guess(x)
        if isinstance(self.payload, DensityPayload):
            (payload,) = self.payload.encode(_channels_last(y))
        else:
            assert z is not None, "a model with a hyperprior has a z"
            with one_blas_thread():
                (payload,) = self.payload.encode(_channels_last(z), _channels_last(y))
        return container.pack(self.fingerprint, height, width, payload)

    @torch.inference_mode()
    def _guess(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """y and z of `x`, `(1, 3, H, W)`, not yet rounded."""
        y = self.model.analysis(self.model.pad(x))
        return y, self.model.latents.hyper(y)

    @torch.inference_mode()
    def _synthesize(self, decoded: Decoded, height: int, width: int) -> Image:
        device = next(self.model.parameters()).device
        # Channels last in memory, which the convolutions keep and are faster with.
        y_hat = torch.from_numpy(decoded.y_hat).to(device).permute(0, 3, 1, 2)
        x = self.model.synthesis(y_hat)[0, :, :height, :width]
        # A damaged stream may hold latents for which the synthesis overflows.
        x = torch.nan_to_num(x, nan=0.0).clamp(0, 1)
        image: Image = (x * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
        return image

    def _unpack(self, stream: bytes) -> container.Packed:
        packed = container.unpack(stream)
        if packed.fingerprint != self.fingerprint:
            raise TamisError(
                f"this stream was written by model {packed.fingerprint.hex()}; "
                f"this is model {self.fingerprint.hex()}"
            )
        return packed

    def _decode(self, packed: Sequence[container.Packed]) -> list[Decoded]:
        """Latents of each stream, as batches of one; equal sizes go through the coder together."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i, item in enumerate(packed):
            groups.setdefault(self._latent_size(item.height, item.width), []).append(i)
        decoded: dict[int, Decoded] = {}
        for size, members in groups.items():
            for start in range(0, len(members), BATCH):
                part = members[start : start + BATCH]
                with one_blas_thread():
                    batch = self.payload.decode([packed[i].payload for i in part], *size)
                for row, i in enumerate(part):
                    one = slice(row, row + 1)
                    z = None if batch.z is None else batch.z[one]
                    decoded[i] = Decoded(z, batch.y[one], batch.y_hat[one])
        return [decoded[i] for i in range(len(packed))]

    def _latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of y."""
        multiple = self.model.multiple
        rows, columns = -(-height // multiple), -(-width // multiple)
        return rows * multiple // 16, columns * multiple // 16


def _context_channels(model: LearnedModel) -> int:
    return int(getattr(model.latents, "context_channels", 0))


def _channels_last(values: torch.Tensor) -> Array:
    return values.permute(0, 2, 3, 1).cpu().numpy()


def _prefixed(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _taken(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
