"""Weights to start from: those of a model directory, of a state or of another run that fit."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tamis.card import SAFETENSORS
from tamis.errors import RecipeError
from tamis.learned.models import LearnedModel
from tamis.training.checkpoint import STATE, load_tensors

PREFIXES = ("network.", "model.", "weights.")
"""What stands before the names of a model's tensors in a state, and in a model directory."""


class Taken(NamedTuple):
    """How many tensors of a model came from a file.

    Attributes:
        tensors: those taken.
        of: those the model has.
    """

    tensors: int
    of: int


def take_weights(model: LearnedModel, source: Path) -> Taken:
    """Copy into `model` every tensor of `source` whose name and shape the model has too.

    Args:
        model: the model to change.
        source: a model directory, a run's folder, a `.safetensors` file, or a file written by
            `torch.save` that holds tensors by name, by themselves or under `state_dict` or
            `model`.

    Raises:
        RecipeError: nothing there, not such a file, or nothing in it fits.
    """
    found = read_weights(source)
    own = model.state_dict()
    taken = {
        name: found[name] for name in own if name in found and found[name].shape == own[name].shape
    }
    # The three biases of the last layer fit every model.
    if all(value.dim() < 2 for value in taken.values()):
        raise RecipeError(
            f"init: no weight of {source} has name and shape of one of {model.name} with "
            f"n = {model.n} and m = {model.m}"
        )
    model.load_state_dict(taken, strict=False)
    return Taken(len(taken), len(own))


def read_weights(source: Path) -> dict[str, torch.Tensor]:
    """The tensors of `source` by the names they have in a model; as `take_weights`."""
    if not source.exists():
        raise RecipeError(f"init: there is no {source}")
    if source.is_dir():
        inside = [source / name for name in (SAFETENSORS, STATE) if (source / name).is_file()]
        if not inside:
            raise RecipeError(f"init: {source} holds neither {SAFETENSORS} nor {STATE}")
        source = inside[0]
    if source.suffix == ".safetensors":
        try:
            named = load_file(source)
        except (SafetensorError, OSError) as error:
            raise RecipeError(f"init: cannot read {source}: {error}") from error
    else:
        state = load_tensors(source)
        named = state.get("state_dict", state.get("model", state))
    return {_plain(name): value for name, value in named.items() if isinstance(value, torch.Tensor)}


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name
