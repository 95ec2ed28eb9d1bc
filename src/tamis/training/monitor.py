"""What a running training tells: a log line each step, and validation against the plain codec."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from PIL import Image as PillowImage
from rich.console import Console

from tamis.codecs import Image, get_codec
from tamis.preprocessing.conditioning import strength
from tamis.tasks.pixels import to_images, to_tensor
from tamis.training.batches import Batch
from tamis.training.ensemble import Ensemble, Labels
from tamis.training.lagrangian import PlainCurve, code
from tamis.training.log import CsvLog
from tamis.training.objective import Terms
from tamis.training.recipe import Recipe

STEP_COLUMNS: tuple[str, ...] = (
    *("seconds", "codec", "quality", "learning_rate", "loss", "lambda", "bpp"),
    *("distance", "psnr", "plain_bpp", "plain_distance", "saved"),
)
VALIDATION_COLUMNS = ("codec", "quality", "bpp", "distance", "psnr", "plain_bpp", "saved")


class StepLog(L.Callback):
    """`steps.csv`: one row a step. `step` counts finished steps."""

    def __init__(self, folder: Path, tasks: Sequence[str], finished: int) -> None:
        self.csv = CsvLog(folder / "steps.csv", (*STEP_COLUMNS, *tasks), finished)
        self.since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Write the row of the step just made."""
        terms: Terms = module.terms  # type: ignore[assignment]
        now = time.monotonic()
        row = {"seconds": now - self.since, "codec": batch.spec, "quality": batch.quality}
        row |= {"learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"])}
        self.csv.write(batch.step + 1, row | terms.values)
        self.since = now


class Validation(L.Callback):
    """`validation.csv` and `samples/`: held-out photos, coded for real at every quality.

    `plain_bpp` is the rate at which the plain codec, measured on the same photos, has the same
    distance; `saved` the part of it saved. Both are empty where the distance lies outside the
    plain codec's measured curve.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        photos: Sequence[Image],
        ensemble: Ensemble,
        curves: dict[str, PlainCurve],
        finished: int,
        labels: Labels | None = None,
    ) -> None:
        self.folder = folder / "samples"
        self.labels = labels
        self.recipe = recipe
        self.photos = photos
        self.ensemble = ensemble
        self.curves = curves
        self.csv = CsvLog(folder / "validation.csv", VALIDATION_COLUMNS, finished)
        self.console = Console(stderr=True)
        self.rows: list[dict[str, object]] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Validate every `recipe.validation.every` steps and after the last."""
        step = batch.step + 1
        if step % self.recipe.validation.every == 0 or step == self.recipe.steps:
            self.run(module.network, step)  # type: ignore[arg-type]

    @torch.no_grad()
    def run(self, network: torch.nn.Module, step: int) -> None:
        """Measure `network` after `step` steps; the rows are kept in `rows`."""
        was_training = network.training
        network.eval()
        self.rows = [
            self._measure(network, codec.spec, quality, step)
            for codec in self.recipe.codecs
            for quality in codec.qualities
        ]
        network.train(was_training)
        for row in self.rows:
            self.csv.write(step, row)
        for codec in self.recipe.codecs:
            saved = [r.get("saved") for r in self.rows if r["codec"] == codec.spec]
            known = [value for value in saved if isinstance(value, float)]
            text = f"{100 * np.mean(known):+.1f} %" if known else "unknown, outside its curve"
            self.console.print(
                f"step {step}: {codec.spec} saves {text} of the plain rate at equal distance, "
                f"mean over {len(known)} of {len(saved)} qualities, {len(self.photos)} photos"
            )

    def _measure(
        self, network: torch.nn.Module, spec: str, quality: int, step: int
    ) -> dict[str, object]:
        codec = get_codec(spec)
        filtered: list[Image] = []
        device = next(network.parameters()).device
        for start in range(0, len(self.photos), self.recipe.batch):
            x = to_tensor(self.photos[start : start + self.recipe.batch]).to(device)
            told = torch.full((len(x),), strength(codec, quality), device=device)
            filtered += to_images(network(x, told).cpu())
        rates, decoded = code(codec, quality, filtered, self.recipe.threads)
        rate = float(rates.mean())
        distance = float(self.ensemble.measure(decoded, self.photos, labels=self.labels).mean())
        plain = self.curves[spec].rate_at(distance)
        self._draw(filtered, decoded, f"step-{step:07d}-{spec.replace(':', '-')}-{quality}.png")
        row = {"codec": spec, "quality": quality, "bpp": rate, "distance": distance}
        row |= {"psnr": _psnr(filtered, self.photos)}
        return row if np.isnan(plain) else row | {"plain_bpp": plain, "saved": 1 - rate / plain}

    def _draw(self, filtered: Sequence[Image], decoded: Sequence[Image], name: str) -> None:
        """Write the first photos, one a row: original | filtered | decoded."""
        count = self.recipe.validation.samples
        if not count:
            return
        self.folder.mkdir(exist_ok=True)
        columns = (self.photos, filtered, decoded)
        rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
        PillowImage.fromarray(np.concatenate(rows[:count])).save(self.folder / name)


def _psnr(filtered: Sequence[Image], photos: Sequence[Image]) -> float:
    """PSNR of the filtered photos in dB, from the mean of their squared errors."""
    pairs = zip(filtered, photos, strict=True)
    errors = [np.square(a.astype(np.float64) - b).mean() for a, b in pairs]
    return float(10 * np.log10(255**2 / max(np.mean(errors), 1e-10)))
