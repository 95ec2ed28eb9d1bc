"""Trained preprocessors through ONNX Runtime: the path users run. Imports no torch."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.preprocessing.baselines import Downscale
from tamis.preprocessing.card import ONNX, Card
from tamis.preprocessing.neural import TILE, NeuralPreprocessor
from tamis.preprocessing.padding import Planes


class OnnxPreprocessor(NeuralPreprocessor):
    """The model of a directory: `model.onnx` and `card.yaml`.

    Args:
        directory: where the files are.
        threads: threads of one run; 0 lets ONNX Runtime take every core.
        name: as it stands in tables; by default the card's.
        tile: side of the largest piece filtered at once.
        keep_size: filter at the image's own size even if the card says a smaller one is better.

    Raises:
        RecipeError: the card does not validate.
        TamisError: a file is missing, is not the one the card describes, or does not load.
    """

    def __init__(
        self,
        directory: str | Path,
        threads: int = 0,
        name: str | None = None,
        tile: int = TILE,
        keep_size: bool = False,
    ) -> None:
        directory = Path(directory)
        self.card: Card = Card.load(directory)
        super().__init__(
            name or self.card.name, self.card.codecs, self.card.multiple, self.card.halo, tile
        )
        self.keep_size = keep_size
        self._session = _session(self.card.read(directory, ONNX), threads, self.card.name)

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """Filter several images; those of one size run together.

        Where the card says a scale for the codec, images are made smaller first.
        """
        self.check(codec, quality)
        scaled = [self._scaled(image, self.factor(codec, quality)) for image in images]
        return super().batch(scaled, codec, quality)

    def factor(self, codec: Codec, quality: int) -> float:
        """By what both sides are multiplied at `quality`: linear between those of the card."""
        factors = sorted(self.card.scale.get(codec.name, {}).items())
        if self.keep_size or not factors:
            return 1.0
        return float(np.interp(quality, [q for q, _ in factors], [f for _, f in factors]))

    def _scaled(self, image: Image, factor: float) -> Image:
        """`image` made smaller by `factor`, or as far as the card's smallest side allows."""
        factor = max(factor, self.card.smallest_side / min(image.shape[:2]))
        return Downscale(factor).apply(image) if factor < 1 else image

    def run(self, x: Planes, strengths: npt.NDArray[np.float32]) -> Planes:
        """Filter padded planes `(N, 3, H, W)`."""
        inputs = {"image": np.ascontiguousarray(x), "strength": strengths}
        result: Planes = self._session.run(["filtered"], inputs)[0]
        return result


def _session(model: bytes, threads: int, name: str) -> Any:
    """An inference session on the CPU over verified bytes."""
    # Imported when needed: an eighth of a second that commands without a network need not pay.
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen unrelated classes
        raise TamisError(f"ONNX Runtime cannot load model {name}: {error}") from error
