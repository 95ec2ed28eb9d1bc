"""Bits that linear prediction from the causal neighbours could save, from their covariance."""

import numpy as np

from tamis.analysis.moments import Array, Moments

RIDGE = 1e-9
"""Part of the mean variance added to each neighbour's own, so that equal ones can be solved."""


def determination(moments: Moments) -> Array:
    """Share of the variance that the best linear prediction explains, adjusted R squared, `(...)`.

    Args:
        moments: of vectors `(target, neighbour 1, ...)`, `(..., 1 + K)`.

    Returns:
        0 where the target does not vary, never below 0 nor above 1 - 1e-6. "Adjusted" means that
        K useless neighbours give 0 on average and not K / count.
    """
    neighbours = moments.mean.shape[-1] - 1
    count = np.maximum(moments.count, neighbours + 2)
    covariance = moments.scatter / count[..., None, None]
    inner, cross = covariance[..., 1:, 1:], covariance[..., 1:, :1]
    level = np.trace(inner, axis1=-2, axis2=-1)[..., None, None] / neighbours
    inner = inner + np.eye(neighbours) * (RIDGE * level + np.finfo(float).tiny)
    explained = (cross * np.linalg.solve(inner, cross))[..., 0].sum(-1)
    variance = moments.variance[..., 0]
    plain = np.divide(explained, variance, out=np.zeros_like(variance), where=variance > 0)
    adjusted = 1 - (1 - plain) * (count - 1) / (count - neighbours - 1)
    return np.asarray(np.clip(adjusted, 0, 1 - 1e-6))


def gain(moments: Moments) -> Array:
    """Bits per latent that this prediction saves: `0.5 log2(1 / (1 - R^2))`, `(...)`.

    The formula is the coding gain of prediction for Gaussian variables at high rate (Jayant and
    Noll 1984, chapter 6). A channel whose values are nearly all zero cannot save what it does not
    cost, so whoever adds gains up caps each at the channel's own rate.
    """
    return np.asarray(-0.5 * np.log2(1 - determination(moments)))
