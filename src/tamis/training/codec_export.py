"""A trained codec as a package, and what its real bitstreams measure."""

import shutil
from pathlib import Path

import numpy as np

from tamis.card import CARD
from tamis.codecs import Image, bpp
from tamis.learned import package
from tamis.learned.card import Card
from tamis.learned.compressor import Compressor
from tamis.learned.models import LearnedModel
from tamis.training.codec_recipe import Rung
from tamis.training.photos import Photos

CALIBRATION = 32
"""Training photos whose activations set the ranges of the integer networks."""

HELD_OUT = "held_out"
"""Where the card keeps what was measured on held-out photos."""


class Package:
    """The package of one rung, written into the rung's folder as often as one likes.

    Attributes:
        directory: the model directory, `<name>-<k>`.
    """

    def __init__(self, rung: Rung, folder: Path, photos: Photos, source: str | None) -> None:
        self.rung = rung
        self.directory = folder / rung.name
        self.photos = photos
        self.source = source

    def finished(self) -> bool:
        """Whether the directory holds the fully trained model, with its measurements."""
        if not (self.directory / CARD).is_file():
            return False
        card = Card.load(self.directory)
        return card.steps == self.rung.steps and HELD_OUT in card.metrics

    def write(self, model: LearnedModel, step: int, row: dict[str, float]) -> dict[str, float]:
        """Save `model` after `step` steps of this rung and code the held-out photos with it.

        Args:
            model: the model.
            step: steps of this rung.
            row: what was measured by the likelihoods, for the card.

        Returns:
            `stream_bpp` and `stream_psnr`, of the files and of the pictures decoded from them.

        Raises:
            TamisError: a weight that float16 cannot hold.
        """
        recipe, photos = self.rung.recipe, self.photos
        self._drop_older()
        package.save(
            self.directory,
            model,
            (photos.photo(name) for name in photos.training[:CALIBRATION]),
            lambda_=recipe.lambda_,
            metric=recipe.metric,
            steps=self.rung.steps - recipe.steps + step,
            recipe=Path(self.source).name if self.source else recipe.name,
            data=recipe.data.description
            or f"{len(photos.training)} photos of {', '.join(recipe.data.folders)}",
            licence=recipe.licence,
        )
        held_out = [photos.photo(name) for name in photos.held_out]
        measured = measure(package.load(self.directory), held_out)
        command = f"tamis train codec {self.source or recipe.name}"
        rounded = {name: round(value, 4) for name, value in (row | measured).items()}
        metrics = {"command": command, HELD_OUT: {"photos": len(held_out)} | rounded}
        package.annotate(self.directory, metrics)
        return measured

    def _drop_older(self) -> None:
        """Remove the same model under the number it had before the ladder grew."""
        for card in self.directory.parent.glob(f"{self.rung.recipe.name}-*/{CARD}"):
            if card.parent != self.directory:
                shutil.rmtree(card.parent)


def measure(compressor: Compressor, photos: list[Image]) -> dict[str, float]:
    """Mean bpp of the streams of `photos`, headers included, and mean PSNR in dB of the pictures.

    Returns:
        `stream_bpp` and `stream_psnr`.
    """
    streams = compressor.compress(photos)
    decoded = compressor.decompress(streams)
    rates = [bpp(stream, photo) for stream, photo in zip(streams, photos, strict=True)]
    errors = [
        np.square(ours.astype(np.float64) - photo).mean()
        for ours, photo in zip(decoded, photos, strict=True)
    ]
    psnrs = 10 * np.log10(255**2 / np.maximum(errors, 1e-6))
    return {"stream_bpp": float(np.mean(rates)), "stream_psnr": float(np.mean(psnrs))}
