"""Post-training quantization: a trained float model to the integers of an `IntegerEntropy`.

Weights get one scale per output channel, the finest for which the accumulator is provably exact;
activations get one per channel, from their range over some images. The scales of a layer's inputs
are folded into its weights, those of its weights into the multiplier after it, so that integers
alone are left. Source: He et al. 2022 (arXiv 2202.07513), with exact floats in place of int32.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tamis.errors import TamisError
from tamis.learned.convolution_matrix import convolution_matrix
from tamis.learned.integer import (
    MEAN_LIMIT,
    SCALE_LIMIT,
    SCALE_STEPS,
    Z_STEPS,
    IntegerEntropy,
)
from tamis.learned.integer_layers import FLOAT32_EXACT, Array, LayerTensors, accumulator_bound
from tamis.learned.latents import ContextLatents, HyperpriorLatents
from tamis.learned.models import LearnedModel
from tamis.learned.tables import MEAN_STEPS, SCALES

ACTIVATION_LEVELS = 1023
"""Steps between zero and the largest activation of a channel."""

MARGIN = 4.0
"""How much further than over the calibration images an activation may go before it is clamped.

Wide, because steps cost less than clamping: calibrated on one 256x256 crop, a trained
`context-adaptive` lost up to 2.8 % of the rate of a Kodak image with a margin of 1.25, 0.3 % with
this one.
"""

OTHER_SIDE = 1 / 8
"""Room above zero for a channel that was seen below it only, as a part of how far."""

MULTIPLIER_BITS = 16
WEIGHT_LIMIT = 2**15 - 1
BIAS_LIMIT = 2**34

# Where float32 accumulators would leave the weights fewer steps than this (root mean square of a
# column, median over columns), a layer gets wider ones, which float64 carries.
LEAST_WEIGHT_STEPS = 8
WIDE_ACCUMULATOR = 2**34


class Units(NamedTuple):
    """What the integers of some channels stand for, and their range.

    Attributes:
        step: the value of 1, per channel.
        low: least integer.
        high: greatest integer.
    """

    step: Array
    low: Array
    high: Array


class Convolution(NamedTuple):
    """A convolution of the float model and the slope of the rectifier after it.

    Attributes:
        module: see `convolution_matrix` for the kinds.
        slope: for negative values: 1 without rectifier, 0 for a ReLU.
    """

    module: nn.Module
    slope: float


Ranges = dict[nn.Module, tuple[Array, Array]]
"""Least and greatest output of every channel of a module."""


def quantize(model: LearnedModel, calibration: Iterable[torch.Tensor]) -> IntegerEntropy:
    """The integer form of `model`'s entropy parameters; the same inputs give the same integers.

    Args:
        model: one with a hyperprior; it is run in evaluation mode and left there.
        calibration: image batches `(N, 3, H, W)` in [0, 1]; their activations set the ranges.

    Raises:
        TamisError: a model without hyperprior, or no image to calibrate with.
    """
    latents = model.latents
    if not isinstance(latents, HyperpriorLatents | ContextLatents):
        raise TamisError(f"model {model.name} has no entropy parameters to quantize")
    model.eval()
    stages = _stages(latents)
    convolutions = [convolution for stage in stages.values() for convolution in stage]
    ranges = _observe(model, [convolution.module for convolution in convolutions], calibration)
    if latents not in ranges:
        raise TamisError("quantization needs at least one image to calibrate with")
    return _Quantizer(model, stages, ranges).run()


class _Quantizer:
    """Goes through the stages in the order of the data and collects the tensors."""

    def __init__(
        self, model: LearnedModel, stages: dict[str, list[Convolution]], ranges: Ranges
    ) -> None:
        self.model = model
        self.stages = stages
        self.ranges = ranges
        self.tensors: dict[str, Array] = {}

    def run(self) -> IntegerEntropy:
        latents, m = self.model.latents, self.model.m
        assert isinstance(latents, HyperpriorLatents | ContextLatents)
        z = _integers(*self.ranges[latents.hyper_synthesis], Z_STEPS)
        medians = np.round(_numpy(latents.density.medians) * Z_STEPS)
        thresholds = np.sqrt(np.multiply(SCALES[1:], SCALES[:-1])) * SCALE_STEPS
        self.tensors |= {
            "channels": np.array([m], np.int32),
            "medians": medians.astype(np.int32),
            "z_limit": z.high.astype(np.int32),
            "thresholds": np.round(thresholds).astype(np.int32),
        }
        if isinstance(latents, HyperpriorLatents):
            self.chain("hyper", z, _parameters(m, m if latents.means else 0))
            return IntegerEntropy(self.tensors)
        coded = latents.context_channels
        hyper = self.chain("hyper", z)
        y = _integers(*self.ranges[latents], 1)
        self.tensors["y_limit"] = y.high[:coded].astype(np.int32)
        window = self.chain("window", hyper)
        context = self.chain("context", Units(*(value[:coded] for value in y)))
        features = Units(*(np.concatenate(pair) for pair in zip(window, context, strict=True)))
        self.chain("parameters", features, _parameters(coded, coded))
        self.chain("zero_mean", hyper, _parameters(m - coded, 0))
        return IntegerEntropy(self.tensors)

    def chain(self, stage: str, units: Units, last: Units | None = None) -> Units:
        """Quantize a stage from the units of its inputs; returns the units of its outputs.

        Args:
            stage: its name.
            units: of the inputs.
            last: of the outputs; None takes them from the calibration.
        """
        for i, (module, slope) in enumerate(convolutions := self.stages[stage]):
            final = i == len(convolutions) - 1
            outputs = last if final and last else _activations(*self.ranges[module], slope)
            layer = _quantize_layer(module, slope, units, outputs)
            self.tensors |= layer.named(f"{stage}.{i}")
            units = outputs
        return units


def _stages(latents: HyperpriorLatents | ContextLatents) -> dict[str, list[Convolution]]:
    """The convolutions of every stage of an integer model, in order."""
    if isinstance(latents, HyperpriorLatents):
        return {"hyper": list(_convolutions(latents.hyper_synthesis))}
    parameters = latents.parameters_network
    assert isinstance(parameters, nn.Sequential)
    # Lee's network begins with a rectifier: it ends the two stages before.
    entry = _slope(parameters[0])
    windowed = not isinstance(latents.bit_consuming, nn.Identity)
    return {
        "hyper": list(_convolutions(latents.hyper_synthesis)),
        "window": [Convolution(latents.bit_consuming, entry)] if windowed else [],
        "context": [Convolution(latents.context, entry)],
        "parameters": list(_convolutions(parameters)),
        "zero_mean": [Convolution(latents.zero_mean, 1)] if latents.zero_mean is not None else [],
    }


def _convolutions(network: nn.Module) -> Iterator[Convolution]:
    assert isinstance(network, nn.Sequential)
    modules = list(network)
    for module, after in zip(modules, [*modules[1:], nn.Identity()], strict=True):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            yield Convolution(module, _slope(after))


def _slope(module: nn.Module) -> float:
    if isinstance(module, nn.LeakyReLU):
        return module.negative_slope
    return 0 if isinstance(module, nn.ReLU) else 1


@torch.inference_mode()
def _observe(
    model: LearnedModel, modules: list[nn.Module], calibration: Iterable[torch.Tensor]
) -> Ranges:
    """Ranges of the modules' outputs; the hyper synthesis stands for z_hat, latents for y_hat."""
    ranges: Ranges = {}

    def see(module: nn.Module, values: torch.Tensor) -> None:
        low, high = _numpy(values.amin((0, 2, 3))), _numpy(values.amax((0, 2, 3)))
        old_low, old_high = ranges.get(module, (low, high))
        ranges[module] = np.minimum(low, old_low), np.maximum(high, old_high)

    hooks = [
        module.register_forward_hook(lambda module, _, output: see(module, output))
        for module in modules
    ]
    try:
        for images in calibration:
            latents = model(images).latents
            see(model.latents, latents.y_hat)
            hyper_synthesis = model.latents.hyper_synthesis
            assert isinstance(hyper_synthesis, nn.Module)
            see(hyper_synthesis, latents.z_hat)
    finally:
        for hook in hooks:
            hook.remove()
    return ranges


def _integers(low: Array, high: Array, steps: int) -> Units:
    """Units of a quantized latent; what is four times as large as ever seen still fits."""
    limit = np.ceil(4 * np.maximum(abs(low), abs(high)) + 8) * steps
    return Units(np.full(len(limit), 1 / steps), -limit, limit)


def _activations(low: Array, high: Array, slope: float) -> Units:
    """Units in which a channel's range, after the rectifier, takes `ACTIVATION_LEVELS` steps.

    A channel that had one sign over the calibration images may have the other on another one: what
    was seen on one side makes room on the other, less where that costs precision.
    """
    below, above = np.maximum(-low, 0), np.maximum(high, 0)
    low = slope * np.maximum(below, above) * MARGIN
    high = np.maximum(above, below * OTHER_SIDE) * MARGIN
    magnitude = np.maximum(low, high)
    # A channel that was silent over the calibration images may still speak a little.
    magnitude = np.maximum(magnitude, max(1e-3 * magnitude.max(), 1e-6))
    step = magnitude / ACTIVATION_LEVELS
    return Units(step, -np.round(low / step), np.maximum(np.round(high / step), 1))


def _parameters(scales: int, means: int) -> Units:
    """Units of raw scales followed by means."""
    counts = [scales, means]
    return Units(
        np.repeat([1 / SCALE_STEPS, 1 / MEAN_STEPS], counts),
        np.repeat([0.0, -MEAN_LIMIT], counts),
        np.repeat([float(SCALE_LIMIT), MEAN_LIMIT], counts),
    )


def _quantize_layer(module: nn.Module, slope: float, inputs: Units, outputs: Units) -> LayerTensors:
    """The integers of one layer between inputs and outputs of known units."""
    offsets, factor, matrix, bias = convolution_matrix(module)
    outputs = Units(*(np.tile(value, factor**2) for value in outputs))
    weights = matrix * np.tile(inputs.step, len(offsets))[:, None]
    step = _weight_steps(weights, bias, inputs, outputs.step)
    ratio = step / outputs.step
    shift = np.maximum(MULTIPLIER_BITS - 1 - np.floor(np.log2(ratio)), 1)
    multiplier = np.round(ratio * 2**shift)
    return LayerTensors(
        offsets.astype(np.int32),
        np.array([factor], np.int32),
        np.round(weights / step).astype(np.int16),
        np.round(bias / step).astype(np.int64),
        multiplier.astype(np.int32),
        np.round(multiplier * (slope or 1)).astype(np.int32),
        shift.astype(np.int32),
        outputs.low.astype(np.int32),
        outputs.high.astype(np.int32),
    )


def _weight_steps(weights: Array, bias: Array, inputs: Units, output_step: Array) -> Array:
    """The finest value of 1 in every column of `weights` that keeps its sums exact, `(J,)`.

    Rounding moves a weight by up to a half, so sums grow by up to half the largest inputs.
    """
    taps = len(weights) // len(inputs.low)
    growth = taps * np.maximum(-inputs.low, inputs.high).sum() / 2
    bound = accumulator_bound(weights, inputs.low, inputs.high)
    largest, energy = abs(weights).max(0), np.sqrt((weights**2).mean(0))
    coarsest = np.maximum(largest / WEIGHT_LIMIT, abs(bias) / BIAS_LIMIT)
    coarsest = np.maximum(coarsest, output_step * 2.0**-30)
    narrow = FLOAT32_EXACT - 1 - growth
    if narrow > 0:
        step: Array = np.maximum(bound / narrow, coarsest)
        if np.median(energy / step) >= LEAST_WEIGHT_STEPS:
            return step
    wide: Array = np.maximum(bound / (WIDE_ACCUMULATOR - growth), coarsest)
    return wide


def _numpy(values: torch.Tensor) -> Array:
    return values.detach().cpu().double().numpy()
