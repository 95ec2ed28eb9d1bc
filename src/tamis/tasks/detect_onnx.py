"""Any ONNX detector: the network as it is, and a function that says what its outputs mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tamis.codecs import Image
from tamis.data.annotations import Label
from tamis.errors import TamisError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.coco_scoring import MEASURES, CocoScoring, pooled_measures
from tamis.tasks.decoders import Decoder, KnownDecoder, find_decoder
from tamis.tasks.detections import Detections, Packing
from tamis.tasks.onnx_network import OnnxNetwork, Outputs

_WRITTEN = (
    "an ONNX detector is written detect:PATH.onnx:decoder=NAME[:order=bgr][:range=255]"
    "[:confident=0.5]; NAME is fastestdet, or package.module.function of yours"
)


class DetectOnnx:
    """`detect:PATH.onnx:decoder=NAME`: an `OnnxNetwork` whose outputs are decoded and scored.

    A row of predictions is the packed detections, then the outputs: `distance` is the network's,
    the other measures and the mAPs of `pooled` are the detections'. The loss is the distance.

    Attributes:
        name: the spec.
        network: what it is differentiated through.
        scoring: of the detections.
    """

    measures: Mapping[str, Measure] = {**OnnxNetwork.measures, **MEASURES}
    pooled: Mapping[str, Measure] = pooled_measures()

    def __init__(
        self,
        path: Path | str,
        decoder: str | Decoder,
        order: str | None = None,
        top: float = 1.0,
        confident: float | None = None,
    ) -> None:
        """Load a network.

        Args:
            path: of the ONNX file.
            decoder: a name, a dotted path (see `find_decoder`) or a function.
            order: of the colour channels, `rgb` or `bgr`; None for the decoder's own.
            top: value of white, 1 or 255.
            confident: see `CocoScoring`; None for the decoder's own.
        """
        if isinstance(decoder, str):
            called, known = decoder, find_decoder(decoder)
        else:
            called, known = (
                getattr(decoder, "__name__", "function"),
                KnownDecoder(decoder, "rgb", 0.5),
            )
        self.name = f"detect:{path}:decoder={called}"
        self.network = OnnxNetwork(path, order or known.order, top)
        self.scoring = CocoScoring(
            Packing(), confident=known.confident if confident is None else confident
        )
        self._decode = known.decode

    @classmethod
    def from_spec(cls, spec: Spec) -> "DetectOnnx":
        """`detect:PATH.onnx:decoder=NAME[:order=rgb|bgr][:range=1|255][:confident=0.5]`."""
        options = spec.options
        unknown = set(options) - {"decoder", "order", "range", "confident"}
        if spec.value is None or "decoder" not in options or unknown:
            raise TamisError(_WRITTEN)
        if options.get("range", "1") not in ("1", "255"):
            raise TamisError(f"range is 1 or 255, not '{options['range']}'")
        return cls(
            spec.value,
            options["decoder"],
            options.get("order"),
            float(options.get("range", "1")),
            confidence(options),
        )

    def prepare(self, image: Image) -> Image:
        """The whole image at the network's input size."""
        return self.network.prepare(image)

    def predict(self, images: Sequence[Image]) -> Predictions:
        """Packed detections, then the network's outputs, `(N, K)`."""
        rows = self.network.predict(images)
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        packed = self.scoring.packing.pack_all(self.decode(rows), sizes)
        return np.concatenate([packed, rows], axis=1)

    def decode(self, rows: Predictions) -> list[Detections]:
        """The detections that the outputs in `rows`, as `OnnxNetwork.predict` gives them, mean.

        Raises:
            TamisError: the decoder fails, or does not return detections for each picture.
        """
        outputs = [output.numpy() for output in self.network.apart(rows)]
        try:
            found = list(self._decode(outputs))
        except Exception as error:
            shapes = ", ".join(str(output.shape) for output in outputs)
            reason = f"{type(error).__name__}: {error}"
            raise TamisError(f"{self.name} fails on outputs {shapes}: {reason}") from error
        if len(found) != len(rows) or not all(isinstance(d, Detections) for d in found):
            raise TamisError(
                f"{self.name} must return one Detections for each picture, {len(rows)} here"
            )
        return found

    def outputs(self, x: torch.Tensor) -> Outputs:
        """Each output of the network for `x`, `(N, 3, H, W)` in [0, 1]."""
        return self.network.outputs(x)

    def loss(self, outputs: Outputs, reference: Outputs) -> torch.Tensor:
        """Relative distance of the outputs, `(N,)`."""
        return self.network.loss(outputs, reference)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """`distance` of the outputs and the measures of `CocoScoring`, `(N,)`."""
        head = self.scoring.packing.width
        distance = self.network.score(predictions[:, head:], reference[:, head:])
        return distance | self.scoring.score(predictions, reference, labels)

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """See `CocoScoring.records`."""
        return self.scoring.records(predictions, reference, labels)

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """mAP and its parts, see `CocoScoring.pool`."""
        return self.scoring.pool(records)

    def describe(self, row: npt.NDArray[np.float32]) -> str:
        """What is surely in a picture, in words."""
        return self.scoring.describe(row)


def confidence(options: Mapping[str, str]) -> float | None:
    """The option `confident`, a score between 0 and 1.

    Raises:
        TamisError: it is something else.
    """
    if "confident" not in options:
        return None
    try:
        value = float(options["confident"])
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise TamisError(f"confident is a score between 0 and 1, not '{options['confident']}'")
    return value
