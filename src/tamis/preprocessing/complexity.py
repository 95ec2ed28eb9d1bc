"""What a network costs: parameters, and multiply-accumulates per pixel (torch)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tamis.preprocessing.network import Network

Count = Callable[[nn.Module, Tensor, Tensor], int]
"""Multiply-accumulates of one call of a layer, from its input and its output."""


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
    device = next(network.parameters()).device
    x, s = torch.zeros(1, 3, side, side, device=device), torch.zeros(1, device=device)
    return measure(network, lambda: network(x, s), layer_macs, side**2)


def measure(network: nn.Module, run: Callable[[], object], count: Count, pixels: int) -> Complexity:
    """Run `network` in evaluation mode and add up what `count` says of each of its layers."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += count(module, inputs[0], output)

    handles = [module.register_forward_hook(add) for module in network.modules()]
    training = network.training
    try:
        network.eval()
        with torch.inference_mode():
            run()
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return Complexity(sum(p.numel() for p in network.parameters()), total / pixels)


def layer_macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    """Multiply-accumulates of one call: every weight at every place it is applied."""
    if isinstance(layer, nn.ConvTranspose2d):  # scatters: one kernel per input value
        return x.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d | nn.Linear):  # gathers: one kernel per output value
        return y.numel() * layer.weight[0].numel()
    return 0
