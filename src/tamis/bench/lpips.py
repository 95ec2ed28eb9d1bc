"""LPIPS: how far apart two pictures are in the features of AlexNet, weighted as people judge.

```
picture -> AlexNet -> 5 ReLU outputs -> each place to length 1 \\
                                                                 (difference)^2 -> learned weight of
source  -> AlexNet -> 5 ReLU outputs -> each place to length 1 /  each channel -> mean -> sum
```
Source: Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric", CVPR 2018, version 0.1 ("lin"). The channel weights (6 kB) come with the package
torchmetrics; AlexNet's own (244 MB) are torchvision's.
"""

from itertools import pairwise
from pathlib import Path

import torch
import torchmetrics
from torch import nn
from torchvision.models import AlexNet_Weights, alexnet

from tamis.codecs import Image
from tamis.tasks.pixels import to_tensor
from tamis.tasks.weights import load_or_explain, read_weights, same_random_weights

ENDS = (0, 2, 5, 8, 10, 12)
"""The layers of AlexNet whose outputs are compared end at these places of its `features`."""
MIN_SIDE = 31
"""The second pooling of AlexNet must still hold one whole window."""
_CHANNEL_WEIGHTS = "functional/image/lpips_models/alex.pth"
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Lpips:
    """The distance `lpips(image, source)`; 0 if equal, about 0.5 where little is left.

    Args:
        random: AlexNet with random weights, the same in every process: for tests.

    Raises:
        TamisError: AlexNet's weights are not to be had; the line says where to put them.
    """

    def __init__(self, random: bool = False) -> None:
        layers = _random_layers() if random else _trained_layers()
        self._parts = [layers[start:end] for start, end in pairwise(ENDS)]
        path = Path(torchmetrics.__file__).parent / _CHANNEL_WEIGHTS
        self._weights = list(read_weights(path).values())

    @torch.inference_mode()
    def __call__(self, image: Image, source: Image) -> float:
        """LPIPS of two pictures `uint8 (H, W, 3)` of one size; NaN under 31 pixels."""
        if min(source.shape[:2]) < MIN_SIDE:
            return float("nan")
        x = (to_tensor([image, source]) - _MEAN) / _STD
        distance = torch.zeros((), dtype=torch.float64)
        for part, weight in zip(self._parts, self._weights, strict=True):
            x = part(x)
            unit = x / (x.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
            change = (unit[:1] - unit[1:]).square()
            distance += (change * weight).sum(dim=1).double().mean()
        return float(distance)


def _empty_layers() -> nn.Sequential:
    """AlexNet's convolutions without values; its linear layers, 24 times as large, play no part."""
    with torch.device("meta"):
        layers: nn.Sequential = alexnet(weights=None).features
    return layers.to_empty(device="cpu").requires_grad_(False)


def _random_layers() -> nn.Sequential:
    layers = _empty_layers()
    with same_random_weights():
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()
    return layers


def _trained_layers() -> nn.Sequential:
    url = AlexNet_Weights.DEFAULT.url

    def build(path: Path | None) -> nn.Module:
        state = (
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
            if path is None
            else read_weights(path)
        )
        layers = _empty_layers()
        prefix = "features."
        layers.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        return layers

    layers = load_or_explain("LPIPS (alexnet)", url.rsplit("/", 1)[-1], url, build)
    assert isinstance(layers, nn.Sequential)
    return layers
