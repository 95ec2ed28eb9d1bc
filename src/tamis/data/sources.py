"""A photo of a dataset before it is read: where its file is, and what is known of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tamis.codecs.base import Image
from tamis.data.annotations import Label
from tamis.data.folders import decode_photo
from tamis.errors import TamisError


class Source(Protocol):
    """The file of a photo, wherever it is; small, hashable, and can be sent to another process."""

    @property
    def name(self) -> str:
        """File name, as it stands in tables."""
        ...

    @property
    def place(self) -> str:
        """Where the file is, in words; no two photos of a dataset share it."""
        ...

    def read(self) -> bytes:
        """The whole file.

        Raises:
            TamisError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class FileSource:
    """A photo that is a file of its own."""

    path: Path

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    @property
    def place(self) -> str:
        """Path."""
        return str(self.path)

    def read(self) -> bytes:
        """The file's bytes."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise TamisError(f"photo {self.path} cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo of a dataset and what is known of it."""

    source: Source
    label: Label = None

    def load(self) -> Image:
        """The picture, as `tamis.data.load_photo` reads it.

        Raises:
            TamisError: see `load_photo`.
        """
        return decode_photo(self.source.read(), self.source.place)
