"""The formats people use today on the photos of `learned_kodak.py`: rate, PSNR and MS-SSIM."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console

from tamis.bench import Plan, run_sweep
from tamis.codecs import Image
from tamis.tasks.base import Measure, Predictions

QUALITIES = {
    "jpeg": (1, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 65, 80),
    "bpg": (47, 44, 41, 38, 35, 32, 29, 26, 23),
    "bpg:chroma=444": (47, 44, 41, 38, 35, 32, 29, 26, 23),
    "vvc": (47, 43, 39, 35, 31, 27),
}
"""Ladders from below 0.1 to above 1 bpp on Kodak; BPG also as papers run it, in 4:4:4."""


class PixelsOnly:
    """A task that says nothing of an image: a sweep for it measures rates and pixels alone."""

    name = "pixels-only"
    measures: ClassVar[dict[str, Measure]] = {}

    def prepare(self, image: Image) -> Image:
        return image

    def predict(self, images: Sequence[Image]) -> Predictions:
        return np.zeros((len(images), 1), np.float32)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[int | None] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        return {}


def plan_plain(photos: Sequence[Path], codecs: Sequence[str] = tuple(QUALITIES)) -> Plan:
    """Every photo with every codec at every quality of its ladder."""
    return Plan.of(photos, [PixelsOnly()], list(codecs), qualities=QUALITIES)


def measure_plain(plan: Plan, out: Path) -> pl.DataFrame:
    """One row per (image, codec, quality) with `bpp`, `psnr`, `ms_ssim`; resumes what was begun."""
    return run_sweep(plan, out / "plain", console=Console(stderr=True))
