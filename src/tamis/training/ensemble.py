"""Several tasks as one distance: how far their outputs move when a picture is coded."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tamis.codecs import Image
from tamis.tasks import DifferentiableTask
from tamis.tasks.pixels import to_tensor


class Ensemble:
    """Weighted differentiable tasks: `D = sum_k w_k D_k`.

    Args:
        tasks: frozen tasks.
        weights: one positive weight each.
        precision: `bf16` runs the networks in bfloat16 where the processor has it; their outputs
            and the losses are float32 either way.
    """

    def __init__(
        self,
        tasks: Sequence[DifferentiableTask],
        weights: Sequence[float],
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        self.tasks = list(tasks)
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

    def distances(self, decoded: Tensor, original: Tensor, only: int | None = None) -> Tensor:
        """Loss of every task on every picture, `(K, N)`; of task `only` alone, `(1, N)`.

        Args:
            decoded: `(N, 3, H, W)` in [0, 1]; the gradient flows to it.
            original: the same pictures before coding; no gradient.
        """
        losses = []
        for task in self.tasks if only is None else [self.tasks[only]]:
            with torch.no_grad():
                reference = self._outputs(task, original)
            losses.append(task.loss(self._outputs(task, decoded), reference))
        return torch.stack(losses)

    def total(self, distances: Tensor, only: int | None = None) -> Tensor:
        """Weighted sum over tasks: `(K, N)` to `(N,)`.

        Of task `only` alone, `(1, N)`, it is the sum's estimate: K times that task's share.
        """
        weights = self.weights.to(distances)
        if only is not None:
            weights = len(self.tasks) * weights[only : only + 1]
        return weights @ distances

    def _outputs(self, task: DifferentiableTask, x: Tensor) -> Any:
        # Convolutions of frozen networks are faster in this layout; the values are the same.
        x = x.contiguous(memory_format=torch.channels_last)
        low = torch.autocast(x.device.type, torch.bfloat16)
        with low if self.precision == "bf16" else nullcontext():
            outputs = task.outputs(x)
        return tree_map(lambda part: part.float() if isinstance(part, Tensor) else part, outputs)

    @torch.no_grad()
    def measure(
        self, decoded: Sequence[Image], originals: Sequence[Image], batch: int = 16
    ) -> npt.NDArray[np.float64]:
        """Total distance of each decoded image to its original, all of one size, `(N,)`."""
        parts = []
        for start in range(0, len(originals), batch):
            part = slice(start, start + batch)
            x_hat, x = (to_tensor(images[part]).to(self.device) for images in (decoded, originals))
            parts.append(self.total(self.distances(x_hat, x)))
        return np.asarray(torch.cat(parts).double().cpu().numpy())
