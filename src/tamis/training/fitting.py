"""One way to run Lightning for every kind of training here: schedule, logs, resume."""

import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

from tamis.errors import RecipeError
from tamis.training.checkpoint import STATE
from tamis.training.recipe import Accelerator, OptimiserRecipe
from tamis.training.recipe_file import Section


def expand(path: str | Path) -> Path:
    """`path` with `~` and `$VARIABLE` replaced."""
    return Path(os.path.expandvars(path)).expanduser()


def open_folder(folder: Path, resume: bool, logs: Sequence[str]) -> None:
    """Make the folder of a run; without `resume`, drop the state and the `logs` that it held."""
    folder.mkdir(parents=True, exist_ok=True)
    if not resume:
        for old in (STATE, *logs):
            (folder / old).unlink(missing_ok=True)
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def write_recipe(folder: Path, recipe: Section) -> None:
    """Write `recipe.yaml` to the folder of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    written = yaml.safe_dump(recipe.document(), sort_keys=False)
    (folder / "recipe.yaml").write_text(written)


def use_threads(threads: int) -> None:
    """Let torch compute on `threads` threads, or on as few as OMP_NUM_THREADS asks for.

    Two threads on one free core wait for each other.
    """
    torch.set_num_threads(min(threads, torch.get_num_threads()))


def scheduled(
    optimiser: torch.optim.Optimizer, settings: OptimiserRecipe, steps: int
) -> OptimizerLRSchedulerConfig:
    """`optimiser` with the recipe's schedule over `steps`, stepped every batch."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / (settings.warm_up + 1))
        if settings.schedule == "constant":
            return warm
        return warm * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def clip_gradients(parameters: Iterable[torch.nn.Parameter], clip: float, step: int) -> float:
    """Clip the norm of all gradients together; the norm before, which tells of every overflow.

    Raises:
        RecipeError: it is not finite.
    """
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip))
    if not math.isfinite(norm):
        raise RecipeError(
            f"the loss or its gradient is not finite at step {step}; lower optimiser.learning_rate"
        )
    return norm


def fit(
    module: L.LightningModule,
    batches: Iterable[Any],
    callbacks: Sequence[Callback],
    folder: Path,
    *,
    steps: int,
    clip: float,
    resume: bool,
    accelerator: Accelerator = "cpu",
) -> None:
    """Train `module` up to `steps` steps, from the folder's state if `resume`.

    Raises:
        RecipeError: `accelerator` is `gpu` and torch finds none.
    """
    if accelerator == "gpu" and not (
        CUDAAccelerator.is_available() or MPSAccelerator.is_available()
    ):
        raise RecipeError("accelerator is gpu, but torch finds none here; use auto or cpu")
    # A generator's seed at this point matters to nothing below: batches carry their own.
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            accelerator=accelerator,
            devices=1,
            max_steps=steps,
            max_epochs=1,
            gradient_clip_val=clip,
            logger=_logger(folder),
            log_every_n_steps=10,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        state = folder / STATE if resume else None
        trainer.fit(module, batches, ckpt_path=state, weights_only=True)


def _logger(folder: Path) -> Logger | bool:
    """TensorBoard where it is installed; the CSV files are written either way."""
    try:
        return TensorBoardLogger(folder, name="tensorboard", version="")
    except ModuleNotFoundError:
        return False
