"""Checkpoints of CompressAI's models, loaded into ours: same layers, other names."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tamis.errors import CorruptFileError, TamisError, UnknownNameError
from tamis.learned.models import LearnedModel, create_model

MODELS = {
    "bmshj2018-factorized": "factorized",
    "bmshj2018-hyperprior": "hyperprior",
    "mbt2018-mean": "mean-scale",
    "mbt2018": "joint",
}
"""Our model for each of CompressAI's that loads."""

_PARTS = {
    "g_a": "analysis",
    "g_s": "synthesis",
    "h_a": "latents.hyper_analysis",
    "h_s": "latents.hyper_synthesis",
    "context_prediction": "latents.context",
    "entropy_parameters": "latents.parameters_network",
    "entropy_bottleneck": "latents.density",
}
# What CompressAI's modules store but compute from the rest, or never change.
_DERIVED = re.compile(
    r"(_reparam\..*|bound|_offset|_quantized_cdf|_cdf_length|scale_table|\.target|\.mask)$"
)
# The density's layers, as named by releases before and after 1.1.9, and since 1.2.7.
_LAYERS = re.compile(r"\._?(matri|bias|factor)(?:x|ces|es|s)?\.?(\d)$")
_PLURALS = {"matri": "matrices", "bias": "biases", "factor": "factors"}


def load_compressai(state_dict: Mapping[str, torch.Tensor], name: str) -> LearnedModel:
    """Our model with the weights of one of CompressAI's, in evaluation mode.

    Args:
        state_dict: of CompressAI's model of any release, `DataParallel` or not.
        name: one of `MODELS`, CompressAI's own name of the model.

    Raises:
        UnknownNameError: `name` is not one of them.
        TamisError: the weights belong to another model; names the first that does not fit.
    """
    if name not in MODELS:
        raise UnknownNameError("CompressAI model that loads", name, MODELS)
    weights = _renamed(state_dict, name)
    n, m = (_side(weights, f"analysis.{layer}.weight", name) for layer in (0, 6))
    model = create_model(MODELS[name], n, m)
    _check(weights, model.state_dict(), name)
    model.load_state_dict(weights)
    return model.eval()


def read_checkpoint(path: Path | str) -> dict[str, torch.Tensor]:
    """The state dict in a checkpoint of torch or safetensors; no code in the file is run.

    Raises:
        TamisError: there is no such file.
        CorruptFileError: it holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise TamisError(f"there is no checkpoint {path}")
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CorruptFileError(f"{path} is no checkpoint of torch or safetensors") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]  # what CompressAI's example of training saves
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise CorruptFileError(f"{path} holds no state dict")
    return content


def _renamed(state_dict: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The weights under our names."""
    weights: dict[str, torch.Tensor] = {}
    for key, value in state_dict.items():
        part, _, rest = key.removeprefix("module.").partition(".")
        if _DERIVED.search(key):
            continue
        if part not in _PARTS:
            raise TamisError(f"not a checkpoint of {name}: it has {key}")
        if rest == "quantiles":
            weights[f"{_PARTS[part]}.medians"] = value[:, 0, 1]
        else:
            weights[_LAYERS.sub(_plural, f"{_PARTS[part]}.{rest}")] = value
    context = weights.get("latents.context.weight")
    if context is not None:
        # Theirs is square and masked; ours ends with the row of the position.
        weights["latents.context.weight"] = context[:, :, : context.shape[2] // 2 + 1]
    return weights


def _plural(match: re.Match[str]) -> str:
    return f".{_PLURALS[match[1]]}.{match[2]}"


def _side(weights: Mapping[str, torch.Tensor], key: str, name: str) -> int:
    """Output channels of a convolution."""
    if key not in weights or weights[key].ndim != 4:
        raise TamisError(f"not a checkpoint of {name}: it lacks the {key} of ours")
    return weights[key].shape[0]


def _check(
    weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str
) -> None:
    for key in (*weights, *expected):
        if key not in expected or key not in weights:
            verb = "has" if key not in expected else "lacks"
            raise TamisError(f"not a checkpoint of {name}: it {verb} the {key} of ours")
        if weights[key].shape != expected[key].shape:
            theirs, ours = tuple(weights[key].shape), tuple(expected[key].shape)
            raise TamisError(f"not a checkpoint of {name}: {key} is {theirs}, expected {ours}")
