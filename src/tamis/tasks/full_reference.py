"""Tasks that judge a picture beside its source: what is compared is pictures, not predictions."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tamis.codecs import Image
from tamis.tasks.base import Task


@runtime_checkable
class FullReferenceTask(Task, Protocol):
    """A task whose reference is the source picture itself, such as a person's eye.

    Nothing is predicted: `predict` gives rows without numbers, `(N, 0)`, and `score` refuses. The
    measures `psnr` and `ms_ssim`, where it names them, are the bench's own columns.
    """

    absent: Mapping[str, str]
    """Measures that cannot be had here, with the reason: one line that says what to do."""

    def compare(
        self, images: Sequence[Image], sources: Sequence[Image]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Every measure but the bench's own for pictures and sources of one size each, `(N,)`."""
        ...
