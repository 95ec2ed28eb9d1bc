"""Transforms that train in bfloat16 and are evaluated in float32."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn


def train_in_bfloat16(transform: nn.Module) -> None:
    """Let `transform`, while in training mode, compute in bfloat16; its output stays float32.

    By hooks: the module's class and the names of its weights stay as they are.
    """
    low = _Bfloat16()
    transform.register_forward_pre_hook(low.enter)
    transform.register_forward_hook(low.leave)


class _Bfloat16:
    def __init__(self) -> None:
        self._within = ExitStack()

    def enter(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if module.training:
            self._within.enter_context(torch.autocast(inputs[0].device.type, torch.bfloat16))

    def leave(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        self._within.close()
        return output.float()
