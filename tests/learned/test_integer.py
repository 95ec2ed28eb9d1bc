"""The integer networks: exact where they say so, refused where not, and as good as the floats."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tamis.codecs import Image
from tamis.errors import CorruptFileError, TamisError
from tamis.learned import wavefront
from tamis.learned.compressor import Compressor
from tamis.learned.context import LEE_WINDOW, MINNEN_WINDOW, CausalConvolution, WindowConvolution
from tamis.learned.convolution_matrix import convolution_matrix
from tamis.learned.gaussian import likelihood
from tamis.learned.integer import IntegerEntropy, Parameters
from tamis.learned.integer_layers import (
    FLOAT32_EXACT,
    Array,
    Grid,
    IntegerLayer,
    LayerTensors,
    accumulator_bound,
)
from tamis.learned.latents import ContextLatents, Latents
from tamis.learned.models import create_model
from tamis.learned.quantization import quantize
from tamis.learned.tables import SCALES

HYPER = ["hyperprior", "mean-scale", "joint", "context-adaptive", "hybrid"]


def entropy_of(compressor: Compressor) -> IntegerEntropy:
    entropy = getattr(compressor.payload, "entropy", None)
    assert isinstance(entropy, IntegerEntropy)
    return entropy


def last(values: torch.Tensor | None) -> Array:
    assert values is not None
    return values.permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def both(compressor: Compressor, image: Image) -> tuple[Latents, Parameters]:
    """The float model's latents and parameters, and the integer parameters for the same latents."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    latents = compressor.model(x).latents
    entropy = entropy_of(compressor)
    z = np.rint(last(latents.z_hat) - entropy.medians / 16).astype(np.int32)
    features, coded = entropy.features(z), entropy.context_channels
    if not coded:
        return latents, entropy.hyper_parameters(features)
    y = last(latents.y_hat)[..., :coded]
    parts = [wavefront.parameters(entropy, features, y)]
    if coded < entropy.channels:
        parts.append(entropy.zero_mean_parameters(features))
    return latents, Parameters(*(np.concatenate(pair, -1) for pair in zip(*parts, strict=True)))


@pytest.mark.parametrize("kind", HYPER)
def test_parameters_are_the_float_models_but_for_the_steps_of_the_tables(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    latents, found = both(compressors[kind], crops[1])
    step = math.log(SCALES[1] / SCALES[0])
    scales = np.log(np.array(SCALES)[found.scales] / last(latents.scale))
    assert np.abs(scales).max() < 0.5 * step + 0.05
    if latents.mean is not None:
        assert np.abs(found.means / 16 - last(latents.mean)).max() < 1 / 32 + 0.03
    # The comparison would say little of a model that says the same everywhere.
    assert len(np.unique(found.scales)) > 8


@pytest.mark.parametrize("kind", HYPER)
def test_integers_cost_little_rate(
    compressors: dict[str, Compressor], crops: list[Image], kind: str
) -> None:
    latents, found = both(compressors[kind], crops[1])
    scale = torch.tensor(np.array(SCALES)[found.scales]).permute(0, 3, 1, 2)
    mean = torch.from_numpy(found.means / 16).permute(0, 3, 1, 2)
    if kind == "mean-scale":
        # It rounds around its own mean, so the distance is the same integer.
        assert latents.mean is not None
        mean = latents.mean
    integer = -torch.log2(likelihood(latents.y_hat, mean, scale)).sum()
    float_ = -torch.log2(latents.likelihoods["y"]).sum()
    assert float(integer / float_) < 1.005


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 1),
        nn.ConvTranspose2d(3, 4, 5, stride=2, padding=2, output_padding=1),
        CausalConvolution(3, 4, LEE_WINDOW),
        CausalConvolution(3, 4, MINNEN_WINDOW),
        WindowConvolution(3, 4, LEE_WINDOW),
    ],
    ids=lambda module: type(module).__name__,
)
def test_every_convolution_is_a_matrix_over_its_window(module: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 7, dtype=torch.double)
    with torch.inference_mode():
        expected = module.double()(x)
    offsets, factor, matrix, bias = convolution_matrix(module)
    grid = Grid(2, 5, 7, offsets)
    buffer = grid.buffer(3, np.float64)
    buffer[grid.positions] = x.permute(0, 2, 3, 1).numpy()
    columns = buffer[grid.positions[..., None] + grid.taps].reshape(2, 5, 7, -1)
    found = (columns @ matrix + bias).reshape(2, 5, 7, factor, factor, 4).swapaxes(2, 3)
    np.testing.assert_allclose(found.reshape(last(expected).shape), last(expected), atol=1e-12)


def test_a_module_without_integer_form_is_refused() -> None:
    with pytest.raises(TamisError, match="no integer form"):
        convolution_matrix(nn.Conv2d(3, 3, 3, stride=2))


@given(st.integers(0, 2**32 - 1))
def test_the_bound_is_reached_and_never_passed_by_a_partial_sum(seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-9, 10, (8, 3))
    low, high = -random.integers(0, 5, 4), random.integers(0, 5, 4)
    bound = accumulator_bound(weight, low, high)
    inputs = random.integers(np.tile(low, 2), np.tile(high, 2) + 1, (50, 8))
    products = random.permuted(inputs[..., None] * weight, axis=1)
    assert (np.abs(products.cumsum(1)).max((0, 1)) <= bound).all()
    positive = np.maximum(np.tile(low, 2)[:, None] * weight, np.tile(high, 2)[:, None] * weight)
    negative = np.minimum(np.tile(low, 2)[:, None] * weight, np.tile(high, 2)[:, None] * weight)
    assert (bound == np.maximum(positive.sum(0), -negative.sum(0))).all()


def layer(weight: Array, limit: int, **changes: Array) -> LayerTensors:
    """A 1x1 layer whose outputs are clamped to `-limit..limit`."""
    columns = weight.shape[1]
    tensors = LayerTensors(
        offsets=np.zeros((1, 2), np.int32),
        factor=np.ones(1, np.int32),
        weight=weight,
        bias=np.arange(columns, dtype=np.int64) * 1001 - 2000,
        multiplier=np.full(columns, 40_001, np.int32),
        negative=np.full(columns, 401, np.int32),
        shift=np.full(columns, 25, np.int32),
        low=np.full(columns, -limit, np.int32),
        high=np.full(columns, limit, np.int32),
    )
    return tensors._replace(**changes)


def in_integers(tensors: LayerTensors, x: Array) -> Array:
    """The definition in `LayerTensors`, in int64."""
    total = x.astype(np.int64) @ tensors.weight.astype(np.int64) + tensors.bias
    factor = np.where(total < 0, tensors.negative, tensors.multiplier).astype(np.int64)
    shift = tensors.shift.astype(np.int64)
    return np.clip((total * factor + (1 << shift - 1)) >> shift, tensors.low, tensors.high)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_proven_layer_is_exact_up_to_its_bound(seed: int, wide: bool) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-32767, 32768, (300, 5)).astype(np.int16)
    limit = 2**15 if wide else FLOAT32_EXACT // int(np.abs(weight.astype(int)).sum(0).max())
    low, high = np.full(300, -limit), np.full(300, limit)
    tensors = layer(weight, 2**23)
    proven = IntegerLayer("layer", tensors, low, high)
    assert proven.dtype == (np.float64 if wide else np.float32)
    # The worst inputs there are for each column, and random ones.
    worst = np.sign(weight.T.astype(int)) * limit
    x = np.concatenate([worst, -worst, random.integers(-limit, limit + 1, (20, 300))])
    found = proven(x[None, :, None].astype(np.float32))[0, :, 0]
    assert np.array_equal(found, in_integers(tensors, x))


def test_a_layer_whose_sums_no_float_holds_is_refused() -> None:
    weight = np.full((300, 2), 32767, np.int16)
    limits = -np.full(300, 2**23), np.full(300, 2**23)
    with pytest.raises(CorruptFileError, match=r"layer wide .* floats are exact below"):
        IntegerLayer("wide", layer(weight, 100), *limits)
    # The same sums are fine with a multiplier that leaves room for them.
    small = np.full(2, 64, np.int32)
    IntegerLayer("wide", layer(weight, 100, multiplier=small, negative=small), *limits)


def test_a_model_with_larger_weights_than_proven_is_refused(
    compressors: dict[str, Compressor],
) -> None:
    tensors = entropy_of(compressors["joint"]).to_tensors()
    tensors["context.0.weight"] = tensors["context.0.weight"].astype(np.int64) * 2**30
    with pytest.raises(CorruptFileError, match=r"layer context\.0"):
        IntegerEntropy(tensors)


@pytest.mark.parametrize(
    ("field", "value"),
    [("shift", 0), ("shift", 63), ("negative", -1), ("negative", 2**17), ("high", 2**24)],
)
def test_factors_out_of_range_are_refused(field: str, value: int) -> None:
    tensors = layer(np.ones((3, 2), np.int16), 100, **{field: np.full(2, value, np.int32)})
    with pytest.raises(CorruptFileError, match="factors out of range"):
        IntegerLayer("layer", tensors, -np.ones(3), np.ones(3))


@pytest.mark.parametrize("kind", HYPER)
def test_a_stored_model_is_the_model(compressors: dict[str, Compressor], kind: str) -> None:
    entropy = entropy_of(compressors[kind])
    tensors = entropy.to_tensors()
    assert all(value.dtype.kind == "i" for value in tensors.values())
    again = IntegerEntropy.from_tensors(tensors)
    z = np.random.default_rng(0).integers(-9, 10, (2, 3, 2, 8))
    assert np.array_equal(again.features(z), entropy.features(z))


def test_quantizing_twice_gives_the_same_integers(
    compressors: dict[str, Compressor], crops: list[Image]
) -> None:
    model = compressors["hybrid"].model
    batches = [torch.from_numpy(crop).permute(2, 0, 1)[None] / 255 for crop in crops]
    first, second = (quantize(model, batches).to_tensors() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first | second)


def test_a_feature_that_was_positive_in_calibration_may_become_negative(
    compressors: dict[str, Compressor], crops: list[Image]
) -> None:
    model = copy.deepcopy(compressors["joint"].model)
    latents = model.latents
    assert isinstance(latents, ContextLatents)
    network = latents.hyper_synthesis
    assert isinstance(network, nn.Sequential)
    medians = latents.density.medians[:, None, None]
    torch.manual_seed(0)
    z = (torch.randint(-1, 2, (1, 8, 4, 4)) - medians).round()
    batch = torch.from_numpy(crops[1]).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        seen = network(model(batch).latents.z_hat)
        # The least bias for which all of them are positive over the calibration image.
        network[-1].bias -= seen.amin((0, 2, 3)) - 0.01
        expected = last(network(z + medians))
    entropy = quantize(model, [batch])
    found = entropy.features(last(z))
    clearly = np.abs(expected) > 0.1 * np.abs(expected).max()
    assert (expected[clearly] < 0).any()
    assert np.array_equal(found[clearly] < 0, expected[clearly] < 0)


def test_a_published_size_is_proven_too() -> None:
    torch.manual_seed(0)
    model = create_model("context-adaptive", 128, 192)
    quantize(model, [torch.rand(1, 3, 64, 64)])


@pytest.mark.parametrize(
    "name", ["medians", "z_limit", "channels", "thresholds", "hyper.0.weight", "context.0.bias"]
)
def test_a_missing_tensor_is_named(compressors: dict[str, Compressor], name: str) -> None:
    tensors = entropy_of(compressors["joint"]).to_tensors()
    del tensors[name]
    with pytest.raises(CorruptFileError, match="the integer model has no"):
        IntegerEntropy(tensors)


def test_a_window_that_sees_the_future_is_refused(compressors: dict[str, Compressor]) -> None:
    tensors = entropy_of(compressors["joint"]).to_tensors()
    offsets = tensors["context.0.offsets"].copy()
    offsets[-1] = 0, 0
    with pytest.raises(CorruptFileError, match="not yet decoded"):
        IntegerEntropy(tensors | {"context.0.offsets": offsets})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("hyper.0.weight", lambda value: value[:-1]),
        ("hyper.0.weight", lambda value: value.astype(np.float32)),
        ("hyper.1.factor", lambda value: value + 1),
        ("hyper.2.bias", lambda value: value[1:]),
        ("parameters.2.low", lambda value: value - 5),
        ("parameters.2.high", lambda value: value * 0 + 2**20),
        ("context.0.offsets", lambda value: value - 100),
        ("channels", lambda value: value + 1),
        ("y_limit", lambda value: value[1:]),
        ("thresholds", lambda value: value[1:]),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    compressors: dict[str, Compressor], name: str, change: object
) -> None:
    assert callable(change)
    tensors = entropy_of(compressors["joint"]).to_tensors()
    with pytest.raises(CorruptFileError):
        IntegerEntropy(tensors | {name: change(tensors[name])})


def test_what_cannot_be_quantized_says_so() -> None:
    with pytest.raises(TamisError, match="no entropy parameters"):
        quantize(create_model("factorized", 4, 6), [])
    with pytest.raises(TamisError, match="at least one image"):
        quantize(create_model("joint", 4, 6), [])
