"""Several tasks as one distance: how far their outputs move when a picture is coded."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tamis.codecs import Image
from tamis.errors import TamisError
from tamis.tasks import DifferentiableTask, FeatureTask, LabelledTask
from tamis.tasks.pixels import to_tensor
from tamis.training.recipe import TaskLoss

Labels = Sequence[Any]
"""One label a picture, as `Task.score` takes them."""


class Ensemble:
    """Weighted differentiable tasks: `D = sum_k w_k D_k`.

    Args:
        tasks: frozen tasks.
        weights: one positive weight each.
        precision: `bf16` runs the networks in bfloat16 where the processor has it; their outputs
            and the losses are float32 either way.
        losses: what the loss of each compares, see `TaskRecipe`; by default outputs.

    Raises:
        TamisError: a task without a loss of that kind.
    """

    def __init__(
        self,
        tasks: Sequence[DifferentiableTask],
        weights: Sequence[float],
        precision: Literal["fp32", "bf16"] = "fp32",
        losses: Sequence[TaskLoss] | None = None,
    ) -> None:
        self.tasks = list(tasks)
        self.losses = list(losses or ["outputs"] * len(self.tasks))
        for task, loss in zip(self.tasks, self.losses, strict=True):
            kind = {"labels": LabelledTask, "features": FeatureTask}.get(loss, DifferentiableTask)
            if not isinstance(task, kind):
                raise TamisError(f"{task.name} has no loss on {loss}; use loss: outputs")
        self.weights = torch.tensor(list(weights))
        self.precision = precision
        self.device = torch.device("cpu")

    @property
    def names(self) -> list[str]:
        """Spec of every task."""
        return [task.name for task in self.tasks]

    def to(self, device: torch.device) -> None:
        """Move what the tasks hold, networks and tensors, to `device`."""
        self.device = device
        for task in self.tasks:
            for name, part in vars(task).items():
                if isinstance(part, nn.Module | Tensor):
                    setattr(task, name, part.to(device))

    def distances(
        self,
        decoded: Tensor,
        original: Tensor,
        only: int | None = None,
        labels: Labels | None = None,
    ) -> Tensor:
        """Loss of every task on every picture, `(K, N)`; of task `only` alone, `(1, N)`.

        Args:
            decoded: `(N, 3, H, W)` in [0, 1]; the gradient flows to it.
            original: the same pictures before coding; no gradient.
            only: place of the one task asked.
            labels: of the pictures, for tasks that learn from them.
        """
        places = range(len(self.tasks)) if only is None else [only]
        return torch.stack([self._distance(place, decoded, original, labels) for place in places])

    def _distance(
        self, place: int, decoded: Tensor, original: Tensor, labels: Labels | None
    ) -> Tensor:
        task, loss = self.tasks[place], self.losses[place]
        if loss == "labels":
            assert isinstance(task, LabelledTask)
            if labels is None:
                raise TamisError(f"{task.name} learns from labels, but the photos have none")
            with self._arithmetic(decoded):
                return task.label_loss(_laid_out(decoded), labels).float()
        with torch.no_grad():
            reference = self._outputs(task, original)
        outputs = self._outputs(task, decoded)
        if loss == "features":
            assert isinstance(task, FeatureTask)
            return task.feature_loss(outputs, reference)
        return task.loss(outputs, reference)

    def total(self, distances: Tensor, only: int | None = None) -> Tensor:
        """Weighted sum over tasks: `(K, N)` to `(N,)`.

        Of task `only` alone, `(1, N)`, it is the sum's estimate: K times that task's share.
        """
        weights = self.weights.to(distances)
        if only is not None:
            weights = len(self.tasks) * weights[only : only + 1]
        return weights @ distances

    def _outputs(self, task: DifferentiableTask, x: Tensor) -> Any:
        with self._arithmetic(x):
            outputs = task.outputs(_laid_out(x))
        return tree_map(lambda part: part.float() if isinstance(part, Tensor) else part, outputs)

    def _arithmetic(self, x: Tensor) -> AbstractContextManager[Any]:
        low = self.precision == "bf16"
        return torch.autocast(x.device.type, torch.bfloat16) if low else nullcontext()

    @torch.no_grad()
    def measure(
        self,
        decoded: Sequence[Image],
        originals: Sequence[Image],
        batch: int = 16,
        labels: Labels | None = None,
    ) -> npt.NDArray[np.float64]:
        """Total distance of each decoded image to its original, all of one size, `(N,)`."""
        parts = []
        for start in range(0, len(originals), batch):
            part = slice(start, start + batch)
            x_hat, x = (to_tensor(images[part]).to(self.device) for images in (decoded, originals))
            known = None if labels is None else labels[part]
            parts.append(self.total(self.distances(x_hat, x, labels=known)))
        return np.asarray(torch.cat(parts).double().cpu().numpy())


def _laid_out(x: Tensor) -> Tensor:
    """Convolutions of frozen networks are faster in this layout; the values are the same."""
    return x.contiguous(memory_format=torch.channels_last)
