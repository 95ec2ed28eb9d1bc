"""Learned models as codecs: `learned:joint`, `learned:./my-model`. Needs torch only when used."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Literal

from tamis.card import CARD
from tamis.codecs.base import Codec, Image, QualityScale
from tamis.errors import LimitError, MissingPackageError, TamisError, UnknownNameError
from tamis.learned import container
from tamis.learned.zoo import find, read_card, shipped_codecs

PREFIX = "learned"
SUFFIX = ".tms"
EXTRA = "tamis[lab]"
NEEDS = ("torch", "constriction", "safetensors")

MAX_PIXELS = 2**24
"""Larger images are refused (17 megapixels): the transforms work on the whole image at once.

They take about 300 bytes a pixel at n = 64, and in proportion to n.
"""


@dataclass(frozen=True)
class LearnedCodec(Codec):
    """What all learned codecs share; `learned_codec` makes a class of its own for each model.

    Attributes:
        directories: of the model at each quality, from 1 up.
        search: steps of the search for better latents (`tamis.learned.search`): fewer bits for the
            same error, an encoder some dozen times slower, the decoder as it is.
    """

    search: Literal[0, 10, 20, 50, 100] = 0

    suffix: ClassVar[str] = SUFFIX
    max_side: ClassVar[int] = 16384
    directories: ClassVar[tuple[Path, ...]]

    @classmethod
    def missing(cls) -> str | None:
        """`tamis[lab]`, where a package of it is not installed."""
        return missing()

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` begins a file of a learned codec, of whichever model."""
        return recognizes(head)

    def _encode(self, image: Image, quality: int) -> bytes:
        height, width = image.shape[:2]
        _check_pixels(height, width)
        directory = self.directories[quality - 1]
        stream: bytes = _load(directory).compress([image], self._effort(directory))[0]
        return stream

    def _effort(self, directory: Path) -> Any:
        """What the search needs to know of the model; None without search."""
        if not self.search:
            return None
        card = read_card(directory)
        if card.metric != "mse":
            raise TamisError(
                f"search is for models trained for mse; {card.name} is for {card.metric}"
            )
        return importlib.import_module("tamis.learned.search").Search(self.search, card.lambda_)

    def _decode(self, data: bytes) -> Image:
        packed = container.unpack(data)
        _check_pixels(packed.height, packed.width)
        image: Image = _load(self._directory_of(packed.fingerprint)).decompress([data])[0]
        return image

    def _directory_of(self, fingerprint: bytes) -> Path:
        """Any model's file is decoded, but this codec's own models need not be in a zoo."""
        for directory in self.directories:
            if read_card(directory).fingerprint.startswith(fingerprint.hex()):
                return directory
        return find(fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: the class is made when it is needed."""
        return _make, (self.name.removeprefix(f"{PREFIX}:"), self.search)


def learned_codec(model: str | None) -> type[LearnedCodec]:
    """The codec class of a model.

    Args:
        model: a name of `list_learned`, or the path of a model directory (with a `/` in it).

    Raises:
        UnknownNameError: no model of that name.
        TamisError: no model named, or no model directory at that path.
    """
    codecs = shipped_codecs()
    if model is None:
        known = ", ".join(codecs) or "none here"
        raise TamisError(f"write {PREFIX}:MODEL or {PREFIX}:./DIRECTORY; models: {known}")
    if "/" in model:
        directory = Path(model)
        if not (directory / CARD).is_file():
            raise TamisError(f"{model} is no model directory: it has no {CARD}")
        return _class(model, (directory.resolve(),))
    if model not in codecs:
        raise UnknownNameError("learned model", model, codecs)
    return _class(model, tuple(codecs[model]))


def list_learned() -> list[type[LearnedCodec]]:
    """The codecs of all models in the zoos, in the order of their names."""
    return [learned_codec(model) for model in shipped_codecs()]


def codec_of(data: bytes) -> type[LearnedCodec]:
    """The codec whose model wrote the file `data`.

    Raises:
        CorruptFileError: not a whole file of a learned codec.
        TamisError: no model here has the fingerprint in it.
    """
    directory = find(container.unpack(data).fingerprint)
    for model, directories in shipped_codecs().items():
        if directory in directories:
            return learned_codec(model)
    return learned_codec(f"{directory}/")


def recognizes(head: bytes) -> bool:
    """Whether `head` begins a file of a learned codec."""
    return head.startswith(container.MAGIC)


def missing() -> str | None:
    """The extra to install before learned codecs work, or None where they do; imports nothing."""
    try:
        for package in NEEDS:
            version(package)
    except PackageNotFoundError:
        return EXTRA
    return None


@lru_cache(maxsize=64)
def _class(model: str, paths: Sequence[Path]) -> type[LearnedCodec]:
    count = len(paths)

    @dataclass(frozen=True)
    class ModelCodec(LearnedCodec):
        name: ClassVar[str] = f"{PREFIX}:{model}"
        quality: ClassVar[QualityScale] = QualityScale(
            "quality", 1, count, True, tuple(range(1, count + 1)), (count + 1) // 2
        )
        directories: ClassVar[tuple[Path, ...]] = tuple(paths)

    ModelCodec.__doc__ = f"The learned codec {model}."
    return ModelCodec


def _make(model: str, search: Literal[0, 10, 20, 50, 100]) -> LearnedCodec:
    return learned_codec(model)(search)


def _load(directory: Path) -> Any:
    """The compressor of a model directory; loaded once as long as the model stays the same."""
    return _loaded(directory, read_card(directory).fingerprint)


@lru_cache(maxsize=8)
def _loaded(directory: Path, fingerprint: str) -> Any:
    try:
        package = importlib.import_module("tamis.learned.package")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "tamis":
            raise
        raise MissingPackageError(
            f"learned codecs need {error.name}: pip install '{EXTRA}'"
        ) from error
    return package.load(directory)


def _check_pixels(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise LimitError(
            f"learned codecs take images up to {MAX_PIXELS} pixels; this is {width}x{height}"
        )
