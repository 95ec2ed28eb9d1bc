"""What a network costs: parameters, and multiply-accumulates per pixel (torch)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tamis.preprocessing.network import Network


@dataclass(frozen=True)
class Complexity:
    """Parameters, and multiply-accumulates per pixel of the picture."""

    parameters: int
    macs_per_pixel: float


def complexity(network: Network, side: int = 256) -> Complexity:
    """Count what `network` does for one `side x side` picture.

    Convolutions, transposed convolutions and linear layers count; additions, activations and
    normalisation (folded into convolutions at run time) do not. Linear layers run once a
    picture, so their share depends, slightly, on `side`.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        total += _macs(module, inputs[0], output)

    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, layers)]
    training = network.training
    device = next(network.parameters()).device
    try:
        network.eval()
        with torch.inference_mode():
            network(torch.zeros(1, 3, side, side, device=device), torch.zeros(1, device=device))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return Complexity(sum(p.numel() for p in network.parameters()), total / side**2)


def _macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    """Multiply-accumulates of one call: every weight at every place it is applied."""
    if isinstance(layer, nn.ConvTranspose2d):  # scatters: one kernel per input value
        return x.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d | nn.Linear):  # gathers: one kernel per output value
        return y.numel() * layer.weight[0].numel()
    return 0
