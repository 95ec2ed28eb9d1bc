"""Classification: scores against labels or against the network's own view of the originals."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from tamis.codecs import Image
from tamis.data.annotations import Label
from tamis.errors import TamisError, UnknownNameError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions
from tamis.tasks.classifiers import load_network, load_tuned
from tamis.tasks.pixels import batches, centre_crop, fit

MEASURES: dict[str, Measure] = {
    "kl": Measure(False, True, "KL divergence to the original's prediction (nats)"),
    "probability": Measure(True, True, "probability of the original's top class"),
    "agreement": Measure(True, False, "top-1 agreement with the original"),
    "top1": Measure(True, False, "top-1 accuracy"),
    "top5": Measure(True, False, "top-5 accuracy"),
}


def score_logits(
    predictions: Predictions,
    reference: Predictions,
    labels: Sequence[Label] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Every measure of `MEASURES` for logits `(N, K)` against the originals' logits `(N, K)`.

    `kl` is KL(reference || prediction). `top1` and `top5` are NaN without a label.
    """
    log_q, log_p = _log_softmax(predictions), _log_softmax(reference)
    rows = np.arange(len(log_p))
    best = log_p.argmax(axis=1)
    order = np.argsort(-log_q, axis=1, kind="stable")
    known = np.array([n if isinstance(n, int) else -1 for n in labels or [None] * len(rows)])
    missing = np.where(known < 0, np.nan, 0.0)
    return {
        "kl": np.maximum(0.0, (np.exp(log_p) * (log_p - log_q)).sum(axis=1)),
        "probability": np.exp(log_q[rows, best]),
        "agreement": (order[:, 0] == best).astype(np.float64),
        "top1": (order[:, 0] == known) + missing,
        "top5": (order[:, :5] == known[:, None]).any(axis=1) + missing,
    }


def _log_softmax(logits: Predictions) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide


class Classify:
    """A classification network by name (`classify:efficientnet_lite0`).

    Args:
        network: see `tamis.tasks.classifiers.load_network`.
        features: names of layers whose outputs the loss compares as well, each by the squared
            distance relative to the original's energy.
        size: side of the square the network is given, pixels; by default what it was trained with.
        tuned: weights that `tamis.training.finetune` wrote, instead of the published ones.
        random: random weights: for tests and for counting operations.

    Attributes:
        name: the spec, without `features`, which change the loss alone.
    """

    measures: Mapping[str, Measure] = MEASURES

    def __init__(
        self,
        network: str,
        features: Sequence[str] = (),
        *,
        size: int | None = None,
        tuned: str | Path | None = None,
        random: bool = False,
    ) -> None:
        self.name = f"classify:{network}"
        self.net, self.pipeline = load_network(network, random=random)
        self.size = size or self.pipeline.size
        self.name += f":size={size}" if size else ""
        if tuned is not None:
            load_tuned(self.net, tuned)
            self.name += f":tuned={tuned}"
        self.name += ":weights=random" if random else ""
        self.features = tuple(features)
        self._mean = torch.tensor(self.pipeline.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(self.pipeline.std).view(1, 3, 1, 1)
        self._seen: dict[str, torch.Tensor] = {}
        modules = dict(self.net.named_modules())
        for layer in self.features:
            if layer not in modules:
                raise UnknownNameError(f"layer of {network}", layer, modules)
            modules[layer].register_forward_hook(self._remember(layer))

    @classmethod
    def from_spec(cls, spec: Spec) -> "Classify":
        """`classify:NAME[:features=blocks.2+blocks.4][:size=128][:tuned=PATH|:weights=random]`."""
        options = spec.options
        size, weights = options.get("size", "0"), options.get("weights", "random")
        if (
            spec.value is None
            or set(options) - {"features", "size", "tuned", "weights"}
            or weights != "random"
            or not (size.isascii() and size.isdigit())
        ):
            raise TamisError(
                "a classifier is written "
                "classify:NAME[:features=LAYER+LAYER][:size=PIXELS][:tuned=PATH][:weights=random]"
            )
        return cls(
            spec.value,
            [x for x in options.get("features", "").split("+") if x],
            size=int(size) or None,
            tuned=options.get("tuned"),
            random="weights" in options,
        )

    def _remember(self, layer: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._seen[layer] = output

        return hook

    def prepare(self, image: Image) -> Image:
        """The network's own validation crop, `uint8 (size, size, 3)`."""
        return centre_crop(image, self.size, self.pipeline.crop_pct)

    @torch.inference_mode()
    def predict(self, images: Sequence[Image]) -> Predictions:
        """Logits `(N, K)`; every image is resized whole to the network's input."""
        logits = [self.outputs(x)["logits"].numpy() for x in batches(images, self.size, self.size)]
        return np.concatenate(logits).astype(np.float32)

    def outputs(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits `(N, K)` and the requested feature maps for `x`, `(N, 3, H, W)` in [0, 1]."""
        x = fit(x, self.size, self.size).contiguous(memory_format=torch.channels_last)
        logits = self.net((x - self._mean) / self._std)
        outputs = {"logits": logits.float(), **self._seen}
        self._seen = {}
        return outputs

    def loss(
        self, outputs: Mapping[str, torch.Tensor], reference: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """KL(reference || outputs) in nats plus the feature distances, `(N,)`."""
        log_p = F.log_softmax(reference["logits"], dim=1)
        log_q = F.log_softmax(outputs["logits"], dim=1)
        kl = (log_p.exp() * (log_p - log_q)).sum(dim=1)
        return kl + self.feature_loss(outputs, reference) if self.features else kl

    def feature_loss(
        self, outputs: Mapping[str, torch.Tensor], reference: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Sum over the feature layers of |change|^2 / |original's output|^2, `(N,)`.

        Raises:
            TamisError: the task was made without `features`.
        """
        if not self.features:
            raise TamisError(f"{self.name} has no features to compare; add :features=LAYER+LAYER")
        parts = []
        for layer in self.features:
            gap = (outputs[layer] - reference[layer]).float().square().flatten(1).mean(dim=1)
            parts.append(gap / reference[layer].float().square().flatten(1).mean(dim=1))
        return torch.stack(parts).sum(dim=0)

    def label_loss(self, x: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """Cross-entropy of `x`, `(N, 3, H, W)` in [0, 1], with class indices, in nats, `(N,)`.

        Raises:
            TamisError: a label that is not a class index of the network.
        """
        logits = self.outputs(x)["logits"]
        if bad := [k for k in labels if not isinstance(k, int) or not 0 <= k < logits.shape[1]]:
            raise TamisError(
                f"{self.name} learns from class indices 0 to {logits.shape[1] - 1}, not {bad[0]}"
            )
        wanted = torch.tensor(list(labels), device=logits.device)
        return F.cross_entropy(logits, wanted, reduction="none")

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """See `score_logits`."""
        return score_logits(predictions, reference, labels)

    def describe(self, row: npt.NDArray[np.float32]) -> str:
        """Top class of one row of logits in words, with its probability."""
        return describe_logits(row)


class ClassifyWith:
    """Any function from images to class scores, for scoring alone.

    >>> import numpy as np
    >>> task = ClassifyWith(lambda images: np.array([[i.mean(), 1.0] for i in images]), size=8)
    >>> task.predict([np.zeros((4, 4, 3), np.uint8)]).shape
    (1, 2)
    """

    measures: Mapping[str, Measure] = MEASURES

    def __init__(
        self,
        function: Callable[[Sequence[Image]], npt.ArrayLike],
        size: int = 224,
        name: str = "function",
    ) -> None:
        self.name = f"classify:{name}"
        self.size = size
        self._function = function

    def prepare(self, image: Image) -> Image:
        """Centre crop of 87.5 % of the shorter side, resized to `size`."""
        return centre_crop(image, self.size, 0.875)

    def predict(self, images: Sequence[Image]) -> Predictions:
        """The function's scores `(N, K)`, taken as logits."""
        scores = np.asarray(self._function(images), dtype=np.float32)
        if scores.ndim != 2 or len(scores) != len(images):
            raise TamisError(
                f"{self.name} must return one row of class scores per image, "
                f"({len(images)}, classes); it returned {scores.shape}"
            )
        return scores

    score = Classify.score


def describe_logits(row: npt.NDArray[np.float32]) -> str:
    """`"tench 93 %"` for ImageNet logits, `"class 7 93 %"` for other label sets."""
    p = np.exp(_log_softmax(row[None])[0])
    best = int(p.argmax())
    name = f"class {best}"
    if len(row) == 1000:
        from timm.data import ImageNetInfo

        name = ImageNetInfo().index_to_description(best).split(",")[0]
    return f"{name} {100 * p[best]:.0f} %"
