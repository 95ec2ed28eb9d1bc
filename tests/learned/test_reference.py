"""The fast path against plain int64: streams of either decode with the other, bit for bit."""

import numpy as np
import pytest

from tamis.codecs import Image
from tamis.learned import container
from tamis.learned.compressor import Compressor
from tamis.learned.integer_layers import Array
from tamis.learned.payload import HyperPayload
from tamis.learned.reference import Reference

HYPER = ["hyperprior", "mean-scale", "joint", "context-adaptive", "hybrid"]


def reference_of(compressor: Compressor) -> Reference:
    payload = compressor.payload
    assert isinstance(payload, HyperPayload)
    return Reference(payload.entropy.to_tensors(), payload.z.tables, payload.tables)


def random_latents(seed: int, spread: float) -> tuple[Array, Array]:
    """z and y, not yet rounded, of a picture with 8x4 positions."""
    random = np.random.default_rng(seed)
    return random.normal(0, spread, (1, 2, 1, 8)), random.normal(0, spread, (1, 8, 4, 12))


@pytest.mark.parametrize("kind", HYPER)
def test_streams_of_photos_decode_with_the_reference(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    compressor = compressors[kind]
    for image, stream in zip(crops, compressor.compress(crops), strict=True):
        z, y = compressor.latents(stream)
        payload = container.unpack(stream).payload
        found_z, found_y = reference_of(compressor).decode(payload, *y.shape[1:])
        assert z is not None
        assert np.array_equal(found_z.transpose(2, 0, 1), z), image.shape
        assert np.array_equal(found_y.transpose(2, 0, 1), y), image.shape


@pytest.mark.parametrize("kind", HYPER)
# Small latents; ones that leave every range the networks were calibrated for; and escapes.
@pytest.mark.parametrize("spread", [1.0, 300.0, 1e6])
def test_both_write_the_same_bytes(
    compressors: dict[str, Compressor], kind: str, spread: float
) -> None:
    payload = compressors[kind].payload
    assert isinstance(payload, HyperPayload)
    z, y = random_latents(7, spread)
    (data,) = payload.encode(z, y)
    symbols = np.rint(z[0] - payload.z.centres)
    assert reference_of(compressors[kind]).encode(symbols, y[0]) == data
    decoded = payload.decode([data], 8, 4)
    if kind != "mean-scale":
        assert np.array_equal(decoded.y[0], np.rint(y[0]))
    assert np.abs(decoded.y_hat[0] - y[0]).max() <= 0.5 + 1e-7 * spread
