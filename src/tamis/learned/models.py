"""The models by name, and the one class that all of them are."""

import difflib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tamis.errors import TamisError
from tamis.learned import transforms
from tamis.learned.context import (
    LEE_WINDOW,
    MINNEN_WINDOW,
    CausalConvolution,
    WindowConvolution,
)
from tamis.learned.density import FactorizedDensity, GaussianDensity
from tamis.learned.gaussian import bits
from tamis.learned.latents import (
    ContextLatents,
    FactorizedLatents,
    HyperpriorLatents,
    LatentModel,
    Latents,
)

LEAK = 0.01


class Output(NamedTuple):
    """What a model makes of a batch.

    Attributes:
        x_hat: reconstruction, `(N, 3, H, W)`, not clamped.
        latents: the quantized latents and their likelihoods.
        bpp: rate by the likelihoods, `(N,)` bits per pixel of the input.
    """

    x_hat: torch.Tensor
    latents: Latents
    bpp: torch.Tensor


class LearnedModel(nn.Module):
    """An image compressed end to end: analysis, latents, synthesis.

           ┌─────┐ y ┌─────────┐ y_hat ┌─────┐
      x ──►│ g_a ├──►│ latents ├──────►│ g_s ├──► x_hat
           └─────┘   └────┬────┘       └─────┘
                          └► likelihoods of y (and z): the rate

    Attributes:
        name: one of `list_models()`.
        n: channels of the transforms and of z.
        m: channels of y.
        analysis: g_a.
        latents: quantization and probability of y.
        synthesis: g_s.
    """

    def __init__(self, name: str, n: int, m: int, latents: LatentModel) -> None:
        super().__init__()
        self.name = name
        self.n = n
        self.m = m
        self.analysis = transforms.analysis(n, m)
        self.latents = latents
        self.synthesis = transforms.synthesis(n, m)

    @property
    def multiple(self) -> int:
        """What height and width are padded to a multiple of."""
        return self.latents.multiple

    def forward(self, x: torch.Tensor) -> Output:
        """Code `x`, `(N, 3, H, W)` in [0, 1], any size: padded for the model, cropped back."""
        return self.output(self.latents(self.analysis(self.pad(x))), *x.shape[2:])

    def output(self, latents: Latents, height: int, width: int) -> Output:
        """Reconstruction and rate of `latents` for images of `height` by `width` pixels."""
        x_hat = self.synthesis(latents.y_hat)[:, :, :height, :width]
        rate = sum(bits(value) for value in latents.likelihoods.values()) / (height * width)
        return Output(x_hat, latents, torch.as_tensor(rate))

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Repeat the last row and column up to the next multiple of `multiple`."""
        height, width = x.shape[2:]
        return F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), "replicate")


def factorized(n: int, m: int) -> LearnedModel:
    """Ballé, Laparra, Simoncelli 2017 (arXiv 1611.01704).

         ┌─────┐  y  ┌───┐ y_hat ┌─────┐
    x ──►│ g_a ├────►│ Q ├──────►│ g_s ├──► x_hat
         └─────┘     └─┬─┘       └─────┘
                       │ bits by one density per channel
    """
    return LearnedModel("factorized", n, m, FactorizedLatents(m))


def hyperprior(n: int, m: int) -> LearnedModel:
    """Ballé et al. 2018 (arXiv 1802.01436): a scale for every element of y.

         ┌─────┐  y                    ┌───┐ y_hat  ┌─────┐
    x ──►│ g_a ├──┬───────────────────►│ Q ├───────►│ g_s ├──► x_hat
         └─────┘  │                    └─┬─┘        └─────┘
                  │ |y|                  │ bits by N(0, scale²)
                  │ ┌─────┐ z ┌───┐ z_hat│ ┌─────┐
                  └►│ h_a ├──►│ Q ├──────┴►│ h_s ├──► scale
                    └─────┘   └─┬─┘        └─────┘
                                │ bits by one density per channel
    """
    latents = HyperpriorLatents(
        transforms.hyper_analysis(n, m, 0),
        nn.Sequential(*transforms.hyper_synthesis(n, (n, n), m, 0), nn.ReLU()),
        FactorizedDensity(n),
        means=False,
    )
    return LearnedModel("hyperprior", n, m, latents)


def mean_scale(n: int, m: int) -> LearnedModel:
    """Minnen, Ballé, Toderici 2018 (arXiv 1809.02736) without context: means as well as scales.

         ┌─────┐  y                    ┌───┐ y_hat  ┌─────┐
    x ──►│ g_a ├──┬───────────────────►│ Q ├───────►│ g_s ├──► x_hat
         └─────┘  │                    └─┬─┘        └─────┘
                  │                      │ bits by N(mean, scale²)
                  │ ┌─────┐ z ┌───┐ z_hat│ ┌─────┐
                  └►│ h_a ├──►│ Q ├──────┴►│ h_s ├──► mean, scale
                    └─────┘   └─┬─┘        └─────┘
                                │ bits by one density per channel
    """
    latents = HyperpriorLatents(
        transforms.hyper_analysis(n, m, LEAK),
        transforms.hyper_synthesis(n, (m, m * 3 // 2), 2 * m, LEAK),
        FactorizedDensity(n),
        means=True,
    )
    return LearnedModel("mean-scale", n, m, latents)


def joint(n: int, m: int) -> LearnedModel:
    """Minnen, Ballé, Toderici 2018 (arXiv 1809.02736): a 5x5 causal context and a hyperprior.

         ┌─────┐  y  ┌───┐ y_hat                     ┌─────┐
    x ──►│ g_a ├──┬─►│ Q ├───┬──────────────────────►│ g_s ├──► x_hat
         └─────┘  │  └─┬─┘   │ ┌─────────────┐       └─────┘
                  │    │     └►│ 5x5 context ├──┐
                  │    │       └─────────────┘  ├─►│1x1│──► mean, scale
                  │    │ bits by N(mean, scale²)│
                  │ ┌─────┐ z ┌───┐ z_hat ┌─────┴┐
                  └►│ h_a ├──►│ Q ├──────►│ h_s  │
                    └─────┘   └─┬─┘       └──────┘
                                │ bits by one density per channel
    """
    latents = ContextLatents(
        hyper_analysis=transforms.hyper_analysis(n, m, LEAK),
        hyper_synthesis=transforms.hyper_synthesis(n, (m, m * 3 // 2), 2 * m, LEAK),
        bit_consuming=nn.Identity(),
        context=CausalConvolution(m, 2 * m, MINNEN_WINDOW),
        parameters=nn.Sequential(
            nn.Conv2d(4 * m, m * 10 // 3, 1), nn.LeakyReLU(LEAK),
            nn.Conv2d(m * 10 // 3, m * 8 // 3, 1), nn.LeakyReLU(LEAK),
            nn.Conv2d(m * 8 // 3, 2 * m, 1),
        ),
        density=FactorizedDensity(n),
        context_channels=m,
    )  # fmt: skip
    return LearnedModel("joint", n, m, latents)


def context_adaptive(n: int, m: int, context_channels: int | None = None) -> LearnedModel:
    """Lee, Cho, Beack 2019 (arXiv 1809.10452): two contexts, one free and one paid for in bits.

           ┌─────┐  y  ┌───┐ y_hat                      ┌─────┐
      x ──►│ g_a ├──┬─►│ Q ├───┬───────────────────────►│ g_s ├──► x_hat
           └─────┘  │  └─┬─┘   │ ┌──────────────┐       └─────┘
                    │    │     └►│ 4x4 causal   ├──┐
                    │    │       └──────────────┘  ├─►│1x1│──► mean, scale
                    │    │       ┌──────────────┐  │
                    │    │     ┌►│ 4x4 of c'    ├──┘
                    │    │     │ └──────────────┘
                    │    │     └────────────┐ bits by N(mean, scale²)
                    │ ┌─────┐ z ┌───┐ z_hat ┌┴────┐ c'
                    └►│ h_a ├──►│ Q ├──────►│ h_s ├───► scales of the zero-mean channels
                      └─────┘   └─┬─┘       └─────┘      (hybrid model only)
                                  │ bits by N(0, scale of the channel²)

    Args:
        n: channels of the transforms and of z.
        m: channels of y.
        context_channels: how many of them are context-coded; None is all (the base model), fewer
            makes the hybrid model, whose other channels have zero mean.
    """
    coded = m if context_channels is None else context_channels
    if not 1 <= coded <= m:
        raise TamisError(f"context_channels is {coded}; expected 1 to m, which is {m}")
    latents = ContextLatents(
        hyper_analysis=transforms.hyper_analysis(n, m, 0),
        hyper_synthesis=nn.Sequential(*transforms.hyper_synthesis(n, (n, m), m, 0), nn.ReLU()),
        bit_consuming=WindowConvolution(m, 2 * coded, LEE_WINDOW),
        context=CausalConvolution(coded, 2 * coded, LEE_WINDOW),
        parameters=nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(4 * coded, 2 * coded, 1), nn.ReLU(),
            nn.Conv2d(2 * coded, 2 * coded, 1),
        ),
        density=GaussianDensity(n),
        context_channels=coded,
        zero_mean=nn.Conv2d(m, m - coded, 3, padding=1) if coded < m else None,
    )  # fmt: skip
    return LearnedModel("context-adaptive", n, m, latents)


def reduction(n: int, m: int) -> LearnedModel:
    """A dimension-reduction autoencoder in the manner of Theis et al. 2017 (arXiv 1703.00395).

           ┌─────┐  y  ┌───┐ y_hat ┌─────┐
      x ──►│ g_a ├────►│ Q ├──────►│ g_s ├──► x_hat
           └─────┘     └─┬─┘       └─────┘
                         │ bits by one density per channel, which teach g_a nothing

    What limits the rate is the number `m` of channels: the transforms learn from distortion alone.
    """
    return LearnedModel("reduction", n, m, FactorizedLatents(m, detached=True))


BUILDERS: dict[str, Callable[..., LearnedModel]] = {
    "factorized": factorized,
    "hyperprior": hyperprior,
    "mean-scale": mean_scale,
    "joint": joint,
    "context-adaptive": context_adaptive,
    "reduction": reduction,
}


def list_models() -> list[str]:
    """Names that `create_model` knows."""
    return list(BUILDERS)


def create_model(name: str, n: int, m: int, context_channels: int | None = None) -> LearnedModel:
    """A model with random weights.

    Args:
        name: one of `list_models()`.
        n: channels of the transforms and of z.
        m: channels of the latent y.
        context_channels: for `context-adaptive`, see there.

    Raises:
        TamisError: an unknown name (the nearest is named), or a number out of range.
    """
    if name not in BUILDERS:
        near = difflib.get_close_matches(name, BUILDERS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise TamisError(f"unknown learned model '{name}'; {hint}known: {', '.join(BUILDERS)}")
    if n < 1 or m < 1:
        raise TamisError(f"n is {n} and m is {m}; expected at least 1 of each")
    if context_channels is None:
        return BUILDERS[name](n, m)
    if name != "context-adaptive":
        raise TamisError(f"context_channels is for context-adaptive only, not for {name}")
    return context_adaptive(n, m, context_channels)
