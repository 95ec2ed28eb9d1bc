"""Decoders of detectors: from what a network puts out to the objects it means, by name."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tamis.errors import TamisError, UnknownNameError
from tamis.tasks.detections import Detections
from tamis.tasks.fastestdet import fastestdet

Decoder = Callable[[Sequence[npt.NDArray[np.float32]]], Sequence[Detections]]
"""From a network's outputs, each `(N, ...)`, to the detections of each of the N pictures.

It does all that follows the network: activations, boxes from grids or anchors, scores, suppression
of doubles. Boxes are relative to the picture, which the network saw whole.
"""


@dataclass(frozen=True)
class KnownDecoder:
    """A decoder that comes with Tamis, and how its networks take pictures.

    Attributes:
        decode: the function.
        order: of the colour channels, `rgb` or `bgr`.
        confident: score from which a box is there, where precision and recall balance.
    """

    decode: Decoder
    order: str
    confident: float


DECODERS: Mapping[str, KnownDecoder] = {"fastestdet": KnownDecoder(fastestdet, "bgr", 0.5)}


def find_decoder(name: str) -> KnownDecoder:
    """The decoder `name` of `DECODERS`, or the function at a path, `package.module.function`.

    Modules are looked for in the working folder too. What is not said of a function's network is
    RGB and a score of 0.5.

    Raises:
        UnknownNameError: a single word that is not in `DECODERS`.
        TamisError: there is no such module or no such function in it.
    """
    if name in DECODERS:
        return DECODERS[name]
    module, dot, function = name.rpartition(".")
    if not dot:
        raise UnknownNameError("decoder", name, [*DECODERS, "package.module.function (yours)"])
    try:
        decode = getattr(_import(module), function)
    except ImportError as error:
        raise TamisError(f"decoder {name}: {module} cannot be imported: {error}") from error
    except AttributeError:
        raise TamisError(f"decoder {name}: {module} has no {function}") from None
    if not callable(decode):
        raise TamisError(f"decoder {name} is no function but {type(decode).__name__}")
    return KnownDecoder(decode, "rgb", 0.5)


def _import(module: str) -> object:
    # A console script, other than `python -m`, does not look where it was called.
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.pop(0)
