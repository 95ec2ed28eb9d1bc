"""A learned codec taught to behave like another codec, at every strength of it, with a gradient.

Lu et al. 2024 (section III-C) train the joint model of Minnen 2018 to the rates and distortions of
BPG. Here it is trained to BPG's own pictures and file sizes, and one model serves all QPs.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from tamis.codecs import Codec
from tamis.errors import TamisError
from tamis.learned.bounds import straight_through_round
from tamis.learned.models import LearnedModel, Output
from tamis.preprocessing.conditioning import strength

HIDDEN = 32
LOG_STEP = 2 * math.log(2)
"""Natural logarithm by which the quantization step grows per unit of strength."""


class Gains(nn.Module):
    """What every channel of y is multiplied by before it is rounded, and afterwards.

    Gain units (Cui et al. 2021, arXiv 2003.02012) for any strength instead of a table of rates: the
    gain is the reciprocal of the codec's quantization step but for a factor that a small network
    says. It starts at none, so that an untrained proxy is the model it was made of, quantized more
    coarsely or finely.

    Attributes:
        origin: strength at which y is rounded as the model without gains rounds it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.origin = nn.Parameter(torch.zeros(1))
        last = nn.Linear(HIDDEN, 2 * channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(1, HIDDEN), nn.GELU(), last)

    def forward(self, strength: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gains and inverse gains, `(N, M, 1, 1)` each, of strengths `(N,)`."""
        finer = LOG_STEP * (self.origin - strength)[:, None]
        before, after = self.layers(strength[:, None]).chunk(2, 1)
        return (finer + before).exp()[..., None, None], (after - finer).exp()[..., None, None]


class ConditionedModel(nn.Module):
    """A learned codec with the strength of another as a second argument.

           ┌─────┐ y    gain(s)  ┌─────────┐  1/gain(s)  ┌─────┐
      x ──►│ g_a ├──────► × ────►│ latents ├─────► × ───►│ g_s ├──► x_hat
           └─────┘               └────┬────┘             └─────┘
                                      └► likelihoods of y and z: the rate

    Attributes:
        model: the learned codec.
        gains: of its y.
    """

    def __init__(self, model: LearnedModel) -> None:
        super().__init__()
        self.model = model
        self.gains = Gains(model.m)

    def forward(self, x: torch.Tensor, strength: torch.Tensor) -> Output:
        """Code `x`, `(N, 3, H, W)` in [0, 1], at strengths `(N,)`.

        Values are rounded with the identity's gradient; in training uniform noise stands for
        rounding in the rate, else the rate is that of the rounded values.
        """
        gain, inverse = self.gains(strength)
        y = self.model.analysis(self.model.pad(x)) * gain
        latents = self.model.latents
        coded = latents.code(y, latents.hyper(y), straight_through_round, noise=self.training)
        coded = coded._replace(y_hat=coded.y_hat * inverse)
        return self.model.output(coded, *x.shape[2:])


class LearnedProxy(nn.Module):
    """`(x, quality) -> (x_hat, bpp)` by a trained `ConditionedModel`, frozen.

    Attributes:
        codec: the codec it stands in for.
        network: the model.
        header_bits: bits of the codec's file that do not depend on the picture.
        calibration: factor on the rate by quality, interpolated over strength; empty for none.
    """

    def __init__(
        self,
        codec: Codec,
        network: ConditionedModel,
        qualities: tuple[int, int],
        header_bits: float = 0.0,
        calibration: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.network = network.eval().requires_grad_(False)
        self.qualities = qualities
        self.header_bits = header_bits
        self.calibration = dict(calibration or {})

    def forward(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `x`, `(N, 3, H, W)` in [0, 1]; rate `(N,)` in bits per pixel.

        Raises:
            TamisError: a quality outside the range it was trained for.
        """
        low, high = self.qualities
        if not low <= quality <= high:
            raise TamisError(
                f"this proxy of {self.codec.name} is trained for {self.codec.quality.unit} "
                f"{low}..{high}, not {quality}"
            )
        told = x.new_full((len(x),), strength(self.codec, quality))
        output = self.network(x.contiguous(memory_format=torch.channels_last), told)
        bpp = output.bpp + self.header_bits / (x.shape[2] * x.shape[3])
        return output.x_hat.clamp(0, 1), bpp * self.factor(quality)

    def factor(self, quality: int) -> float:
        """Bits of the codec's file per bit of the model, at `quality`."""
        if not self.calibration:
            return 1.0
        known = sorted((strength(self.codec, q), value) for q, value in self.calibration.items())
        strengths, factors = zip(*known, strict=True)
        return float(np.interp(strength(self.codec, quality), strengths, factors))
