"""What a learned codec's training tells: means over some steps, and validation on whole photos."""

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from rich.console import Console

from tamis.codecs import Image
from tamis.learned.models import LearnedModel
from tamis.tasks.pixels import to_tensor
from tamis.training.codec_export import Package
from tamis.training.codec_objective import CodecObjective, Cost
from tamis.training.codec_recipe import CodecRecipe
from tamis.training.log import CsvLog

STEPS, VALIDATION = "steps.csv", "validation.csv"
STEP_COLUMNS = ("seconds", "learning_rate", "loss", "bpp", "psnr", "gradient_norm")
VALIDATION_COLUMNS = ("loss", "bpp", "psnr", "stream_bpp", "stream_psnr")


class StepValues(NamedTuple):
    """What one step leaves to log: floats, in the units of `Cost`."""

    loss: float
    bpp: float
    mse: float
    gradient_norm: float


class MeanLog(L.Callback):
    """`steps.csv`: a row for every `every` steps, the mean over them; `psnr` is of the mean error.

    What has been summed since the last row is part of the state, so a resumed run writes the same
    rows.
    """

    def __init__(self, folder: Path, every: int, finished: int) -> None:
        self.csv = CsvLog(folder / STEPS, STEP_COLUMNS, finished)
        self.every = every
        self.values: list[StepValues] = []
        self.since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Count the step just made in, and write a row if it is time."""
        self.values.append(module.values)  # type: ignore[arg-type]
        step = trainer.global_step
        if step % self.every and step != trainer.max_steps:
            return
        loss, bpp, mse, norm = (float(value) for value in np.mean(self.values, axis=0))
        now = time.monotonic()
        row = {"loss": loss, "bpp": bpp, "psnr": decibels(mse), "gradient_norm": norm}
        row |= {"seconds": now - self.since, "learning_rate": module.learning_rate}  # type: ignore[dict-item]
        self.csv.write(step, row)
        if trainer.logger:
            trainer.logger.log_metrics(row, step)
        self.values, self.since = [], now

    def state_dict(self) -> dict[str, Any]:
        """The steps since the last row."""
        return {"values": [list(values) for values in self.values]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them up again."""
        self.values = [StepValues(*values) for values in state_dict["values"]]


class CodecValidation(L.Callback):
    """`validation.csv`: held-out photos at their own size, the mean over them.

    `loss`, `bpp` and `psnr` are by the likelihoods and by the model in floating point;
    `stream_bpp` and `stream_psnr` by real files of the package as it would be shipped.

    Args:
        folder: the run's.
        recipe: the run's.
        objective: what makes up the loss.
        photos: the held-out photos.
        package: what is written after the last step, and before if the recipe says so.
        finished: steps that the run has behind it.
    """

    def __init__(
        self,
        folder: Path,
        recipe: CodecRecipe,
        objective: CodecObjective,
        photos: Sequence[Image],
        package: Package,
        finished: int,
    ) -> None:
        self.package = package
        self.recipe = recipe
        self.objective = objective
        self.photos = photos
        self.csv = CsvLog(folder / VALIDATION, VALIDATION_COLUMNS, finished)
        self.console = Console(stderr=True, highlight=False)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Validate every `recipe.validation.every` steps and after the last."""
        step, often = trainer.global_step, self.recipe.validation
        count, rest = divmod(step, often.every)
        last = step == self.recipe.steps
        if last or not rest:
            streams = last or (often.streams is not None and count % often.streams == 0)
            row = self.run(module.model, step, streams)  # type: ignore[arg-type]
            if trainer.logger:
                trainer.logger.log_metrics({f"held_out/{k}": v for k, v in row.items()}, step)

    def run(self, model: LearnedModel, step: int, streams: bool) -> dict[str, float]:
        """Measure `model` after `step` steps, with `streams` as a package; returns the row.

        A copy is measured, so that how often one looks changes nothing of what is trained.
        """
        measured = _ready(model)
        row = self._by_likelihood(measured)
        if streams:
            row |= self.package.write(measured, step, row)
        self.csv.write(step, row)
        told = ", ".join(f"{name} {value:.4f}" for name, value in row.items())
        self.console.print(f"lambda {self.recipe.lambda_:g}, step {step}: {told}", soft_wrap=True)
        return row

    @torch.no_grad()
    def _by_likelihood(self, model: LearnedModel) -> dict[str, float]:
        device = next(model.parameters()).device
        costs, psnrs = [], []
        for photo in self.photos:
            x = to_tensor([photo]).to(device)
            output = model(x)
            output = output._replace(x_hat=output.x_hat.clamp(0, 1))
            costs.append(self.objective(output, x))
            psnrs.append(decibels(float(costs[-1].mse)))
        mean = Cost(*torch.tensor(costs).mean(dim=0))
        return {"loss": float(mean.loss), "bpp": float(mean.bpp), "psnr": float(np.mean(psnrs))}


def _ready(model: LearnedModel) -> LearnedModel:
    """A copy of `model` for evaluation, its medians where its densities have them."""
    measured = copy.deepcopy(model).eval()
    measured.latents.density.update_medians()
    return measured


def decibels(mse: float) -> float:
    """PSNR in dB of a mean squared error of pixels in [0, 1]; 100 where there is none."""
    return float(-10 * np.log10(max(mse, 1e-10)))
