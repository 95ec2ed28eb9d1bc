"""Grad-CAM of a task: which parts of a picture its finding rests on.

Source: Selvaraju et al., Grad-CAM, ICCV 2017; computed by the library pytorch-grad-cam. The target
is the evidence of `tamis.analysis.evidence`, fixed on the original, so that maps of a compressed
picture show what still speaks for the original's finding.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tamis.analysis.evidence import Evidence, evidence_for
from tamis.analysis.layers import last_maps, named_layers
from tamis.codecs import Image
from tamis.errors import MissingPackageError, TamisError
from tamis.tasks import get_differentiable
from tamis.tasks.base import DifferentiableTask, Task
from tamis.tasks.pixels import to_tensor

FocusMap = npt.NDArray[np.float32]
"""Focus at every pixel of a picture, `(H, W)` in 0..1; 1 is the strongest place of this map."""


class Focus:
    """Grad-CAM maps of one task about what it finds on one original.

    Attributes:
        name: the task's spec.
        task: the task.
        layers: names of the feature maps looked at; several are averaged.
    """

    def __init__(self, spec: str | Task, original: Image) -> None:
        """Fix what is explained on `original`.

        Args:
            spec: of a differentiable task; `:layer=LAYER+LAYER` names feature maps instead of the
                last ones.
            original: `uint8 (H, W, 3)`.

        Raises:
            MissingPackageError: pytorch-grad-cam is not installed.
            UnknownNameError: no such task or layer.
            TamisError: a task without a gradient, or without a feature map.
        """
        _library()
        plain, layer = split_layer(spec) if isinstance(spec, str) else (spec, None)
        self.task = get_differentiable(plain)
        self.name = self.task.name
        net = _network(self.task)
        x = to_tensor([original])
        with torch.no_grad():
            evidence = evidence_for(self.task, self.task.outputs(x))
        self._model = _Explained(net, self.task, evidence)
        chosen = named_layers(net, layer) if layer else last_maps(net, lambda: self._model(x)[0])
        self.layers = tuple(chosen)
        self._modules = list(chosen.values())

    def map(self, image: Image) -> FocusMap:
        """The map of one picture, `(H, W)`."""
        x = to_tensor([image]).requires_grad_()
        with torch.enable_grad(), _library()(self._model, self._modules) as cam:
            maps = cam(x, [lambda evidence: evidence.sum()])
        if maps is None:
            raise TamisError(f"{self.name}: layer {'+'.join(self.layers)} has no gradient")
        found: FocusMap = np.nan_to_num(np.asarray(maps[0], np.float32))
        return found


def split_layer(spec: str) -> tuple[str, str | None]:
    """A spec without its `:layer=` part, and that part's value.

    >>> split_layer("classify:efficientnet_lite0:layer=blocks.5")
    ('classify:efficientnet_lite0', 'blocks.5')
    """
    plain, mark, rest = spec.partition(":layer=")
    layer, colon, options = rest.partition(":")
    return plain + colon + options, layer if mark else None


class _Explained(nn.Module):
    """A task's network, with the evidence `(N, 1)` as its output."""

    def __init__(self, net: nn.Module, task: DifferentiableTask, evidence: Evidence) -> None:
        super().__init__()
        self.net = net
        self._task, self._evidence = task, evidence

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The evidence in pictures `(N, 3, H, W)` in [0, 1]."""
        return self._evidence(self._task.outputs(x))[:, None]


def _library() -> Any:
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError as error:
        raise MissingPackageError(
            "explanations need pytorch-grad-cam: pip install 'tamis[explain]'"
        ) from error
    return GradCAM


def _network(task: DifferentiableTask) -> nn.Module:
    """The torch network behind a task: an attribute of it, or of the task it is made of."""
    for holder in (task, *vars(task).values()):
        for value in vars(holder).values() if hasattr(holder, "__dict__") else ():
            if isinstance(value, nn.Module) and not isinstance(holder, nn.Module):
                return value
    raise TamisError(f"{task.name} has no torch network to look into")
