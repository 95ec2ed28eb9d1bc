"""How much of what a network found on the original it still finds: Grad-CAM's target.

What the number is depends on what the task puts out:

- a classifier: the logit of the class that the original gets;
- torchvision's detectors: the sum of the probabilities (of classes, or of the proposals'
  objectness) that are over one half on the original;
- FastestDet: the sum of objectness over the cells whose score is over one half on the original;
- anything else: the projection of each output on how the original's deviates from its mean, 1 if
  they are the same; the mean over the outputs.

Where nothing on the original is over the threshold, the ten highest take its place.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from tamis.tasks.base import DifferentiableTask
from tamis.tasks.detect_onnx import DetectOnnx

Evidence = Callable[[Any], torch.Tensor]
"""From a task's outputs to a number for each image, `(N,)`, with a gradient."""

_LEAST = 10
_CERTAIN = 0.5


def evidence_for(task: DifferentiableTask, reference: Any) -> Evidence:
    """What to explain of `task`, given its outputs on one original (`N = 1`)."""
    if isinstance(reference, Mapping) and "logits" in reference:
        best = int(reference["logits"][0].argmax())
        return lambda outputs: outputs["logits"][:, best]
    if isinstance(reference, Mapping) and "heads" in reference:
        kept = _kept(reference["heads"][0].sigmoid())
        return lambda outputs: _sum(outputs["heads"][0].sigmoid(), kept)
    if isinstance(task, DetectOnnx) and task.name.endswith("decoder=fastestdet"):
        cells = reference[0]
        kept = _kept(cells[:, 0] ** 0.6 * cells[:, 5:].amax(dim=1) ** 0.4)
        return lambda outputs: _sum(outputs[0][:, 0], kept)
    towards = [part.detach() - part.detach().mean() for part in _tensors(reference)]

    def projection(outputs: Any) -> torch.Tensor:
        parts = zip(_tensors(outputs), towards, strict=True)
        return torch.stack([_project(part, way) for part, way in parts]).mean(dim=0)

    return projection


def _kept(scores: torch.Tensor) -> torch.Tensor:
    """A mask of what is found on the original, `(1, ...)`."""
    kept = scores > _CERTAIN
    if not kept.any():
        flat = scores.flatten()
        lowest = flat.topk(min(_LEAST, flat.numel())).values[-1]
        kept = scores >= lowest
    return kept.detach()


def _sum(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return (values * kept).flatten(1).sum(dim=1)


def _project(output: torch.Tensor, way: torch.Tensor) -> torch.Tensor:
    energy = way.square().sum().clamp_min(1e-12)
    return (output * way).flatten(1).sum(dim=1) / energy


def _tensors(outputs: Any) -> Iterator[torch.Tensor]:
    """Every tensor of nested outputs, in their order."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    else:
        for part in outputs.values() if isinstance(outputs, Mapping) else outputs:
            yield from _tensors(part)
