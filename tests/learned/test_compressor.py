"""Learned codecs from end to end: any model, any size, the same latents on every path."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.codecs import Image
from tamis.errors import CodecError, CorruptFileError, TamisError
from tamis.learned import container, wavefront
from tamis.learned.compressor import Compressor, Symbols
from tamis.learned.entropy import Decoder
from tamis.learned.gaussian import likelihood
from tamis.learned.integer_layers import Array
from tamis.learned.latents import ContextLatents
from tamis.learned.models import create_model
from tamis.learned.payload import HyperPayload
from tamis.learned.tables import GaussianTables

ALL = [
    "factorized", "hyperprior", "mean-scale", "joint", "context-adaptive", "hybrid", "reduction",
]  # fmt: skip
HYPER = ALL[1:-1]
CONTEXT = ALL[3:-1]

GOLDEN = Path(__file__).parent / "golden"
# What the latents of the golden streams hash to. A change here breaks every stream ever written.
GOLDEN_LATENTS = {
    ("factorized", 3, None, "factorized"): "42ec2c8aba369674",
    ("hyperprior", 3, None, "hyperprior"): "8d8a067a0a634415",
    ("mean-scale", 3, None, "mean-scale"): "1db9c1b81fd74939",
    ("joint", 2, None, "joint"): "4a62888f91e8a0fc",
    ("context-adaptive", 3, None, "context-adaptive"): "eb6159dedc40ab7b",
    ("context-adaptive", 3, 2, "hybrid"): "82cbd5a93ece44dd",
}


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def without_onednn() -> contextlib.AbstractContextManager[None]:
    flags: contextlib.AbstractContextManager[None] = torch.backends.mkldnn.flags(enabled=False)
    return flags


def same(a: Symbols, b: Symbols) -> bool:
    z = a.z is b.z is None or (a.z is not None and np.array_equal(a.z, b.z))
    return z and np.array_equal(a.y, b.y)


@torch.inference_mode()
def forward(compressor: Compressor, image: Image) -> Image:
    """The float model's own reconstruction."""
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
    x_hat = compressor.model(x).x_hat[0]
    pixels: Image = (x_hat.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return pixels


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (63, 65), (64, 64), (130, 66)])
def test_any_size_comes_back(
    compressors: dict[str, Compressor], photos: list[Image], kind: str, size: tuple[int, int]
) -> None:
    image = photos[0][50 : 50 + size[0], 50 : 50 + size[1]]
    compressor = compressors[kind]
    (stream,) = compressor.compress([image])
    (decoded,) = compressor.decompress([stream])
    assert decoded.dtype == np.uint8
    assert decoded.shape == (*size, 3)
    if kind in ("hyperprior", *CONTEXT):
        # These round to plain integers, so the latents are the float model's: rounding aside,
        # the picture is, too.
        expected = forward(compressor, image)
        assert np.abs(expected.astype(int) - decoded).max() <= 1


def drawn(payload: HyperPayload, z: Array) -> tuple[Array, Array]:
    """z_hat, and y_hat as the model expects it then: random bytes, decoded; channels last.

    A model with random weights says nothing true about photos, and what it finds improbable is
    shorter in a stream, as an escape, than in its likelihood.
    """
    decoder = Decoder(np.random.default_rng(0).bytes(50_000) + b"x")
    entropy = payload.entropy
    features = entropy.features(z)
    rest: list[Array] = []
    if entropy.context_channels < entropy.channels:
        scales, means = entropy.zero_mean_parameters(features)
        rest = [decoder.gaussian(payload.tables, means, scales)]
    y = wavefront.decode(entropy, features, [decoder], payload.tables)
    return z + payload.z.centres, np.concatenate([y, *rest], -1)


@pytest.mark.parametrize("kind", CONTEXT)
def test_streams_are_as_long_as_the_float_models_likelihood_says(
    compressors: dict[str, Compressor], photos: list[Image], kind: str
) -> None:
    # Outside of the range that a model was calibrated for, its integers are not its floats.
    photo = np.ascontiguousarray(photos[1][:256, :256])
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    compressor = Compressor.build(compressors[kind].model, [batch])
    payload, latents = compressor.payload, compressor.model.latents
    z, _ = compressor.latents(compressor.compress([photo])[0])
    assert z is not None
    assert isinstance(payload, HyperPayload)
    assert isinstance(latents, ContextLatents)
    values = drawn(payload, np.tile(z, (3, 3)).transpose(1, 2, 0)[None])
    z_hat, y_hat = (torch.from_numpy(v).float().permute(0, 3, 1, 2) for v in values)
    with torch.inference_mode():
        mean, scale = latents.estimate(z_hat, y_hat)
        of_y = -torch.log2(likelihood(y_hat, mean, scale)).sum()
        of_z = -torch.log2(latents.density.likelihood(z_hat)).sum()
    length = float(of_y + of_z) / 8
    assert length > 500
    assert abs(len(payload.encode(*values)[0]) - length) < 0.01 * length + 8


@pytest.mark.parametrize("kind", HYPER)
def test_threads_and_onednn_and_batches_decode_the_same_latents(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    compressor = compressors[kind]
    equal = [np.roll(crops[1], shift, 0) for shift in (0, 7, 19, 31)]
    with threads(1):
        streams = compressor.compress(equal)
        expected = [compressor.latents(stream) for stream in streams]
    assert not same(expected[0], expected[1])
    with threads(2), without_onednn():
        assert all(
            same(compressor.latents(stream), symbols)
            for stream, symbols in zip(streams, expected, strict=True)
        )
        # Whatever the floats of the analysis make of the image there: it decodes here.
        others = compressor.compress(equal)
        written = [compressor.latents(stream) for stream in others]
    assert all(
        same(compressor.latents(stream), symbols)
        for stream, symbols in zip(others, written, strict=True)
    )
    together = compressor.decompress(streams)
    for image, stream in zip(together, streams, strict=True):
        assert np.array_equal(compressor.decompress([stream])[0], image)


@pytest.mark.parametrize("kind", ["factorized", "joint"])
def test_sizes_may_be_mixed(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    compressor = compressors[kind]
    images = [crops[0], crops[3], crops[1], crops[0][:40, :50], crops[1]]
    streams = compressor.compress(images)
    assert streams == [compressor.compress([image])[0] for image in images]
    decoded = compressor.decompress(streams)
    for image, stream, result in zip(images, streams, decoded, strict=True):
        assert result.shape == image.shape
        assert np.array_equal(compressor.decompress([stream])[0], result)


@pytest.mark.parametrize("kind", ALL)
def test_a_stored_compressor_is_the_compressor(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    compressor = compressors[kind]
    tensors = compressor.to_tensors()
    assert all(value.dtype.kind == "i" for value in tensors.values())
    again = Compressor.from_tensors(compressor.model, tensors, compressor.fingerprint)
    streams = compressor.compress(crops[:2])
    assert again.compress(crops[:2]) == streams
    assert all(map(np.array_equal, again.decompress(streams), compressor.decompress(streams)))


def test_tensors_of_another_model_are_refused(compressors: dict[str, Compressor]) -> None:
    tensors = compressors["joint"].to_tensors()
    with pytest.raises(CorruptFileError, match="not one of this context-adaptive model"):
        Compressor.from_tensors(compressors["hybrid"].model, tensors)
    with pytest.raises(CorruptFileError, match="not for 12 channels"):
        Compressor.from_tensors(compressors["factorized"].model, tensors)
    with pytest.raises(CorruptFileError):
        Compressor.from_tensors(compressors["joint"].model, {})


def test_a_stream_of_another_model_names_both(
    compressors: dict[str, Compressor], crops: list[Image]
) -> None:
    (stream,) = compressors["joint"].compress(crops[:1])
    with pytest.raises(TamisError, match=r"model 746573746a6f696e; this is model 7465737468796272"):
        compressors["hybrid"].decompress([stream])


@pytest.mark.parametrize("kind", ["factorized", "mean-scale", "joint", "hybrid"])
def test_damaged_payloads_give_an_error_or_a_picture(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    """With a checksum that fits, so that the damage reaches the coder and the networks."""
    compressor = compressors[kind]
    packed = container.unpack(compressor.compress([crops[3]])[0])
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(25):
        payload = bytearray(packed.payload[: random.integers(len(packed.payload) + 1)])
        for place in random.integers(len(payload), size=3) if payload else ():
            payload[place] = random.integers(256)
        stream = container.pack(packed.fingerprint, packed.height, packed.width, bytes(payload))
        try:
            assert compressor.decompress([stream])[0].shape == crops[3].shape
        except CorruptFileError:
            refused += 1
    assert refused > 20


def test_what_is_no_image_is_refused(compressors: dict[str, Compressor]) -> None:
    with pytest.raises(CodecError, match="uint8 array"):
        compressors["joint"].compress([np.zeros((8, 8, 3), np.float32)])  # type: ignore[list-item]


@pytest.mark.parametrize("model", GOLDEN_LATENTS, ids=lambda model: model[-1])
def test_golden_streams_decode_as_ever(model: tuple[str, int, int | None, str]) -> None:
    name, m, context_channels, file = model
    stored = np.load(GOLDEN / f"{file}.npz")
    tensors, start = {}, 0
    for key, dtype, shape in json.loads(stored["layout"].tobytes()):
        end = start + int(np.prod(shape))
        tensors[key] = stored["values"][start:end].astype(dtype).reshape(shape)
        start = end
    gaussian = {f"gaussian.{k}": v for k, v in GaussianTables.build().to_arrays().items()}
    compressor = Compressor.from_tensors(
        create_model(name, 2, m, context_channels), tensors | gaussian, b"golden!!"
    )
    z, y = compressor.latents(stored["stream"].tobytes())
    digest = hashlib.sha256()
    for symbols in (y,) if z is None else (z, y):
        digest.update(np.ascontiguousarray(symbols, "<i4").tobytes())
    assert len(np.unique(y)) > 2
    assert digest.hexdigest()[:16] == GOLDEN_LATENTS[model]
