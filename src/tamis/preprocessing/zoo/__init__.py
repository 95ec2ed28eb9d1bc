"""The models this package ships: a directory each, of ONNX, safetensors and card. No torch."""

from pathlib import Path

from tamis.card import CARD
from tamis.errors import UnknownNameError
from tamis.preprocessing.card import Card
from tamis.preprocessing.runtime import OnnxPreprocessor

ZOO = Path(__file__).parent


def list_models(zoo: Path = ZOO) -> list[str]:
    """Names of the models of a zoo, in order."""
    return sorted(path.parent.name for path in zoo.glob(f"*/{CARD}"))


def list_cards(zoo: Path = ZOO) -> list[Card]:
    """The cards of the models of a zoo, in the order of `list_models`."""
    return [Card.load(zoo / name) for name in list_models(zoo)]


def load(name: str, threads: int = 0, keep_size: bool = False, zoo: Path = ZOO) -> OnnxPreprocessor:
    """The shipped model `name`, verified.

    Raises:
        UnknownNameError: no model of that name.
        TamisError: its files are not those its card describes.
    """
    known = list_models(zoo)
    if name not in known:
        raise UnknownNameError("model", name, known)
    return OnnxPreprocessor(zoo / name, threads=threads, keep_size=keep_size)
