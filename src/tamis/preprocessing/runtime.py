"""Trained preprocessors through ONNX Runtime: the path users run. Imports no torch."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.preprocessing.baselines import Downscale, Lowpass
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

        Where the card says so for the codec, images are made smaller, or emptied of their highest
        frequencies, first.
        """
        self.check(codec, quality)
        prepared = [self._prepared(image, codec, quality) for image in images]
        return super().batch(prepared, codec, quality)

    def _prepared(self, image: Image, codec: Codec, quality: int) -> Image:
        """`image` scaled or emptied as the card says, as far as its smallest side allows."""
        least = self.card.smallest_side / min(image.shape[:2])
        scale = 1.0 if self.keep_size else max(least, _at(self.card.scale, codec, quality))
        if scale < 1:
            return Downscale(scale).apply(image)
        cutoff = max(least, _at(self.card.cutoff, codec, quality))
        return Lowpass(cutoff).apply(image) if cutoff < 1 else image

    def run(self, x: Planes, strengths: npt.NDArray[np.float32]) -> Planes:
        """Filter padded planes `(N, 3, H, W)`."""
        inputs = {"image": np.ascontiguousarray(x), "strength": strengths}
        result: Planes = self._session.run(["filtered"], inputs)[0]
        return result


def _at(table: Mapping[str, Mapping[int, float]], codec: Codec, quality: int) -> float:
    """The codec's value at `quality`, linear between those of the table; 1 without a table."""
    known = sorted(table.get(codec.name, {}).items())
    if not known:
        return 1.0
    return float(np.interp(quality, [q for q, _ in known], [value for _, value in known]))


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
