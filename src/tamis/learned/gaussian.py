"""Probability of a quantized latent under a Gaussian: the mass of the bin of width 1 around it."""

import math

import torch

from tamis.learned.bounds import lower_bound

# The smallest scale the coder's tables hold (CompressAI uses the same), and the least likelihood.
SCALE_MINIMUM = 0.11
LIKELIHOOD_MINIMUM = 1e-9


def likelihood(y: torch.Tensor, mean: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
    """Mass of `N(mean, scale^2)` in `[y - 1/2, y + 1/2]` (Ballé 2018, eq. 10); shapes broadcast.

    Args:
        y: latents, rounded or with uniform noise added.
        mean: their means; None is zero.
        scale: their standard deviations; `SCALE_MINIMUM` is the least.
    """
    scale = lower_bound(scale, SCALE_MINIMUM)
    # By symmetry the upper tail is computed from the lower one, where erfc keeps its precision.
    distance = (y if mean is None else y - mean).abs()
    mass = _below((0.5 - distance) / scale) - _below((-0.5 - distance) / scale)
    return lower_bound(mass, LIKELIHOOD_MINIMUM)


def _below(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * torch.erfc(-(2**-0.5) * x)


def bits(likelihoods: torch.Tensor) -> torch.Tensor:
    """`-log2` of the likelihoods, summed over everything but the batch: `(N,)` bits."""
    return -torch.log(likelihoods).flatten(1).sum(1) / math.log(2)
