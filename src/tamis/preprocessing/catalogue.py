"""The rows of `tamis models`: what each network is, costs and covers. Works without torch."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from tamis.preprocessing.zoo import ZOO, list_cards


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: what `--preprocessor` takes.
        network: its architecture.
        parameters: number of weights.
        macs_per_pixel: multiply-accumulates per pixel.
        licence: SPDX identifier of the weights; of the code, for an untrained network.
        codecs: lowest and highest quality covered, by codec name; empty when untrained.
    """

    name: str
    network: str
    parameters: int
    macs_per_pixel: float
    licence: str
    codecs: dict[str, tuple[int, int]]


def model_rows(zoo: Path = ZOO) -> list[ModelRow]:
    """The shipped models, as their cards say; where torch is installed, the networks too."""
    rows = [
        ModelRow(
            card.name,
            card.network,
            card.parameters,
            card.macs_per_pixel,
            card.licence,
            dict(card.codecs),
        )
        for card in list_cards(zoo)
    ]
    return rows + (_untrained() if importlib.util.find_spec("torch") else [])


def _untrained() -> list[ModelRow]:
    """The networks of this package, measured."""
    network = importlib.import_module("tamis.preprocessing.architectures")
    complexity = importlib.import_module("tamis.preprocessing.complexity").complexity
    rows = []
    for name in network.list_networks():
        cost = complexity(network.create_network(name))
        rows.append(ModelRow(name, name, cost.parameters, cost.macs_per_pixel, "Apache-2.0", {}))
    return rows
