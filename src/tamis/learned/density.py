"""Probabilities without side information: one distribution per channel, the same everywhere."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from tamis.learned.bounds import lower_bound
from tamis.learned.gaussian import LIKELIHOOD_MINIMUM, likelihood


class FactorizedDensity(nn.Module):
    """A learned monotone function per channel is its cumulative distribution (Ballé 2018, 6.1).

    Four small layers map a value to the logit of its cumulative probability. `medians` are where
    it is one half; they are what quantization is centred on, and follow from the other parameters
    (`update_medians`), so they need no loss of their own.

    Attributes:
        medians: `(C,)`.
    """

    WIDTHS = (1, 3, 3, 3, 3, 1)

    def __init__(self, channels: int, width: float = 10.0) -> None:
        super().__init__()
        self.channels = channels
        self.matrices = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors = nn.ParameterList()
        spread = width ** (1 / (len(self.WIDTHS) - 1))
        for inputs, outputs in zip(self.WIDTHS, self.WIDTHS[1:], strict=False):
            start = math.log(math.expm1(1 / spread / outputs))
            self.matrices.append(torch.full((channels, outputs, inputs), start))
            self.biases.append(torch.rand(channels, outputs, 1) - 0.5)
            if outputs > 1:
                self.factors.append(torch.zeros(channels, outputs, 1))
        self.medians: torch.Tensor
        self.register_buffer("medians", torch.zeros(channels))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the cumulative probabilities of `x`, both `(C, 1, K)`."""
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = F.softplus(matrix) @ x + bias
            if i < len(self.factors):
                x = x + torch.tanh(self.factors[i]) * torch.tanh(x)
        return x

    def likelihood(self, z: torch.Tensor) -> torch.Tensor:
        """Mass of the bin of width 1 around each value of `z`, `(N, C, H, W)` both."""
        values = z.transpose(0, 1).reshape(self.channels, 1, -1)
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        # Computed in the tail where the sigmoid does not saturate; a bin centred on the median is
        # in neither, and must not get the sign zero.
        sign = 1 - 2 * (lower + upper > 0).to(z.dtype)
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()
        shape = (self.channels, z.shape[0], *z.shape[2:])
        return lower_bound(mass, LIKELIHOOD_MINIMUM).reshape(shape).transpose(0, 1)

    @torch.no_grad()
    def update_medians(self) -> None:
        """Find where each channel's cumulative probability is one half, by bisection."""
        low = torch.full((self.channels, 1, 1), -1e4, device=self.medians.device)
        high = -low
        for _ in range(60):
            middle = (low + high) / 2
            above = self.logits(middle) > 0
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        self.medians.copy_(((low + high) / 2).flatten())


class GaussianDensity(nn.Module):
    """A zero-mean Gaussian per channel with a learned scale (Lee et al. 2019, section 3.2).

    Attributes:
        log_scales: natural logarithm of the scales, `(C,)`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.log_scales = nn.Parameter(torch.zeros(channels))
        self.medians: torch.Tensor
        self.register_buffer("medians", torch.zeros(channels), persistent=False)

    def likelihood(self, z: torch.Tensor) -> torch.Tensor:
        """Mass of the bin of width 1 around each value of `z`, `(N, C, H, W)` both."""
        return likelihood(z, None, self.log_scales.exp()[None, :, None, None])

    def update_medians(self) -> None:
        """Nothing to do: they are zero."""


Density = FactorizedDensity | GaussianDensity
