"""One photo explained: what tasks look at, what a preprocessor removed, where the bits went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from tamis.analysis.bits import BitMap
from tamis.analysis.bits_hevc import bpg_bits, heic_bits
from tamis.analysis.bits_jpeg import jpeg_bits
from tamis.analysis.focus import compare
from tamis.analysis.gradcam import Focus, FocusMap
from tamis.analysis.removed import BANDS, Removed, removed
from tamis.bench.metrics import enlarge, psnr
from tamis.codecs import Codec, Image
from tamis.preprocessing import Preprocessor

ORIGINAL, COMPRESSED, FILTERED = "original", "compressed", "filtered and compressed"

BIT_MAPS = {"jpeg": jpeg_bits, "bpg": bpg_bits, "hevc": heic_bits}
"""Codecs whose files tell where their bits went."""


@dataclass(frozen=True)
class Version:
    """The photo as a decoder gives it.

    Attributes:
        name: `compressed` or `filtered and compressed`.
        image: decoded, at the photo's size.
        size: of the file, in bytes.
        bits: where they went; None for codecs not in `BIT_MAPS`.
    """

    name: str
    image: Image
    size: int
    bits: BitMap | None


@dataclass(frozen=True)
class Looks:
    """What one task looks at.

    Attributes:
        name: the task's spec.
        layers: feature maps that were looked at.
        maps: by version, the original first.
        says: what the task says of each version, empty where it has no words.
    """

    name: str
    layers: tuple[str, ...]
    maps: dict[str, FocusMap]
    says: dict[str, str]


@dataclass(frozen=True)
class Explanation:
    """All there is to show of a photo.

    Attributes:
        name: of the photo.
        original: `uint8 (H, W, 3)`.
        versions: compressed, and filtered and compressed.
        removed: by the preprocessor.
        looks: of each task.
    """

    name: str
    original: Image
    versions: tuple[Version, Version]
    removed: Removed
    looks: tuple[Looks, ...]

    @property
    def pixels(self) -> int:
        """Of the photo."""
        height, width = self.original.shape[:2]
        return int(height * width)

    def rows(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Every number: about what, of what, against what, which measure, its value."""
        for version in self.versions:
            yield "file", version.name, "", "bpp", 8 * version.size / self.pixels
            yield "file", version.name, ORIGINAL, "psnr", psnr(version.image, self.original)
            if version.bits is not None:
                yield "file", version.name, "", "block bits", version.bits.total
                yield "file", version.name, "", "overhead bits", version.bits.overhead
        yield "removed", "filtered", ORIGINAL, "mean |difference|", self.removed.absolute.mean()
        for band in BANDS:
            yield "removed", "filtered", ORIGINAL, f"share, {band}", self.removed.shares[band]
        for looks in self.looks:
            for name in (COMPRESSED, FILTERED):
                found = compare(looks.maps[name], looks.maps[ORIGINAL])
                yield "focus", f"{looks.name}, {name}", ORIGINAL, "iou", found.iou
                yield "focus", f"{looks.name}, {name}", ORIGINAL, "rank", found.rank
        for one, other in combinations(self.looks, 2):
            for name in (ORIGINAL, COMPRESSED, FILTERED):
                found = compare(one.maps[name], other.maps[name])
                yield "focus", f"{one.name}, {name}", f"{other.name}, {name}", "iou", found.iou
                yield "focus", f"{one.name}, {name}", f"{other.name}, {name}", "rank", found.rank


def explain(
    name: str,
    photo: Image,
    tasks: Sequence[str],
    codec: Codec,
    quality: int,
    preprocessor: Preprocessor,
) -> Explanation:
    """Code `photo` with and without `preprocessor` and look at both with every task.

    Raises:
        TamisError: a task without a gradient or a feature map, or a file that has no map.
    """
    filtered = preprocessor(photo, codec, quality)
    versions = (
        _code(COMPRESSED, photo, photo, codec, quality),
        _code(FILTERED, filtered, photo, codec, quality),
    )
    looks = tuple(_look(task, photo, versions) for task in tasks)
    return Explanation(name, photo, versions, removed(photo, filtered), looks)


def _code(name: str, image: Image, photo: Image, codec: Codec, quality: int) -> Version:
    data = codec.encode(image, quality)
    read = BIT_MAPS.get(codec.name)
    return Version(
        name, enlarge(codec.decode(data), photo), len(data), read(data) if read else None
    )


def _look(spec: str, photo: Image, versions: Sequence[Version]) -> Looks:
    focus = Focus(spec, photo)
    images = {ORIGINAL: photo, **{version.name: version.image for version in versions}}
    says = dict.fromkeys(images, "")
    if describe := getattr(focus.task, "describe", None):
        rows = focus.task.predict(list(images.values()))
        says = {name: describe(row) for name, row in zip(images, rows, strict=True)}
    return Looks(
        focus.name, focus.layers, {name: focus.map(image) for name, image in images.items()}, says
    )
