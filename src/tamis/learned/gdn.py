"""Generalised divisive normalisation (Ballé, Laparra, Simoncelli 2016, arXiv 1511.06281, eq. 1)."""

import torch
from torch import nn
from torch.nn import functional as F

from tamis.learned.bounds import lower_bound

# Parameters are stored as square roots: near zero their gradients shrink, which keeps them stable.
PEDESTAL = 2.0**-36
BETA_MINIMUM = 1e-6


class GDN(nn.Module):
    """`y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)` at every position; `inverse` multiplies.

    Attributes:
        beta: stored square root of the offsets plus a pedestal, `(C,)`.
        gamma: stored square root of the weights plus a pedestal, `(C, C)`.

    Input and output are `(N, C, H, W)`. Parameters are stored as CompressAI stores them.
    """

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.sqrt(torch.ones(channels) + PEDESTAL))
        self.gamma = nn.Parameter(torch.sqrt(0.1 * torch.eye(channels) + PEDESTAL))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`."""
        beta = lower_bound(self.beta, (BETA_MINIMUM + PEDESTAL) ** 0.5) ** 2 - PEDESTAL
        gamma = lower_bound(self.gamma, PEDESTAL**0.5) ** 2 - PEDESTAL
        norm = F.conv2d(x * x, gamma[:, :, None, None], beta)
        return x * (torch.sqrt(norm) if self.inverse else torch.rsqrt(norm))
