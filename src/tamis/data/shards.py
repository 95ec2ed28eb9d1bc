"""WebDataset shards: tar files in which `KEY.jpg` and `KEY.cls` are a photo and its class.

Photos are read from their place in the shard, so any one of them can be had without the others, by
any process, in any order. Format: https://github.com/webdataset/webdataset.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tamis.data.folders import PHOTO_SUFFIXES
from tamis.data.sources import LabelledPhoto
from tamis.errors import CorruptFileError, TamisError


@dataclass(frozen=True)
class ShardSource:
    """A photo inside an uncompressed tar file."""

    shard: Path
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """File name inside the shard."""
        return Path(self.member).name

    @property
    def place(self) -> str:
        """Path of the shard, then of the photo in it."""
        return f"{self.shard}/{self.member}"

    def read(self) -> bytes:
        """The photo's bytes."""
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise TamisError(f"{self.shard} cannot be read: {error.strerror}") from error


def shard_photos(pattern: str, label: str = "cls") -> list[LabelledPhoto]:
    """Every photo of the shards that `pattern` names, in their order.

    Args:
        pattern: a path with `*` and `{000..003}` where shards differ.
        label: suffix of the members that hold a class as a number; a photo without has no label.

    Raises:
        TamisError: no such shard, or none with a photo.
        CorruptFileError: a shard that is not a whole, uncompressed tar file, or a class that is
            not a number.
    """
    shards = [shard for path in _braces(pattern) for shard in _matching(Path(path))]
    photos = [photo for shard in shards for photo in _photos(shard, label)]
    if not photos:
        raise TamisError(f"no photos in the shards {pattern}")
    return photos


def _braces(pattern: str) -> Iterator[str]:
    """`a-{08..10}` as `a-08`, `a-09`, `a-10`."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if match is None:
        yield pattern
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        middle = str(number).zfill(len(first))
        yield from _braces(pattern[: match.start()] + middle + pattern[match.end() :])


def _matching(path: Path) -> list[Path]:
    if path.exists() or "*" not in path.name:
        return [path]
    return sorted(path.parent.glob(path.name))


def _photos(shard: Path, label: str) -> list[LabelledPhoto]:
    sources: dict[str, ShardSource] = {}
    classes: dict[str, int] = {}
    try:
        # Mode "r:" takes no compression, in which a photo would have no place of its own.
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                key, suffix = _key(member.name)
                if not member.isfile():
                    continue
                if f".{suffix.lower()}" in PHOTO_SUFFIXES:
                    place = ShardSource(shard, member.name, member.offset_data, member.size)
                    sources[key] = place
                elif suffix == label:
                    file = tar.extractfile(member)
                    assert file is not None
                    classes[key] = int(file.read())
    except FileNotFoundError as error:
        raise TamisError(f"there is no shard {shard}") from error
    except (tarfile.TarError, OSError) as error:
        raise CorruptFileError(f"{shard} is not a whole, uncompressed tar file: {error}") from error
    except ValueError as error:
        raise CorruptFileError(f"{shard}: a .{label} is not the number of a class") from error
    return [LabelledPhoto(source, classes.get(key)) for key, source in sources.items()]


def _key(member: str) -> tuple[str, str]:
    """A member's key, up to the first dot of its file name, and what follows."""
    folder, slash, name = member.rpartition("/")
    key, _, suffix = name.partition(".")
    return folder + slash + key, suffix
