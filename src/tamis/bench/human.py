"""The task `human`: what a person would miss, by five measures against the source picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tamis.bench.fsim import fsim
from tamis.bench.lpips import Lpips
from tamis.bench.metrics import PIXEL_MEASURES, ssim
from tamis.codecs import Image
from tamis.data.annotations import Label
from tamis.errors import TamisError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions

MEASURES: dict[str, Measure] = {
    "psnr": replace(PIXEL_MEASURES["psnr"], headline=True),
    "ssim": Measure(True, True, "SSIM", headline=True),
    "ms_ssim": replace(PIXEL_MEASURES["ms_ssim"], headline=True),
    "fsim": Measure(True, True, "FSIM (colour)", headline=True),
    "lpips": Measure(False, True, "LPIPS (AlexNet)", headline=True),
}


class Human:
    """`human`: PSNR, SSIM, MS-SSIM, FSIM and LPIPS of decoded pictures against their sources.

    A `tamis.tasks.full_reference.FullReferenceTask`: it cannot train, and needs no labels.

    Args:
        random: LPIPS with random weights, for tests.

    Attributes:
        name: the spec.
        measures: those of `MEASURES` that can be had here.
        absent: why the others cannot, by measure: LPIPS without the weights of its network.
    """

    def __init__(self, random: bool = False) -> None:
        self.name = "human:weights=random" if random else "human"
        absent: dict[str, str] = {}
        self._lpips: Lpips | None = None
        try:
            self._lpips = Lpips(random)
        except TamisError as error:
            absent["lpips"] = str(error)
        self.absent: Mapping[str, str] = absent
        self.measures: Mapping[str, Measure] = {
            name: measure for name, measure in MEASURES.items() if name not in absent
        }

    @classmethod
    def from_spec(cls, spec: Spec) -> "Human":
        """`human[:weights=random]`."""
        if spec.value is not None or spec.options not in ({}, {"weights": "random"}):
            raise TamisError("the measures for people are written human or human:weights=random")
        return cls(random=bool(spec.options))

    def prepare(self, image: Image) -> Image:
        """The picture itself: people look at all of it."""
        return image

    def predict(self, images: Sequence[Image]) -> Predictions:
        """No numbers, `(N, 0)`: nothing is said of a picture alone."""
        return np.zeros((len(images), 0), np.float32)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Refuses: `compare` is what scores.

        Raises:
            TamisError: always.
        """
        raise TamisError("human judges pictures beside their sources, not predictions: use compare")

    def compare(
        self, images: Sequence[Image], sources: Sequence[Image]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """`ssim`, `fsim` and, where it can be had, `lpips` of every picture, `(N,)`."""
        functions = {"ssim": ssim, "fsim": fsim}
        if self._lpips is not None:
            functions["lpips"] = self._lpips
        pairs = list(zip(images, sources, strict=True))
        return {
            name: np.array([function(image, source) for image, source in pairs])
            for name, function in functions.items()
        }
