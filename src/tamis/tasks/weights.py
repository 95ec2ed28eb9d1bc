"""Published weights: where they are looked for, and the line that says where to put them.

A file is looked for in the folder that `TAMIS_WEIGHTS` names, then in the torch hub's cache; only
then is the network asked. Files are read as tensors alone: no pickled code runs.
"""

import inspect
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_builder, list_models
from torchvision.models import get_model_weights as known_weights

from tamis.errors import CorruptFileError, TamisError, UnknownNameError

VARIABLE = "TAMIS_WEIGHTS"
"""The environment variable that names a folder of weights."""


def find_weights(file_name: str) -> Path | None:
    """The file of that name in the folder of `TAMIS_WEIGHTS` or in the torch hub's cache.

    Raises:
        TamisError: `TAMIS_WEIGHTS` names something that is no folder.
    """
    folders = [_hub_cache()]
    if named := os.environ.get(VARIABLE):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise TamisError(f"{VARIABLE} names {folder}, which is not a folder")
        folders.insert(0, folder)
    return next((f / file_name for f in folders if (f / file_name).is_file()), None)


def read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a `.safetensors` or PyTorch file, on the processor.

    Raises:
        CorruptFileError: it is neither, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return tensors
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CorruptFileError(f"{path} is not a whole file of weights: {_line(error)}") from error


def load_or_explain(
    name: str, file_name: str, url: str, build: Callable[[Path | None], nn.Module]
) -> nn.Module:
    """`build(path)` with the file that `find_weights` finds; with None it may ask the network.

    Args:
        name: how the user calls the network.
        file_name: of its weights, as it stands in the folder of `TAMIS_WEIGHTS`.
        url: where the file is to be had.
        build: makes the network; any error of it becomes one line.

    Raises:
        TamisError: the file is not there and not to be had, or does not hold these weights; the
            line names it, its URL and the two places to put it.
    """
    path = find_weights(file_name)
    try:
        return build(path)
    except TamisError:
        raise
    except Exception as error:
        if path is not None:
            raise CorruptFileError(
                f"{path} does not hold the weights of {name}: {_line(error)}"
            ) from error
        raise TamisError(
            f"the weights of {name} are not here and not to be had ({_line(error)}); download "
            f"{url} elsewhere and put it, as {file_name}, into a folder that {VARIABLE} names or "
            f"into {_hub_cache()}"
        ) from error


def torchvision_network(
    name: str, module: ModuleType, random: bool = False, **options: Any
) -> tuple[nn.Module, WeightsEnum]:
    """A network of torchvision in evaluation mode, and the entry of its default weights.

    Args:
        name: as torchvision calls it, `swin_t`.
        module: the part of torchvision it is of, `torchvision.models.detection`.
        random: random weights, the same in every process, and nothing is looked for.
        options: for torchvision's builder.

    Raises:
        UnknownNameError: `module` has no network of that name.
        TamisError: see `load_or_explain`.
    """
    names = list_models(module)
    if name not in names:
        raise UnknownNameError("torchvision network", name, names)
    weights = known_weights(name).DEFAULT
    if random:
        if "weights_backbone" in inspect.signature(get_model_builder(name)).parameters:
            options["weights_backbone"] = None
        with same_random_weights():
            return _awake(get_model(name, weights=None, **options)).eval(), weights

    def build(path: Path | None) -> nn.Module:
        with _reading(path):
            network: nn.Module = get_model(name, weights=weights, progress=False, **options)
            return network

    network = load_or_explain(name, weights.url.rsplit("/", 1)[-1], weights.url, build)
    return network.eval(), weights


@contextmanager
def same_random_weights() -> Iterator[None]:
    """Random numbers from a fixed seed; torch's own generator goes on as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _awake(network: nn.Module) -> nn.Module:
    """`network` with random numbers where it begins with a layer of zeros, as ViT's last."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            nn.init.trunc_normal_(layer.weight, std=0.02)
    return network


@contextmanager
def _reading(path: Path | None) -> Iterator[None]:
    """torchvision's builders read `path` where they would download, and tensors alone."""

    # Built without weights, a detector has other batch norms: only the builder knows how its
    # published file is to be read, and it knows no way to be given one.
    def get_state_dict(weights: WeightsEnum, *args: Any, **options: Any) -> dict[str, Any]:
        if path is not None:
            return read_weights(path)
        return torch.hub.load_state_dict_from_url(
            weights.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )

    with mock.patch.object(WeightsEnum, "get_state_dict", get_state_dict):
        yield


def _hub_cache() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
