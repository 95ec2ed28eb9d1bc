"""Where the learned codecs are: those shipped here, and those in the folders of `TAMIS_MODELS`.

A zoo is a folder of model directories `<name>-<k>`: one codec `<name>`, whose qualities are
k = 1 (the lowest rate), 2 and so on. No torch.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tamis.card import CARD
from tamis.errors import TamisError
from tamis.learned.card import Card

ZOO = Path(__file__).parent
VARIABLE = "TAMIS_MODELS"


def zoos() -> list[Path]:
    """The shipped zoo, then the folders that `TAMIS_MODELS` lists."""
    listed = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [ZOO, *(Path(folder) for folder in listed if folder)]


def shipped_codecs() -> dict[str, list[Path]]:
    """Directories of every codec by name, in the order of quality; the first zoo with a name wins.

    The order of names is alphabetic, and the same as that of `tamis codecs`.
    """
    found: dict[str, list[Path]] = {}
    for zoo in reversed(zoos()):
        found |= _codecs(zoo)
    return dict(sorted(found.items()))


class Shipped(NamedTuple):
    """One model: the codec it belongs to, its quality there, and its card."""

    codec: str
    quality: int
    card: Card


def shipped_models() -> list[Shipped]:
    """Every model of every codec.

    Raises:
        RecipeError: a card that does not validate.
    """
    return [
        Shipped(codec, quality, read_card(directory))
        for codec, directories in shipped_codecs().items()
        for quality, directory in enumerate(directories, 1)
    ]


def find(fingerprint: bytes) -> Path:
    """Directory of the model whose fingerprint begins with these bytes.

    Raises:
        TamisError: there is none; says where to put it.
    """
    for zoo in zoos():
        for directory in _directories(zoo):
            if read_card(directory).fingerprint.startswith(fingerprint.hex()):
                return directory
    raise TamisError(
        f"no model here has the fingerprint {fingerprint.hex()} that this file was written with; "
        f"put its directory into a folder that {VARIABLE} lists"
    )


def read_card(directory: Path) -> Card:
    """The card in `directory`; read once as long as its file stays the same.

    Raises:
        RecipeError: it does not validate.
        TamisError: there is none.
    """
    path = directory / CARD
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise TamisError(f"there is no model card {path}") from error
    return _read_card(directory, changed)


@lru_cache(maxsize=256)
def _read_card(directory: Path, changed: int) -> Card:
    return Card.load(directory)


def _codecs(zoo: Path) -> dict[str, list[Path]]:
    ranks: dict[str, dict[int, Path]] = {}
    for directory in _directories(zoo):
        name, _, rank = directory.name.rpartition("-")
        if name and rank.isdecimal():
            ranks.setdefault(name, {})[int(rank)] = directory
    return {name: [ranked[rank] for rank in sorted(ranked)] for name, ranked in ranks.items()}


def _directories(zoo: Path) -> list[Path]:
    """Model directories in a zoo; a zoo that is a model directory itself holds just that one."""
    if (zoo / CARD).is_file():
        return [zoo]
    return sorted(path.parent for path in zoo.glob(f"*/{CARD}"))
