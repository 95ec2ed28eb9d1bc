"""The last feature maps of a network, found by a probe: where Grad-CAM looks.

A feature map is the output of a module that runs once per picture and gives `(1, C, h, w)` with
at least 8 channels and 2x2 places. Two passes on one picture tell which are the last:

1. Every layer with weights cuts the gradient at its input. Maps that still get a gradient reach the
   evidence without weights between: they are outputs, not features, and drop out.
2. Every remaining map cuts the gradient. Those that still get one have no other map behind them.

For a classifier that is one map, for a detector with a feature pyramid one for each of its levels.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tamis.errors import TamisError, UnknownNameError

CHANNELS = 8
"""Fewest channels of a feature map: fewer are pictures or scores."""

Run = Callable[[], torch.Tensor]
"""Runs the network on one picture and returns its evidence, `(1,)`."""


def last_maps(net: nn.Module, run: Run) -> dict[str, nn.Module]:
    """Names and modules of the last feature maps of `net` on the way to the evidence.

    Raises:
        TamisError: there are none, as in networks of tokens.
    """
    maps = _maps(net, run)
    weighted = [m for m in net.modules() if any(True for _ in m.parameters(recurse=False))]
    outputs = _reached(maps, run, weighted, cut_maps=False)
    features = {name: module for name, module in maps.items() if name not in outputs}
    last = _reached(features, run, [], cut_maps=True)
    if not last:
        raise TamisError(
            f"no feature map (1, C, h, w) leads to the outputs of this {type(net).__name__}; "
            "name one by layer="
        )
    return {name: features[name] for name in last}


def named_layers(net: nn.Module, names: str) -> dict[str, nn.Module]:
    """The modules of `LAYER+LAYER`.

    Raises:
        UnknownNameError: the network has no such module.
    """
    known = dict(net.named_modules())
    for name in names.split("+"):
        if name not in known:
            raise UnknownNameError("layer", name, filter(None, known))
    return {name: known[name] for name in names.split("+")}


def _maps(net: nn.Module, run: Run) -> dict[str, nn.Module]:
    """Modules that give one feature map, in the order they run."""
    names = {module: name for name, module in net.named_modules() if name}
    calls: Counter[nn.Module] = Counter()
    found: dict[str, nn.Module] = {}

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        calls[module] += 1
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.is_floating_point():
            count, channels, height, width = output.shape
            if count == 1 and channels >= CHANNELS and min(height, width) > 1:
                found[names[module]] = module

    with _hooks(module.register_forward_hook(look) for module in names), torch.no_grad():
        run()
    return {name: module for name, module in found.items() if calls[module] == 1}


def _reached(
    maps: Mapping[str, nn.Module], run: Run, blocked: list[nn.Module], cut_maps: bool
) -> list[str]:
    """Names of the maps whose gradient the evidence has when `blocked` inputs or maps are cut."""
    probes: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            # Adding a zero shows the gradient, also where the output is later changed in place.
            probes[name] = torch.zeros_like(output, requires_grad=True)
            return (output.detach() if cut_maps else output) + probes[name]

        return hook

    def cut(module: nn.Module, inputs: Any) -> Any:
        return tuple(x.detach() if isinstance(x, torch.Tensor) else x for x in inputs)

    watching = [module.register_forward_hook(watch(name)) for name, module in maps.items()]
    cutting = [module.register_forward_pre_hook(cut) for module in blocked]
    with _hooks([*watching, *cutting]), torch.enable_grad():
        evidence = run().sum()
        if not evidence.requires_grad:
            return []
        gradients = torch.autograd.grad(evidence, list(probes.values()), allow_unused=True)
    return [n for n, g in zip(probes, gradients, strict=True) if g is not None and g.any()]


@contextmanager
def _hooks(handles: Any) -> Iterator[None]:
    handles = list(handles)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
