"""A learned proxy beside its codec on held-out photos: rates, pictures, and the rate's factors."""

import copy
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from rich.console import Console

from tamis.proxies.learned import ConditionedModel, LearnedProxy
from tamis.training.codec_monitor import decibels
from tamis.training.log import CsvLog
from tamis.training.photos import Photos, central
from tamis.training.proxy_examples import Example, Examples

VALIDATION = "validation.csv"
COLUMNS = ("quality", "bpp", "proxy_bpp", "correlation", "psnr", "proxy_psnr", "codec_psnr")
SIDE = 256


class ProxyValidation(L.Callback):
    """`validation.csv`: a row for every quality of the calibration.

    `bpp` and `psnr` are the codec's, `proxy_bpp` and `proxy_psnr` the proxy's own against the
    photos, `codec_psnr` the proxy's against the codec's pictures; `correlation` is that of both
    rates over photos. Rates are those of whole files; nothing is calibrated.

    Attributes:
        rows: the last validation's.
    """

    def __init__(self, folder: Path, examples: Examples, photos: Photos, finished: int) -> None:
        self.recipe = examples.recipe
        self.examples = examples
        self.csv = CsvLog(folder / VALIDATION, COLUMNS, finished)
        self.photos = [central(photos.photo(name), SIDE) for name in photos.held_out]
        self.console = Console(stderr=True, highlight=False)
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Validate every `recipe.validation.every` steps and after the last."""
        step = trainer.global_step
        if step % self.recipe.validation.every == 0 or step == self.recipe.steps:
            self.run(module.network, step)  # type: ignore[arg-type]

    def run(self, network: ConditionedModel, step: int) -> None:
        """Measure a copy of `network` after `step` steps; the rows are kept in `rows`."""
        proxy = self.proxy(network)
        self.rows = [self._measure(proxy, quality) for quality in self.recipe.calibration]
        for row in self.rows:
            self.csv.write(step, row)
        off = np.mean([abs(np.log(row["proxy_bpp"] / row["bpp"])) for row in self.rows])
        near = np.mean([row["codec_psnr"] for row in self.rows])
        linked = np.mean([row["correlation"] for row in self.rows])
        self.console.print(
            f"step {step}: mean rate off by {100 * off:.1f} %, correlation {linked:.4f}, "
            f"{near:.2f} dB to the codec's pictures"
        )

    def proxy(self, network: ConditionedModel, calibrated: bool = False) -> LearnedProxy:
        """A copy of `network` as a proxy, on request with the factors that `rows` ask for."""
        measured = copy.deepcopy(network)
        measured.model.latents.density.update_medians()
        factors = {int(row["quality"]): row["bpp"] / row["proxy_bpp"] for row in self.rows}
        return LearnedProxy(
            self.examples.codec,
            measured,
            self.recipe.qualities,
            self.examples.header_bits,
            factors if calibrated else None,
        )

    @torch.no_grad()
    def _measure(self, proxy: LearnedProxy, quality: int) -> dict[str, float]:
        device = next(proxy.parameters()).device
        held_out = self._coded(quality)
        parts = [proxy(x.to(device), quality) for x in torch.split(held_out.x, 4)]
        x_hat, rate = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        real = held_out.bpp + self.examples.header_bits / SIDE**2
        return {
            "quality": quality,
            "bpp": float(real.mean()),
            "proxy_bpp": float(rate.mean()),
            "correlation": _correlation(real, rate),
            "psnr": _psnr(held_out.coded, held_out.x),
            "proxy_psnr": _psnr(x_hat, held_out.x),
            "codec_psnr": _psnr(x_hat, held_out.coded),
        }

    def _coded(self, quality: int) -> Example:
        path = self.examples.folder / f"held-out-{quality}.npz"
        return self.examples.coded(self.photos, [quality] * len(self.photos), path)


def _psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean over pictures, dB."""
    pairs = zip(a, b, strict=True)
    return float(np.mean([decibels(float((p - q).square().mean())) for p, q in pairs]))


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """NaN where one is constant, as the rate of an untrained model may be."""
    if float(a.std()) == 0 or float(b.std()) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
