"""The loss of a step, `L = R + lambda sum_k w_k D_k + beta D_pre` (Lu et al. 2024, section III).

It is divided by the plain codec's rate at the batch's quality: a BD-rate counts percent, and
without the division the high rates would drown the gradients of the low ones.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tamis.errors import TamisError
from tamis.proxies.coupling import Coupling
from tamis.training.augmentation import Augmentation
from tamis.training.batches import Batch
from tamis.training.ensemble import Ensemble
from tamis.training.lagrangian import PlainCurve
from tamis.training.recipe import Recipe


class Terms(NamedTuple):
    """The loss of a step and what it is made of, by the names of the log's columns."""

    loss: Tensor
    values: dict[str, float]


class Objective:
    """Loss of a preprocessor on a batch.

    Args:
        recipe: weights of the terms.
        ensemble: the tasks.
        couplings: by codec spec; real values forward, the proxy's gradients backward.
        lambdas: bpp per unit of task distance, by codec spec and quality.
        curves: the plain codec's curve by codec spec, for the comparison with it.
    """

    def __init__(
        self,
        recipe: Recipe,
        ensemble: Ensemble,
        couplings: Mapping[str, Coupling],
        lambdas: Mapping[tuple[str, int], float],
        curves: Mapping[str, PlainCurve],
    ) -> None:
        self.recipe = recipe
        self.ensemble = ensemble
        self.couplings = couplings
        self.lambdas = lambdas
        self.curves = curves

    def to(self, device: torch.device) -> None:
        """Move tasks and proxies to where the network trains."""
        self.ensemble.to(device)
        for coupling in self.couplings.values():
            coupling.to(device)

    def __call__(self, network: nn.Module, batch: Batch) -> Terms:
        """Loss of `network` on `batch`: imitation where it has a target, else rate and tasks."""
        filtered = network(batch.source, batch.strength).clamp(0, 1)
        fidelity = (filtered - batch.source).square().mean()
        values = {"psnr": -10 * math.log10(max(fidelity.item(), 1e-10))}
        if batch.target is not None:
            loss = self._imitation(filtered, batch.target, batch)
            return Terms(loss, {"loss": loss.item(), **values})
        move = Augmentation(batch.moves)
        original = move(batch.source)
        decoded, rate = self.couplings[batch.spec](round_through(filtered), batch.quality)
        only = batch.task
        parts = self.ensemble.distances(move(decoded), original, only, batch.labels)
        distance = self.ensemble.total(parts, only).mean()
        lambda_ = self.lambdas[batch.spec, batch.quality]
        loss = rate.mean() + lambda_ * distance + self.recipe.beta * fidelity
        loss = loss / self.curves[batch.spec].rate(batch.quality)
        values |= {"loss": loss.item(), "lambda": lambda_}
        values |= {"bpp": rate.mean().item(), "distance": distance.item()}
        names = self.ensemble.names if only is None else [self.ensemble.names[only]]
        values |= dict(zip(names, parts.detach().mean(dim=1).tolist(), strict=True))
        if self.recipe.forward == "codec" and batch.step % self.recipe.compare_every == 0:
            plain, plain_rate = self._calibrate(batch, filtered, rate)
            parts = self.ensemble.distances(move(plain), original, only, batch.labels)
            plain_distance = float(self.ensemble.total(parts, only).mean())
            values |= self._comparison(batch, values, float(plain_rate.mean()), plain_distance)
        return Terms(loss, values)

    def _imitation(self, filtered: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """Squared error to the refined photo in grey levels, and the tasks' distance to it."""
        teacher = self.recipe.teacher
        assert teacher is not None
        loss = teacher.weight * (255 * (filtered - target)).square().mean()
        if teacher.task_weight:
            move = Augmentation(batch.moves)
            distances = self.ensemble.distances(move(filtered), move(target))
            loss = loss + teacher.task_weight * self.ensemble.total(distances).mean()
        return loss

    @torch.no_grad()
    def _calibrate(self, batch: Batch, filtered: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Teach the proxy what filtering really saved; the plain codec's x_hat and bpp."""
        coupling, quality = self.couplings[batch.spec], batch.quality
        plain, plain_rate = coupling.real(batch.source, quality)
        coupling.learn(batch.source, filtered, rate - plain_rate, quality)
        return plain, plain_rate

    def _comparison(
        self, batch: Batch, values: dict[str, float], plain_rate: float, plain_distance: float
    ) -> dict[str, float]:
        """The plain codec on the same batch, moved along its own curve to the same distance.

        `saved` is the part of the plain rate saved at equal distance; negative is a loss. A step's
        value is as noisy as its batch; the log's running mean and the validation are not.
        """
        compared = {"plain_bpp": plain_rate, "plain_distance": plain_distance}
        try:
            elasticity = self.curves[batch.spec].elasticity(batch.quality)
        except TamisError:
            # Lambda was given as numbers and the curve is too noisy for a slope: no comparison.
            return compared
        equal = plain_rate * (values["distance"] / max(plain_distance, 1e-9)) ** elasticity
        return compared | {"saved": 1 - values["bpp"] / max(equal, 1e-9)}


def round_through(x: Tensor) -> Tensor:
    """Round `x` in [0, 1] to the grey levels a codec is given, with the gradient of identity."""
    return x + ((x * 255).round() / 255 - x).detach()
