"""The state of a run on disk: written whole or not at all, read without running any code in it.

It is Lightning's own file (weights, optimiser, schedule, loop position) with the recipe's
fingerprint and what else the run depends on added. It never travels: what is shared is exported as
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
from tamis.training.recipe import CheckpointRecipe

STATE = "state.ckpt"


class SaveState(L.Callback):
    """Writes `state.ckpt` after so many steps or minutes, and after the last of `steps`."""

    def __init__(self, folder: Path, every: CheckpointRecipe, steps: int) -> None:
        self.path = folder / STATE
        self.every = every
        self.steps = steps
        self.since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Write the state if it is time."""
        step, every = trainer.global_step, self.every
        due = every.steps is not None and step % every.steps == 0
        due = due or time.monotonic() - self.since >= 60 * every.minutes
        if due or step == self.steps:
            self.write(trainer)
            self.since = time.monotonic()

    def write(self, trainer: L.Trainer) -> None:
        """Write to a file beside it, then rename: a kill leaves the old state or the new one."""
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.path)


def read_state(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state that a run of the recipe with this fingerprint left in `folder`, or None.

    Raises:
        RecipeError: the state belongs to another recipe, or is not one.
    """
    path = folder / STATE
    if not path.exists():
        return None
    state = load_tensors(path)
    if state.get("recipe") != fingerprint:
        raise RecipeError(
            f"{folder} holds a run of another recipe; give another folder, or start over with "
            "resume off"
        )
    return state


def load_tensors(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote to `path`: a dict of tensors and plain values.

    Raises:
        RecipeError: no such file, or one that holds anything else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{path} is not the state of a training run: {reason}") from error
    if not isinstance(state, dict):
        raise RecipeError(f"{path} is not the state of a training run: it holds no names")
    return state
