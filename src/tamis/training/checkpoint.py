"""The state of a run on disk: written whole or not at all, read without running any code in it.

It is Lightning's own file (weights, optimiser, schedule, loop position) with the codecs'
calibration and the recipe's fingerprint added. It never travels: what is shared is exported as
safetensors and ONNX. It is read by `torch.load(weights_only=True)`, which refuses anything but
tensors and plain values.
"""

import os
import pickle
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch

from tamis.errors import RecipeError
from tamis.training.recipe import Recipe

STATE = "state.ckpt"


class SaveState(L.Callback):
    """Writes `state.ckpt` after so many steps or minutes, and after the last step."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.path = folder / STATE
        self.recipe = recipe
        self.since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Write the state if it is time."""
        step, every = trainer.global_step, self.recipe.checkpoint
        due = every.steps is not None and step % every.steps == 0
        due = due or time.monotonic() - self.since >= 60 * every.minutes
        if due or step == self.recipe.steps:
            self.write(trainer)
            self.since = time.monotonic()

    def write(self, trainer: L.Trainer) -> None:
        """Write to a file beside it, then rename: a kill leaves the old state or the new one."""
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.path)


def read_state(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The state that a run of `recipe` left in `folder`, or None.

    Raises:
        RecipeError: the state belongs to another recipe, or is not one.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{path} is not the state of a training run: {reason}") from error
    if state.get("recipe") != recipe.fingerprint():
        raise RecipeError(
            f"{folder} holds a run of another recipe; give another folder, or start over with "
            "resume off"
        )
    return state
