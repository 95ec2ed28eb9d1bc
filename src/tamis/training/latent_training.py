"""What training a codec and fitting a proxy share: a model of latents, its noise, its optimiser."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

from tamis.learned.latents import LatentModel
from tamis.training.codec_monitor import StepValues
from tamis.training.codec_recipe import CodecRecipe
from tamis.training.fitting import clip_gradients, scheduled
from tamis.training.optimiser import optimiser
from tamis.training.proxy_recipe import ProxyRecipe

MEDIANS_EVERY = 100
"""Steps between updates of the medians, which follow from the densities (Ballé 2018 trains them
by a loss of their own; bisection finds them exactly)."""


class LatentTraining(L.LightningModule):
    """Everything but the network and the loss, which subclasses bring.

    Attributes:
        recipe: seed, optimiser and steps.
        fingerprint: what a state on disk says it is a state of.
        values: what the last step leaves to log.
        learning_rate: that of the last step; the schedule has moved on when it is logged.
    """

    def __init__(self, recipe: CodecRecipe | ProxyRecipe, fingerprint: str) -> None:
        super().__init__()
        self.recipe = recipe
        self.fingerprint = fingerprint
        self.values = StepValues(0, 0, 0, 0)
        self.learning_rate = 0.0

    def begin(self, latents: LatentModel) -> None:
        """Before the forward pass of a step: medians that are due, and the step's own noise."""
        if self.global_step % MEDIANS_EVERY == 0:
            latents.density.update_medians()
        # The noise of a step is its own, wherever a run was interrupted.
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.global_step)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """See `fitting.clip_gradients`."""
        norm = clip_gradients(self.parameters(), self.recipe.optimiser.clip, self.global_step)
        self.learning_rate = float(optimizer.param_groups[0]["lr"])
        self.values = self.values._replace(gradient_norm=norm)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The recipe's optimiser with its schedule."""
        settings = self.recipe.optimiser
        return scheduled(optimiser(self, settings), settings, self.recipe.steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the state is a state of."""
        checkpoint["recipe"] = self.fingerprint
