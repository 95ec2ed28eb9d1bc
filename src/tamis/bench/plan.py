"""What a sweep is to measure: photos, tasks, codecs with qualities, preprocessors, protocol."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, Literal

from PIL import Image as PillowImage

from tamis.codecs import Codec, get_codec
from tamis.data.annotations import Annotations, Label
from tamis.data.datasets import open_datasets
from tamis.data.sources import LabelledPhoto, Source
from tamis.errors import TamisError
from tamis.preprocessing.base import Preprocessor
from tamis.tasks.base import Task

Protocol = Literal["native", "model"]
"""`native`: a photo is coded at its own size, tasks resize what they get. `model`: it is first cut
to the input of the first task, coded at that size, and every task judges that file."""

UNIT_IMAGES = 16
UNIT_PIXELS = 2**25
"""A unit holds at most this many images and, past the first, pixels (32 megapixels)."""


@dataclass(frozen=True)
class Photo:
    """One photo: where it is, the hash of its file (its identity in a run), what is known of it."""

    source: Source
    id: str
    label: Label

    @property
    def name(self) -> str:
        """File name, as it stands in tables."""
        return self.source.name

    @property
    def label_name(self) -> str:
        """The label in a few characters: rows scored against another are not this photo's."""
        if isinstance(self.label, Annotations):
            return self.label.fingerprint
        return "" if self.label is None else str(self.label)


@dataclass(frozen=True)
class Unit:
    """Work done in one go: some photos at one (codec, quality, preprocessor), for some tasks."""

    photos: tuple[Photo, ...]
    codec: str
    quality: int
    preprocessor: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Every item of a sweep; build it with `Plan.of`.

    Attributes:
        chunks: the photos in groups that are coded together, of equal size where possible.
        tasks: by name.
        codecs: by spec.
        preprocessors: by spec.
        qualities: of each codec, from the lowest rate to the highest.
        protocol: see `Protocol`.
    """

    chunks: tuple[tuple[Photo, ...], ...]
    tasks: dict[str, str | Task]
    codecs: dict[str, str | Codec]
    preprocessors: dict[str, str | Preprocessor]
    qualities: dict[str, tuple[int, ...]]
    protocol: Protocol

    @classmethod
    def of(
        cls,
        photos: Path | str | Iterable[Path | str | LabelledPhoto],
        tasks: Sequence[str | Task],
        codecs: Sequence[str | Codec],
        preprocessors: Sequence[str | Preprocessor] = ("none",),
        protocol: Protocol = "native",
        qualities: Mapping[str, Sequence[int]] | None = None,
    ) -> "Plan":
        """A checked plan; photos with the same content count once.

        Args:
            photos: paths and datasets (`tamis.data.open_dataset`), or labelled photos.
            tasks: specs or tasks; in protocol `model` the first sets the size.
            codecs: specs or codecs.
            preprocessors: specs or preprocessors.
            protocol: `native` or `model`.
            qualities: for some codecs, by spec or name, instead of the codec's own ladder.

        Raises:
            TamisError: nothing to do, an unknown protocol, or a quality outside a codec's range.
        """
        if protocol not in ("native", "model"):
            raise TamisError(f"the protocol is 'native' or 'model', not '{protocol}'")
        named_codecs = {codec_name(codec): codec for codec in codecs}
        plan = cls(
            chunks=_chunks(_identified(open_datasets(photos))),
            tasks={_name(task): task for task in tasks},
            codecs=named_codecs,
            preprocessors={_name(preprocessor): preprocessor for preprocessor in preprocessors},
            qualities={
                name: _ladder(name, get_codec(codec), qualities or {})
                for name, codec in named_codecs.items()
            },
            protocol=protocol,
        )
        for what in ("chunks", "tasks", "codecs", "preprocessors"):
            if not getattr(plan, what):
                raise TamisError(
                    f"a sweep needs {'photos' if what == 'chunks' else what}; got none"
                )
        return plan

    @property
    def photos(self) -> list[Photo]:
        """All photos, in the order of coding."""
        return [photo for chunk in self.chunks for photo in chunk]

    @property
    def prepared_for(self) -> str:
        """The task whose input size is coded, in protocol `model`; empty in `native`."""
        return next(iter(self.tasks)) if self.protocol == "model" else ""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides which rows the plan gives, 16 hex digits."""
        return digest(
            sorted((photo.id, photo.label_name) for photo in self.photos),
            list(self.tasks),
            {codec: list(self.qualities[codec]) for codec in self.codecs},
            sorted(self.preprocessors),
            self.protocol,
        )

    def units(self) -> Iterator[Unit]:
        """All work, by photos: any stretch of a run holds every codec, so time is foreseen."""
        for chunk in self.chunks:
            for codec, preprocessor in product(self.codecs, self.preprocessors):
                for quality in self.qualities[codec]:
                    yield Unit(chunk, codec, quality, preprocessor, tuple(self.tasks))


def codec_name(codec: str | Codec) -> str:
    """The spec of a codec: its name and the settings that differ from the defaults."""
    if isinstance(codec, str):
        return codec
    settings = [
        f":{field.name}={str(getattr(codec, field.name)).lower()}"
        for field in fields(codec)  # type: ignore[arg-type]
        if getattr(codec, field.name) != field.default
    ]
    return codec.name + "".join(settings)


def digest(*parts: Any) -> str:
    """First 16 hex digits of the SHA-256 of `parts` as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _name(part: str | Task | Preprocessor) -> str:
    return part if isinstance(part, str) else part.name


def _identified(photos: Iterable[LabelledPhoto]) -> list[tuple[tuple[int, int], Photo]]:
    """Each different photo with the size in its header."""
    found: dict[str, tuple[tuple[int, int], Photo]] = {}
    for photo in photos:
        data = photo.source.read()
        identity = hashlib.sha256(data).hexdigest()[:16]
        if identity not in found:
            found[identity] = (_size(data), Photo(photo.source, identity, photo.label))
    return list(found.values())


def _ladder(name: str, codec: Codec, qualities: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    scale = type(codec).quality
    asked = qualities.get(name, qualities.get(codec.name, scale.ladder))
    checked = sorted({scale.check(codec.name, quality) for quality in asked})
    return tuple(checked if scale.ascending else reversed(checked))


def _chunks(photos: Sequence[tuple[tuple[int, int], Photo]]) -> tuple[tuple[Photo, ...], ...]:
    chunks: list[list[Photo]] = []
    pixels = 0
    for (width, height), photo in sorted(photos, key=lambda sized: (sized[0], sized[1].id)):
        area = width * height
        if not chunks or len(chunks[-1]) == UNIT_IMAGES or pixels + area > UNIT_PIXELS:
            chunks.append([])
            pixels = 0
        chunks[-1].append(photo)
        pixels += area
    return tuple(tuple(chunk) for chunk in chunks)


def _size(data: bytes) -> tuple[int, int]:
    """Size in the header; (0, 0) for what only `load_photo` can open. It only groups photos."""
    try:
        with PillowImage.open(io.BytesIO(data)) as picture:
            return picture.size
    except (OSError, ValueError):
        return (0, 0)
