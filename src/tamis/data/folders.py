"""Photos on disk: find them, read them as RGB arrays, label those that ImageNet named."""

import re
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from tamis.codecs.base import MAX_PIXELS, Image
from tamis.errors import CorruptFileError, LimitError, MissingPackageError, TamisError

PHOTO_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg"}
    | {".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
"""File name endings, in lower case, that `list_photos` takes for photos."""

_HEIF_SUFFIXES = frozenset({".heic", ".heif"})
_WORDNET_ID = re.compile(r"n\d{8}(?=$|[_.-])")


def list_photos(path: Path | str) -> list[Path]:
    """Every photo in `path`, a folder searched to its depths in sorted order, or a photo itself.

    Files and folders whose names begin with a dot are passed over: caches, `._` files of macOS.

    Raises:
        TamisError: `path` does not exist, or holds no file with a known suffix.
    """
    path = Path(path)
    if path.is_file():
        found = [path] if path.suffix.lower() in PHOTO_SUFFIXES else []
    elif path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in PHOTO_SUFFIXES
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.is_file()
        )
    else:
        raise TamisError(f"{path} does not exist")
    if not found:
        raise TamisError(f"no photos in {path}; known suffixes: {' '.join(sorted(PHOTO_SUFFIXES))}")
    return found


def load_photo(path: Path | str) -> Image:
    """Read a photo of any format Pillow opens as RGB `uint8 (H, W, 3)`, upright as EXIF says.

    Transparency is laid over white, 16-bit grey is scaled to 8 bits, of several frames the first
    is taken. Colour profiles are ignored, as the input pipelines of vision models ignore them.

    Raises:
        TamisError: no such file.
        CorruptFileError: not a photo, a photo cut short, or pixels without a fixed range (float).
        LimitError: more than `MAX_PIXELS` pixels, or more than Pillow agrees to open.
    """
    try:
        return _read(path, str(path))
    except FileNotFoundError as error:
        raise TamisError(f"{path} does not exist") from error


def decode_photo(data: bytes, name: str) -> Image:
    """Like `load_photo`, for the bytes of a file that is not on disk by itself.

    Args:
        data: the whole file.
        name: what errors call it; its suffix says whether it is HEIF.
    """
    return _read(BytesIO(data), name)


def _read(file: Path | str | BytesIO, name: str) -> Image:
    if Path(name).suffix.lower() in _HEIF_SUFFIXES:
        _open_heif_with_pillow()
    try:
        with PillowImage.open(file) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise LimitError(
                    f"{name}: {picture.width}x{picture.height} is over {MAX_PIXELS} pixels"
                )
            return _rgb(ImageOps.exif_transpose(picture))
    except FileNotFoundError:
        raise
    except PillowImage.DecompressionBombError as error:
        raise LimitError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise CorruptFileError(f"{name}: not a photo in a format known here") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError) as error:
        # Pillow's plugins raise all of these on damaged files, each in its own words.
        raise CorruptFileError(f"{name}: not a whole, readable photo: {error}") from error


def labels_of(paths: Iterable[Path | str]) -> list[int | None]:
    """ImageNet class index (0..999) of each photo, None where its name does not tell.

    The class is the WordNet id (`n01440764`) that begins the file's name or is the name of its
    folder; the index is the id's place among the 1,000 ids in sorted order.

    Raises:
        MissingPackageError: a name holds a WordNet id and timm, which carries the list, is missing.
    """
    ids = [_wordnet_id(Path(path)) for path in paths]
    index = _imagenet_index() if any(ids) else {}
    return [None if wordnet_id is None else index.get(wordnet_id) for wordnet_id in ids]


def _wordnet_id(path: Path) -> str | None:
    for name in (path.name, path.parent.name):
        if match := _WORDNET_ID.match(name):
            return match.group()
    return None


@cache
def _imagenet_index() -> dict[str, int]:
    try:
        from timm.data import ImageNetInfo
    except ImportError as error:
        raise MissingPackageError("ImageNet labels need timm: pip install 'tamis[lab]'") from error
    return {wordnet_id: i for i, wordnet_id in enumerate(sorted(ImageNetInfo().label_names()))}


@cache
def _open_heif_with_pillow() -> None:
    # Imported only when a HEIF photo turns up: it costs start-up time.
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _rgb(picture: PillowImage.Image) -> Image:
    if picture.mode == "F":
        raise ValueError("float pixels have no fixed range; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        # Pillow's own conversion clips 16-bit grey to white instead of scaling it.
        grey = np.clip(np.asarray(picture, dtype=np.int64), 0, 65535)
        return np.repeat(((grey + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = PillowImage.new("RGBA", over.size, "white")
        picture = PillowImage.alpha_composite(white, over)
    return np.array(picture.convert("RGB"))
