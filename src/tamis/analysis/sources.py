"""Where a latent y and its predicted mean come from: our models, CompressAI's, or any function."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from tamis.errors import TamisError, UnknownNameError
from tamis.learned.models import LearnedModel
from tamis.learned.package import load
from tamis.learned.zoo import shipped_codecs


class LatentSample(NamedTuple):
    """Latents of a batch of images, and what the model expected of them.

    Attributes:
        y: latent before quantization, `(N, M, H, W)`, H = W.
        mean: predicted mean, the shape of y; None where the model predicts none.
        scale: predicted standard deviation, the shape of y, or None.
        likelihoods: probability of every element of y_hat, the shape of y, or None.
        y_hat: quantized latent; None is y rounded to integers.
    """

    y: torch.Tensor
    mean: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    likelihoods: torch.Tensor | None = None
    y_hat: torch.Tensor | None = None


Source = Callable[[torch.Tensor], LatentSample]
"""Images `(N, 3, H, W)`, float32 in [0, 1], to their latents."""


@dataclass
class TamisLatents:
    """Latents of one of our models, in evaluation mode."""

    model: LearnedModel

    def __call__(self, images: torch.Tensor) -> LatentSample:
        """See `LatentSample`."""
        y = self.model.analysis(self.model.pad(images))
        latents = self.model.latents(y)
        return LatentSample(y, latents.mean, latents.scale, latents.likelihoods["y"], latents.y_hat)


class CompressaiModel(Protocol):
    """What is asked of a CompressAI model: its parts by their usual names, and `forward`."""

    g_a: nn.Module
    g_s: nn.Module

    def __call__(self, x: torch.Tensor) -> dict[str, Any]:
        """`{"x_hat": ..., "likelihoods": {"y": ..., ...}}`."""
        ...


@dataclass
class CompressaiLatents:
    """Latents of a CompressAI model, overheard while it codes images in evaluation mode.

    y is what `g_a` returns and y_hat what `g_s` is given; mean and scale are what the model itself
    passes to its `gaussian_conditional`. So this serves every model of that package that codes y
    in one piece: factorized, hyperprior, mean-scale, joint, and the attention models.
    """

    model: CompressaiModel

    def __call__(self, images: torch.Tensor) -> LatentSample:
        """See `LatentSample`."""
        heard: dict[str, torch.Tensor | None] = {}

        def from_analysis(module: nn.Module, arguments: Any, output: Any) -> None:
            heard["y"] = output

        def to_synthesis(module: nn.Module, arguments: Any, output: Any) -> None:
            heard["y_hat"] = arguments[0]

        def to_conditional(module: nn.Module, arguments: Any, named: Any, output: Any) -> None:
            heard["scale"] = arguments[1] if len(arguments) > 1 else named["scales"]
            heard["mean"] = arguments[2] if len(arguments) > 2 else named.get("means")

        hooks = [
            self.model.g_a.register_forward_hook(from_analysis),
            self.model.g_s.register_forward_hook(to_synthesis),
        ]
        conditional = getattr(self.model, "gaussian_conditional", None)
        if conditional is not None:
            hooks.append(conditional.register_forward_hook(to_conditional, with_kwargs=True))
        try:
            likelihoods = self.model(images)["likelihoods"]["y"]
        finally:
            for hook in hooks:
                hook.remove()
        y = heard["y"]
        assert y is not None
        return LatentSample(
            y, heard.get("mean"), heard.get("scale"), likelihoods, heard.get("y_hat")
        )


def open_source(model: object) -> Source:
    """A model, a model directory, the name of a shipped model or a function as a `Source`.

    Raises:
        TamisError: none of these.
    """
    if isinstance(model, str | Path):
        model = load(model_directory(model)).model
    if isinstance(model, LearnedModel):
        return TamisLatents(model.eval())
    if isinstance(model, nn.Module) and hasattr(model, "g_a") and hasattr(model, "g_s"):
        return CompressaiLatents(model.eval())  # type: ignore[arg-type]
    if callable(model) and not isinstance(model, nn.Module):
        return model
    raise TamisError(
        f"latents cannot be taken from a {type(model).__name__}; give a model of Tamis or of "
        "CompressAI, a model directory, or a function of images that returns a LatentSample"
    )


def model_directory(name: str | Path) -> Path:
    """A directory as it is; the name of a shipped model, such as `joint-2`, as its directory.

    A codec with a single model may be called by the codec's name.

    Raises:
        UnknownNameError: there is neither.
    """
    if Path(name).is_dir():
        return Path(name)
    known: dict[str, Path] = {}
    for codec, directories in shipped_codecs().items():
        known |= {directory.name: directory for directory in directories}
        if len(directories) == 1:
            known[codec] = directories[0]
    if str(name) not in known:
        raise UnknownNameError("model directory or shipped model", str(name), known)
    return known[str(name)]


def identity(source: Source) -> str:
    """What tells one source from another: a digest of the weights, or the name of a function.

    Two functions of one name are not told apart: give each its own folder.
    """
    model = getattr(source, "model", None)
    if not isinstance(model, nn.Module):
        return str(getattr(source, "__qualname__", type(source).__qualname__))
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
