"""How far a learned proxy is from the codec it stands for; the formula is `ProxyRecipe`'s."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from tamis.learned.models import Output
from tamis.training.proxy_examples import Example
from tamis.training.proxy_recipe import ProxyRecipe

LEAST_RATE = 0.03
"""bpp added before a logarithm: a flat crop costs nothing, and its logarithm would be all."""

LEAST_ERROR = 9 / 255**2
"""The codec's squared error counts as at least three grey levels squared, for the same reason."""

KNEE = 0.3
"""Where the square of a logarithm's error becomes linear: one odd crop does not rule a step."""


class Gap(NamedTuple):
    """Of a batch, each the mean over its pictures.

    Attributes:
        loss: what is minimised.
        mse: squared error to the codec's pictures, pixels in [0, 1].
        bpp: rate by the likelihoods.
    """

    loss: torch.Tensor
    mse: torch.Tensor
    bpp: torch.Tensor


def gap(recipe: ProxyRecipe, output: Output, example: Example) -> Gap:
    """Distance of `output` for `example.x` to what the codec made of it."""
    own = _squared(example.coded - example.x).clamp(min=LEAST_ERROR)
    to_codec = _squared(output.x_hat - example.coded)
    to_photo = _squared(output.x_hat - example.x)
    error = (output.bpp + LEAST_RATE).log() - (example.bpp + LEAST_RATE).log()
    crop, version = error.chunk(2)
    loss = (to_codec + recipe.photo * to_photo) / own + recipe.rate * _square(error)
    change = recipe.change * _square(version - crop)
    return Gap(loss.mean() + change.mean(), to_codec.mean(), output.bpp.mean())


def _square(error: torch.Tensor) -> torch.Tensor:
    """Huber's: the square up to `KNEE`, its tangent beyond."""
    return 2 * F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=KNEE)


def _squared(difference: torch.Tensor) -> torch.Tensor:
    return difference.square().flatten(1).mean(dim=1)
