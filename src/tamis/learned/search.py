"""Better latents for one image: gradient descent on what the encoder sends, not on any weight.

The analysis transform guesses the latents of every image at once; for a given image there are
better ones (Campos et al. 2019, arXiv 1906.01223). The decoder knows nothing of the search: the
stream is an ordinary one.
"""

import math
from typing import NamedTuple

import torch

from tamis.learned.latents import Rounding
from tamis.learned.models import LearnedModel

LEARNING_RATE = 0.05
HOT, COLD = 0.3, 0.05
"""Temperatures of the rounding at the first step and at the last."""


class Search(NamedTuple):
    """How long to search, and for what.

    Attributes:
        steps: each a pass through synthesis and entropy model and back.
        price: lambda, as the model was trained with.
    """

    steps: int
    price: float


def search(
    model: LearnedModel, x: torch.Tensor, settings: Search
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Latents of `x` whose `R + lambda 255^2 MSE` is lower than that of the model's own guess.

    Values are drawn towards integers by a soft rounding that hardens from step to step (the
    expectation of the distribution in Yang, Bamler, Mandt 2020, arXiv 2006.04240, section 3.2;
    its samples need many more steps than the few dozen that an encoder may take).

    Args:
        model: in evaluation mode.
        x: one image, `(1, 3, H, W)` in [0, 1].
        settings: steps and lambda.

    Returns:
        y `(1, M, H/16, W/16)` and z `(1, N, H/64, W/64)` or None, to be rounded by the caller; the
        model's own guess if nothing better was found.
    """
    steps, price = settings
    with torch.no_grad():
        y = model.analysis(model.pad(x))
        guess = [y] if (z := model.latents.hyper(y)) is None else [y, z]
        best, lowest = guess, _cost(model, x, guess, price, torch.round)
    found = [value.clone().requires_grad_() for value in guess]
    adam = torch.optim.Adam(found, LEARNING_RATE)
    with torch.enable_grad():
        for step in range(steps):
            adam.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
            rounding = soft_round(HOT * (COLD / HOT) ** (step / steps))
            cost = _cost(model, x, found, price, rounding)
            for value, gradient in zip(found, torch.autograd.grad(cost, found), strict=True):
                value.grad = gradient
            adam.step()
    found = [value.detach() for value in found]
    with torch.no_grad():
        if _cost(model, x, found, price, torch.round) < lowest:
            best = found
    return best[0], best[1] if len(best) > 1 else None


def soft_round(temperature: float) -> Rounding:
    """A differentiable rounding, nearer to `torch.round` the lower `temperature` is.

    Between two integers the result is their mean, weighted by a softmax of `-atanh` of the
    distance to each over `temperature`.
    """

    def rounded(x: torch.Tensor) -> torch.Tensor:
        floor = x.floor().detach()
        up = (x - floor).clamp(1e-5, 1 - 1e-5)
        return floor + torch.sigmoid((torch.atanh(up) - torch.atanh(1 - up)) / temperature)

    return rounded


def _cost(
    model: LearnedModel,
    x: torch.Tensor,
    found: list[torch.Tensor],
    price: float,
    rounding: Rounding,
) -> torch.Tensor:
    """Bits per pixel plus priced distortion, without dimensions."""
    y, z = found[0], found[1] if len(found) > 1 else None
    output = model.output(model.latents.code(y, z, rounding), *x.shape[2:])
    return output.bpp.sum() + price * 255**2 * (output.x_hat - x).square().mean()
