"""`refine`: optimise the pixels of each photo on the encoder's side; no network, no training.

```
photo x0 ──────────────────────────────── task (in turn) ── reference
   │                                         │  same random shift, zoom, flip
   + delta ─ x ─ real codec ── x_hat ─ ──────┘                    │
       ↑          (values)   ─ bpp                                distance
       └── Adam ── gradient of  slope * bpp + sum lambda * distance + beta * MSE(x, x0)
                   through the codec's proxy
```

What makes the gain carry over to networks that took no part is that several networks take turns
and that classifiers see the photo under several moves. A step costs one forward and backward pass
of one network (`benchmarks/refine_speed.py` says what that buys beside a pass of all of them).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.proxies.coupling import RateSlope, RealCodec
from tamis.proxies.registry import get_proxy
from tamis.spec import Spec
from tamis.tasks import DifferentiableTask, get_differentiable
from tamis.tasks.pixels import to_images, to_tensor
from tamis.training.augmentation import Augmentation
from tamis.training.recipe import AugmentationRecipe

DEFAULT_MODELS = ("efficientnet_lite0", "efficientnet_lite1")

_MOVES = AugmentationRecipe(shift=0.02, scale=0.1, flip=True)


class Refine:
    """Preprocessor that refines photos for a set of differentiable tasks.

    Deterministic given `seed` and the number of torch threads. Photos of one size share their
    passes, the calibration of the rate and the draw of the moves, so a photo's result depends a
    little on the others of its batch and on its place among them.

    Attributes:
        name: the spec.
        steps: optimisation steps per photo.
        models: specs of the tasks; a bare name is a classifier, a path an ONNX network.
    """

    LEARNING_RATE = 1.0 / 255
    """At a quantization step of 30 grey levels, and in proportion to the step elsewhere: a
    coefficient must be able to cross it."""
    BETAS = (0.8, 0.99)
    FIDELITY = 150.0
    """Weight of the mean squared error to the photo, pixels in [0, 1], in bpp."""
    LEAK = 0.3
    """Share of the identity in the gradient of rounding (`tamis.proxies.transforms`)."""
    MOST = 16
    """Photos that share a pass."""

    def __init__(
        self, models: Sequence[str] = DEFAULT_MODELS, steps: int = 32, seed: int = 0
    ) -> None:
        if steps < 1:
            raise TamisError(f"refine takes at least one step, not {steps}")
        if not models:
            raise TamisError(f"refine needs models, for instance {'+'.join(DEFAULT_MODELS)}")
        self.models, self.steps, self.seed = tuple(models), steps, seed
        self.name = f"refine:steps={steps}"
        self.name += "" if self.models == DEFAULT_MODELS else f":models={'+'.join(self.models)}"
        self.name += f":seed={seed}" if seed else ""
        self._tasks: list[DifferentiableTask] = []

    @classmethod
    def from_spec(cls, spec: Spec) -> "Refine":
        """`refine[:steps=32][:models=efficientnet_lite0+detector.onnx][:seed=0]`."""
        unknown = set(spec.options) - {"steps", "models", "seed"}
        if spec.value is not None or unknown:
            raise TamisError(
                "refine is written refine[:steps=32][:models=NAME+NAME][:seed=0], "
                f"it does not take '{spec.value or min(unknown)}'"
            )
        numbers = {
            key: spec.options.get(key, given) for key, given in (("steps", "32"), ("seed", "0"))
        }
        for key, text in numbers.items():
            if not text.isdecimal():
                raise TamisError(f"refine {key} is a whole number, not '{text}'")
        models = spec.options.get("models", "+".join(DEFAULT_MODELS)).split("+")
        return cls([m for m in models if m], int(numbers["steps"]), int(numbers["seed"]))

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Refine one photo for `codec` at `quality`; the size stays."""
        return self.batch([image], codec, quality)[0]

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """Refine photos of any sizes; those of one size share their passes.

        Raises:
            TamisError: no proxy models this codec, or a model is not to be had.
        """
        if not self._tasks:
            self._tasks = [get_differentiable(model) for model in self.models]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        refined: dict[int, Image] = {}
        for indices in by_size.values():
            for start in range(0, len(indices), self.MOST):
                part = indices[start : start + self.MOST]
                made = self._refine([images[i] for i in part], codec, quality)
                refined.update(zip(part, made, strict=True))
        return [refined[i] for i in range(len(images))]

    def _refine(self, images: list[Image], codec: Codec, quality: int) -> list[Image]:
        proxy, real = get_proxy(codec, self.LEAK), RealCodec(codec.draft())
        slope = RateSlope(memory=0.8)
        original = to_tensor(images).contiguous()
        with torch.no_grad():
            decoded, plain_rate = real(original, quality)
            plain_predicted = proxy(original, quality)[1]
        step_size = codec.step(quality)
        assert step_size is not None  # else there would be no proxy
        scale = step_size / 30
        prices = self._prices(original, decoded, scale)
        rng = np.random.default_rng(self.seed)
        views = [_View(task, original, rng) for task in self._tasks]
        adam = _Adam(original, self.BETAS)
        x = original
        for step in range(self.steps):
            x = x.detach().requires_grad_()
            reconstruction, predicted = proxy(x, quality)
            if step:
                decoded, rate = real(x, quality)
                slope.update(predicted.detach() - plain_predicted, rate - plain_rate)
            coded = reconstruction + (decoded - reconstruction).detach()
            turn, which = divmod(step, len(self._tasks))
            distance = views[which].distance(coded, turn)
            loss = (
                slope.value * predicted
                + len(self._tasks) * prices[which] * distance
                + self.FIDELITY * scale**-1.75 * (x - original).square().flatten(1).mean(dim=1)
            )
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            decay = (1 + math.cos(math.pi * step / self.steps)) / 2
            stride = self.LEARNING_RATE * scale * decay
            x = (x.detach() - stride * adam.direction(gradient)).clamp(0, 1)
        return to_images(x)

    @torch.no_grad()
    def _prices(
        self, original: torch.Tensor, decoded: torch.Tensor, scale: float
    ) -> list[torch.Tensor]:
        """What one unit of each task's distance is worth, in bpp, `(N,)` each.

        For a classifier the slope -dR/dD of the plain codec's own curve in nats, which over JPEG
        and HEVC is one function of the quantization step. Other tasks have units of their own:
        theirs are brought to nats by the distance that plain coding causes on this photo.
        """
        price = 1.4 * scale**-1.75 / len(self._tasks)
        typical = scale / 3
        prices = []
        for task in self._tasks:
            if "kl" in task.measures:
                prices.append(torch.full((len(original),), price))
            else:
                plain = task.loss(task.outputs(decoded), task.outputs(original))
                prices.append(price * typical / plain.clamp_min(0.02))
        return prices


class _View:
    """One task's look at a batch: its outputs on the originals under a few random moves.

    A classifier's prediction should survive a move, and a gain that does not is written to one
    network's pixel grid. A detector's output is a map whose cells move along, so it is compared
    on the grid it will be used on. References are kept: a third of a pass saved each step.
    """

    MOVES = 3

    def __init__(
        self, task: DifferentiableTask, original: torch.Tensor, rng: np.random.Generator
    ) -> None:
        self._task, self._original = task, original
        self._moves: list[Callable[[torch.Tensor], torch.Tensor]] = [torch.nn.Identity()]
        if "kl" in task.measures:
            self._moves = [Augmentation.draw(_MOVES, len(original), rng) for _ in range(self.MOVES)]
        self._references: dict[int, Any] = {}

    def distance(self, coded: torch.Tensor, turn: int) -> torch.Tensor:
        """Distance of `coded` `(N, 3, H, W)` to the original under this turn's move, `(N,)`."""
        index = turn % len(self._moves)
        move = self._moves[index]
        if index not in self._references:
            with torch.no_grad():
                self._references[index] = self._task.outputs(move(self._original))
        return self._task.loss(self._task.outputs(move(coded)), self._references[index])


class _Adam:
    """Adam's direction for one tensor (Kingma and Ba 2015), without the optimiser around it."""

    def __init__(self, like: torch.Tensor, betas: tuple[float, float]) -> None:
        self._betas = betas
        self._mean, self._square = torch.zeros_like(like), torch.zeros_like(like)
        self._count = 0

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Bias-corrected mean over root mean square of the gradients so far."""
        first, second = self._betas
        self._count += 1
        self._mean.lerp_(gradient, 1 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        mean = self._mean / (1 - first**self._count)
        square = self._square / (1 - second**self._count)
        return mean / (square.sqrt() + 1e-12)
