"""A learned proxy as a directory: `model.safetensors` in float16, and its card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import save as to_safetensors
from safetensors.torch import load as from_safetensors

from tamis import __version__
from tamis.card import CARD, SAFETENSORS, ModelCard, sha256
from tamis.codecs import Codec, get_codec
from tamis.errors import CorruptFileError, TamisError
from tamis.learned.complexity import complexity
from tamis.learned.models import create_model
from tamis.learned.package import half_weights
from tamis.mirror import write_whole
from tamis.proxies.learned import ConditionedModel, LearnedProxy

ZOO = Path(__file__).parent / "zoo"


class ProxyCard(ModelCard):
    """`card.yaml` of a learned proxy.

    Attributes:
        codec: spec of the codec it was fitted to.
        qualities: lowest and highest quality it was fitted at.
        header_bits: bits of the codec's file that do not depend on the picture.
        calibration: factor on the rate by quality.
        model: the learned codec it is made of, a name of `tamis.learned.models.list_models()`.
        n: channels of its transforms and of z.
        m: channels of its latent y.
        steps: steps of its training.
    """

    codec: str
    qualities: tuple[int, int]
    header_bits: float
    calibration: dict[int, float]
    model: str
    n: int = Field(gt=0)
    m: int = Field(gt=0)
    steps: int


def save(
    directory: Path,
    proxy: LearnedProxy,
    codec: str,
    *,
    steps: int,
    recipe: str,
    data: str,
    licence: str,
    metrics: Mapping[str, Any] | None = None,
) -> ProxyCard:
    """Write `proxy` of the codec with spec `codec` to `directory`, and return its card.

    Raises:
        TamisError: a weight that float16 cannot hold.
    """
    network = proxy.network
    content = to_safetensors(half_weights(network))
    cost = complexity(network.model)
    card = ProxyCard(
        name=directory.resolve().name,
        recipe=recipe,
        data=data,
        metrics=dict(metrics or {}),
        licence=licence,
        tamis=__version__,
        parameters=sum(value.numel() for value in network.parameters()),
        macs_per_pixel=round(cost.macs_per_pixel, 1),
        files={SAFETENSORS: sha256(content)},
        codec=codec,
        qualities=proxy.qualities,
        header_bits=proxy.header_bits,
        calibration={q: round(float(value), 5) for q, value in proxy.calibration.items()},
        model=network.model.name,
        n=network.model.n,
        m=network.model.m,
        steps=steps,
    )
    write_whole(directory / SAFETENSORS, content)
    write_whole(directory / CARD, card.to_yaml())
    return card


def load(directory: Path | str, codec: Codec) -> LearnedProxy:
    """The proxy in `directory`, verified, frozen, for `codec`.

    Raises:
        RecipeError: the card does not validate.
        TamisError: a file is missing or is not the one the card describes, or the proxy is another
            codec's.
    """
    directory = Path(directory).expanduser()
    card = ProxyCard.load(directory)
    if get_codec(card.codec).name != codec.name:
        raise TamisError(f"the proxy in {directory} is one of {card.codec}, not of {codec.name}")
    network = ConditionedModel(create_model(card.model, card.n, card.m))
    try:
        tensors = from_safetensors(card.read(directory, SAFETENSORS))
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (SafetensorError, RuntimeError) as error:
        raise CorruptFileError(
            f"{directory / SAFETENSORS} does not hold the weights of the proxy on its card"
        ) from error
    network = network.to(memory_format=torch.channels_last)
    return LearnedProxy(codec, network, card.qualities, card.header_bits, card.calibration)


def shipped(codec: Codec) -> Path:
    """Directory of the proxy of `codec` that this package carries.

    Raises:
        TamisError: there is none; says which there are.
    """
    directory = ZOO / codec.name
    if not (directory / CARD).is_file():
        known = ", ".join(sorted(path.parent.name for path in ZOO.glob(f"*/{CARD}"))) or "none"
        raise TamisError(
            f"no learned proxy of {codec.name} is shipped, those are: {known}; train one with "
            "tamis train proxy and name it learned:DIRECTORY"
        )
    return directory


def header_bits(codec: Codec, quality: int) -> float:
    """Bits of a file that holds nothing: of a flat grey picture."""
    return 8.0 * len(codec.encode(np.full((64, 64, 3), 128, np.uint8), quality))
