"""A learned codec as a directory: `model.safetensors`, all of it, and the card that vouches for it.

The weights are stored as float16. The integer networks and the tables are made from the rounded
weights, so what is stored is what runs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors
from torch import nn

from tamis import __version__
from tamis.card import CARD, SAFETENSORS, sha256
from tamis.codecs.base import Image
from tamis.errors import CorruptFileError, TamisError
from tamis.learned.card import Card
from tamis.learned.complexity import complexity
from tamis.learned.compressor import Compressor
from tamis.learned.models import LearnedModel, create_model
from tamis.mirror import write_whole

Tensors = dict[str, npt.NDArray[Any]]

WEIGHTS = "weights."
CODER = "coder."
DECODER = (CODER, WEIGHTS + "synthesis.")
"""Tensors with these beginnings are what the decoder needs."""


def save(
    directory: Path | str,
    model: LearnedModel,
    calibration: Iterable[Image],
    *,
    lambda_: float | None,
    metric: Literal["mse", "ms-ssim"] | None,
    steps: int | None,
    recipe: str,
    data: str,
    licence: str,
    metrics: Mapping[str, Any] | None = None,
) -> Card:
    """Write `model` to `directory` as a codec named like the directory, and return its card.

    Every file is written under a temporary name and renamed; the card comes last, so a directory
    with a card is whole.

    Args:
        directory: made if needed.
        model: in any mode, on any device; left as it is.
        calibration: images whose activations set the ranges of the integer networks.
        lambda_: weight of the distortion in training; this and the two below may be unknown.
        metric: the distortion it was trained for.
        steps: optimizer steps of its training, all stages together.
        recipe: name of the recipe that reproduces the weights.
        data: what they were trained on.
        licence: SPDX identifier.
        metrics: what was measured, and by which command.

    Raises:
        TamisError: a weight that float16 cannot hold, no image to calibrate with, or a directory
            that cannot be written.
    """
    directory = Path(directory)
    shape = (model.name, model.n, model.m, _context_channels(model))
    rounded = _model(*shape, _half(model))
    coder = Compressor.build(rounded, (_batch(image) for image in calibration)).to_tensors()
    tensors = _half(rounded)
    # safetensors writes the memory of a transposed array as it lies there.
    tensors |= {CODER + name: np.ascontiguousarray(value) for name, value in coder.items()}
    cost = complexity(rounded)
    described = _description(*shape)
    content = to_safetensors(tensors, {"model": described})
    card = Card(
        name=directory.resolve().name,
        recipe=recipe,
        data=data,
        metrics=dict(metrics or {}),
        licence=licence,
        tamis=__version__,
        parameters=cost.parameters,
        macs_per_pixel=round(cost.macs_per_pixel, 1),
        files={SAFETENSORS: sha256(content)},
        model=model.name,
        n=model.n,
        m=model.m,
        context_channels=shape[3],
        **{"lambda": lambda_},
        metric=metric,
        steps=steps,
        fingerprint=fingerprint(tensors, described),
    )
    write_whole(directory / SAFETENSORS, content)
    write_whole(directory / CARD, card.to_yaml())
    return card


def annotate(directory: Path | str, metrics: Mapping[str, Any]) -> Card:
    """Add `metrics`, measured after the model was saved, to the card in `directory`."""
    directory = Path(directory)
    card = Card.load(directory)
    card = card.model_copy(update={"metrics": card.metrics | dict(metrics)})
    write_whole(directory / CARD, card.to_yaml())
    return card


def load(directory: Path | str) -> Compressor:
    """The codec in `directory`, verified.

    Raises:
        RecipeError: the card does not validate.
        TamisError: a file is missing, or is not the one the card describes.
    """
    directory = Path(directory)
    card = Card.load(directory)
    try:
        tensors: Tensors = from_safetensors(card.read(directory, SAFETENSORS))
    except SafetensorError as error:
        raise CorruptFileError(f"{directory / SAFETENSORS} is no file of safetensors") from error
    shape = (card.model, card.n, card.m, card.context_channels)
    described = _description(*shape)
    if fingerprint(tensors, described) != card.fingerprint:
        raise TamisError(f"{directory} is not the model its card describes: fingerprints differ")
    model = _model(*shape, tensors)
    coder = {
        name.removeprefix(CODER): value for name, value in tensors.items() if name.startswith(CODER)
    }
    return Compressor.from_tensors(model, coder, bytes.fromhex(card.fingerprint)[:8])


def fingerprint(tensors: Tensors, described: str) -> str:
    """SHA-256 of everything the decoder needs, 64 hex digits.

    Hashed are the description of the model and then, in the order of their names, the name, type,
    shape and little-endian bytes of every tensor of `DECODER`; the encoder's weights are free.
    """
    digest = hashlib.sha256(described.encode())
    for name in sorted(name for name in tensors if name.startswith(DECODER)):
        value = tensors[name]
        little = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
        digest.update(f"\n{name} {little.dtype.str} {little.shape}\n".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()


def _description(name: str, n: int, m: int, context_channels: int | None) -> str:
    """What `create_model` takes, as one canonical line."""
    values = {"context_channels": context_channels, "m": m, "model": name, "n": n}
    return json.dumps(values, sort_keys=True)


def half_weights(model: nn.Module) -> Tensors:
    """The weights of `model` as float16, by name.

    Raises:
        TamisError: a weight that float16 cannot hold.
    """
    tensors: Tensors = {}
    for name, value in model.state_dict().items():
        half = value.detach().cpu().half()
        if not torch.isfinite(half).all():
            raise TamisError(f"{name} holds values that float16 cannot; the model cannot be saved")
        tensors[name] = half.contiguous().numpy()
    return tensors


def _half(model: LearnedModel) -> Tensors:
    """The model's weights as float16, under their names in the file."""
    return {WEIGHTS + name: value for name, value in half_weights(model).items()}


def _model(
    name: str, n: int, m: int, context_channels: int | None, tensors: Tensors
) -> LearnedModel:
    """The model with the weights among `tensors`, in evaluation mode."""
    model = create_model(name, n, m, context_channels)
    state = {
        key.removeprefix(WEIGHTS): torch.from_numpy(value.astype(np.float32))
        for key, value in tensors.items()
        if key.startswith(WEIGHTS)
    }
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CorruptFileError(
            f"the weights are not those of a {name} with n={n}, m={m}"
        ) from error
    return model.eval()


def _context_channels(model: LearnedModel) -> int | None:
    """What `create_model` takes: the context-coded channels of a hybrid model."""
    coded = getattr(model.latents, "context_channels", model.m)
    return coded if coded < model.m else None


def _batch(image: Image) -> torch.Tensor:
    """An image as `(1, 3, H, W)` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None] / 255
