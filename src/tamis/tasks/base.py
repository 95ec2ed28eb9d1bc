"""The task contract: what the machine does with the pixels, as a score and, if it can, a loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from tamis.codecs import Image
from tamis.data.annotations import Label

Predictions = npt.NDArray[np.float32]
"""What a task says of N images, one row each: class logits `(N, K)`, or flattened outputs."""


@dataclass(frozen=True)
class Measure:
    """One number per image that a task reports.

    Attributes:
        higher_is_better: direction.
        smooth: whether it changes gradually enough for a BD-rate over a few hundred photos.
        label: how tables and axes name it.
        headline: whether the first table of a report shows it though it is not the task's first
            smooth measure.
    """

    higher_is_better: bool
    smooth: bool
    label: str
    headline: bool = False


@runtime_checkable
class Task(Protocol):
    """Scores images; the reference is the task's own prediction on the originals, or labels."""

    name: str
    """The spec that makes it, `classify:efficientnet_lite0`."""
    measures: Mapping[str, Measure]
    """What `score` returns, in the order of tables; the first smooth one is the default."""

    def prepare(self, image: Image) -> Image:
        """The image as the network sees it, for protocol `model`: resized and cropped, uint8."""
        ...

    def predict(self, images: Sequence[Image]) -> Predictions:
        """Predictions for images of any sizes; each is resized whole, without a crop."""
        ...

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure for every image, `(N,)`; NaN where it needs a label and has none."""
        ...


Record = npt.NDArray[np.float32]
"""All that one image contributes to the measures of a set, as a row of any length."""


@runtime_checkable
class PooledTask(Task, Protocol):
    """A task with measures of a set, such as mAP: an image gives a record, records give numbers.

    Pooling must be quick: intervals come from pooling hundreds of resampled sets.
    """

    pooled: Mapping[str, Measure]
    """What `pool` returns; names differ from those of `measures`."""

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """One record an image: what `pool` needs, against the reference and the label if any."""
        ...

    def pool(self, records: Sequence[Record]) -> Mapping[str, float]:
        """The measures of a set; a record may come several times. NaN where undefined."""
        ...


@runtime_checkable
class DifferentiableTask(Task, Protocol):
    """A task whose loss has a gradient to the pixels, so it can train or refine."""

    def outputs(self, x: torch.Tensor) -> Any:
        """Network outputs for `x`, `(N, 3, H, W)` in [0, 1], resized inside to the input size."""
        ...

    def loss(self, outputs: Any, reference: Any) -> torch.Tensor:
        """Distance of `outputs` to the outputs on the originals, `(N,)`, smooth, zero if equal."""
        ...


@runtime_checkable
class LabelledTask(Task, Protocol):
    """A task with a training loss of its own against labels."""

    def label_loss(self, x: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """Training loss on `x`, `(N, 3, H, W)` in [0, 1], with a gradient to it, `(N,)`.

        Labels are what `score` takes, one for each picture of `x`, and none of them None.
        """
        ...


@runtime_checkable
class FeatureTask(DifferentiableTask, Protocol):
    """A differentiable task that can look at layers inside its network alone."""

    def feature_loss(self, outputs: Any, reference: Any) -> torch.Tensor:
        """The part of `loss` that is due to the feature layers, `(N,)`.

        Raises:
            TamisError: the task was made without any.
        """
        ...
