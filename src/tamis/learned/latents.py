"""How a latent is quantized and how probable it is: with a density, a hyperprior or a context.

The three kinds are interchangeable parts of a `LearnedModel`. In training, uniform noise stands
for rounding where the rate is computed, and rounding with the identity's gradient where values go
on (Minnen and Singh 2020, section 3.3): what the synthesis and the context see is what they will
see in the real codec. In evaluation everything is rounded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from tamis.learned.bounds import lower_bound, straight_through_round
from tamis.learned.context import CausalConvolution
from tamis.learned.density import Density, FactorizedDensity
from tamis.learned.gaussian import SCALE_MINIMUM, likelihood

Rounding = Callable[[torch.Tensor], torch.Tensor]
"""Makes numbers whole, or nearly: `torch.round`, or what stands for it where gradients flow."""


class Latents(NamedTuple):
    """A quantized latent and its probability.

    Attributes:
        y_hat: quantized latent, `(N, M, H/16, W/16)`.
        likelihoods: of every element of `y`, and of `z` where there is one.
        mean: predicted mean of y, the shape of y_hat; None where the model has none.
        scale: predicted scale of y, the shape of y_hat; None where the model has none.
        z_hat: quantized hyper latent, `(N, N, H/64, W/64)`, or None.
    """

    y_hat: torch.Tensor
    likelihoods: dict[str, torch.Tensor]
    mean: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    z_hat: torch.Tensor | None = None


class LatentModel(nn.Module, ABC):
    """What quantizes y and says how probable it is.

    Attributes:
        density: of z, or of y where there is no z.
        multiple: what height and width of an image are padded to a multiple of.
    """

    density: Density
    multiple: ClassVar[int]

    @abstractmethod
    def hyper(self, y: torch.Tensor) -> torch.Tensor | None:
        """z of `y`, `(N, N, H/4, W/4)`, before it is rounded; None without hyperprior."""

    @abstractmethod
    def code(
        self, y: torch.Tensor, z: torch.Tensor | None, rounding: Rounding, noise: bool = False
    ) -> Latents:
        """Quantize `y` and `z` by `rounding`; the rate is that of values plus noise, or quantized.

        Args:
            y: `(N, M, H, W)`.
            z: what `hyper` gave, or better.
            rounding: what makes them whole.
            noise: whether uniform noise stands for rounding where the rate is computed.
        """

    def forward(self, y: torch.Tensor) -> Latents:
        """Quantize `y`, `(N, M, H, W)`, as training or evaluation wants it."""
        rounding = straight_through_round if self.training else torch.round
        return self.code(y, self.hyper(y), rounding, noise=self.training)


class FactorizedLatents(LatentModel):
    """One density per channel of y (Ballé, Laparra, Simoncelli 2017).

    Attributes:
        density: the densities.
        detached: whether the rate trains the densities only and leaves the transforms alone.
    """

    multiple: ClassVar[int] = 16

    def __init__(self, m: int, detached: bool = False) -> None:
        super().__init__()
        self.density = FactorizedDensity(m)
        self.detached = detached

    def hyper(self, y: torch.Tensor) -> None:
        """There is no hyper latent."""

    def code(
        self, y: torch.Tensor, z: torch.Tensor | None, rounding: Rounding, noise: bool = False
    ) -> Latents:
        """Quantize `y` by `rounding`; the rate is that of y plus noise, or of y_hat; z is None."""
        y_hat = quantize(y, _per_channel(self.density.medians), rounding)
        seen = y.detach() if self.detached else y
        return Latents(y_hat, {"y": self.density.likelihood(noisy(seen) if noise else y_hat)})


class HyperpriorLatents(LatentModel):
    """Gaussians whose scale, and mean if `means`, a hyper latent z tells (Ballé, Minnen 2018).

    Attributes:
        hyper_analysis: h_a, y to z.
        hyper_synthesis: h_s, z_hat to scales `(N, M, H, W)`, or scales and means `(N, 2M, H, W)`.
        density: of z.
        means: whether there are means; y is then rounded around them. Without, h_a sees |y|.
    """

    multiple: ClassVar[int] = 64

    def __init__(
        self, hyper_analysis: nn.Module, hyper_synthesis: nn.Module, density: Density, means: bool
    ) -> None:
        super().__init__()
        self.hyper_analysis = hyper_analysis
        self.hyper_synthesis = hyper_synthesis
        self.density = density
        self.means = means

    def hyper(self, y: torch.Tensor) -> torch.Tensor:
        """z of `y`, `(N, N, H/4, W/4)`, before it is rounded."""
        return torch.as_tensor(self.hyper_analysis(y if self.means else y.abs()))

    def code(
        self, y: torch.Tensor, z: torch.Tensor | None, rounding: Rounding, noise: bool = False
    ) -> Latents:
        """Quantize both by `rounding`; the rate is that of values plus noise, or quantized."""
        z_hat, z_likelihood = _quantize_z(self, z, rounding, noise)
        features = self.hyper_synthesis(z_hat)
        scale, mean = features.chunk(2, 1) if self.means else (features, None)
        scale = lower_bound(scale, SCALE_MINIMUM)
        y_hat = quantize(y, mean, rounding)
        rated = likelihood(noisy(y) if noise else y_hat, mean, scale)
        return Latents(y_hat, {"y": rated, "z": z_likelihood}, mean, scale, z_hat)


class ContextLatents(LatentModel):
    """Gaussians with mean and scale from a hyper latent and from the causal window of y_hat.

    Two features meet at every position: the `context` of y_hat, which costs no bits, and what
    `hyper_synthesis` makes of z_hat, which does. `parameters_network`, of 1x1 convolutions,
    turns both into mean and scale. y is rounded to integers, not around its mean, so that an
    encoder knows y_hat everywhere before it computes any parameter.

    Attributes:
        hyper_analysis: h_a, y to z.
        hyper_synthesis: h_s, z_hat to features c', `(N, C', H, W)`.
        bit_consuming: c' to its part of the features; the identity in Minnen 2018, the window
            convolution of Lee 2019.
        context: the causal convolution of y_hat.
        parameters_network: hyper and context features to scales and means, in this order,
            `(N, 2 * context_channels, H, W)`.
        zero_mean: c' to the scales of the channels after the first `context_channels`, which have
            zero mean (the hybrid model of Lee 2019), or None.
        density: of z.
        context_channels: channels of y coded with context, counted from the first.
    """

    multiple: ClassVar[int] = 64

    def __init__(
        self,
        *,
        hyper_analysis: nn.Module,
        hyper_synthesis: nn.Module,
        bit_consuming: nn.Module,
        context: CausalConvolution,
        parameters: nn.Module,
        density: Density,
        context_channels: int,
        zero_mean: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.hyper_analysis = hyper_analysis
        self.hyper_synthesis = hyper_synthesis
        self.bit_consuming = bit_consuming
        self.context = context
        self.parameters_network = parameters
        self.density = density
        self.context_channels = context_channels
        self.zero_mean = zero_mean

    def hyper(self, y: torch.Tensor) -> torch.Tensor:
        """z of `y`, `(N, N, H/4, W/4)`, before it is rounded."""
        return torch.as_tensor(self.hyper_analysis(y))

    def code(
        self, y: torch.Tensor, z: torch.Tensor | None, rounding: Rounding, noise: bool = False
    ) -> Latents:
        """Quantize both by `rounding`; the rate is that of values plus noise, or quantized."""
        z_hat, z_likelihood = _quantize_z(self, z, rounding, noise)
        y_hat = quantize(y, None, rounding)
        mean, scale = self.estimate(z_hat, y_hat)
        rated = likelihood(noisy(y) if noise else y_hat, mean, scale)
        return Latents(y_hat, {"y": rated, "z": z_likelihood}, mean, scale, z_hat)

    def estimate(
        self, z_hat: torch.Tensor, y_hat: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and scales of all positions at once, both the shape of `y_hat`."""
        hyper = self.hyper_synthesis(z_hat)
        context = self.context(y_hat[:, : self.context_channels])
        features = torch.cat([self.bit_consuming(hyper), context], 1)
        scale, mean = self.parameters_network(features).chunk(2, 1)
        if self.zero_mean is not None:
            rest = self.zero_mean(hyper)
            scale = torch.cat([scale, rest], 1)
            mean = torch.cat([mean, torch.zeros_like(rest)], 1)
        return mean, lower_bound(scale, SCALE_MINIMUM)


def quantize(y: torch.Tensor, centre: torch.Tensor | None, rounding: Rounding) -> torch.Tensor:
    """Round `y` to integers, or to integer distances from `centre`."""
    return rounding(y) if centre is None else rounding(y - centre) + centre


def noisy(y: torch.Tensor) -> torch.Tensor:
    """`y` plus uniform noise in [-1/2, 1/2): rounding for the rate (Ballé 2017, eq. 12)."""
    return y + torch.rand_like(y) - 0.5


def _quantize_z(
    model: HyperpriorLatents | ContextLatents,
    z: torch.Tensor | None,
    rounding: Rounding,
    noise: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """z_hat and its likelihood."""
    assert z is not None, "a model with a hyperprior has a z"
    z_hat = quantize(z, _per_channel(model.density.medians), rounding)
    return z_hat, model.density.likelihood(noisy(z) if noise else z_hat)


def _per_channel(values: torch.Tensor) -> torch.Tensor:
    return values[None, :, None, None]
