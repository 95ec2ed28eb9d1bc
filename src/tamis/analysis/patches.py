"""Random square patches of a folder of photos: patch i depends on the seed and on i only.

Patches come in blocks, and the photos are dealt into groups: block b draws from group
`b % groups`. So all patches of a photo lie in one group, and the spread between groups, which share
no photo, is an honest measure of the error of whatever is computed from all of them
(`tamis.analysis.jackknife`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.data import load_photo
from tamis.errors import TamisError

Small = Literal["reflect", "resize"]
"""What is done with photos smaller than a patch: mirrored at their edges, or enlarged."""

BLOCK = 8
GROUPS = 32
STEP = 64
"""Sides of patches are multiples of it, so that no model has to pad."""


class Patch(NamedTuple):
    """A square cut out of a photo.

    Attributes:
        image: `uint8 (size, size, 3)`.
        photo: place of its photo in the list.
        random: the generator it was drawn with, for what is drawn inside of it.
    """

    image: Image
    photo: int
    random: np.random.Generator


@dataclass(frozen=True)
class Patches:
    """`count` random patches of `size` pixels a side.

    Attributes:
        photos: files, in a fixed order.
        count: how many.
        size: side in pixels, a multiple of 64.
        small: what is done with photos smaller than that.
        seed: another seed, other patches.
    """

    photos: tuple[Path, ...]
    count: int = 5000
    size: int = 512
    small: Small = "reflect"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.photos:
            raise TamisError("there are no photos to take patches from")
        if self.count < 1:
            raise TamisError(f"{self.count} patches; expected at least 1")
        if self.size < 2 * STEP or self.size % STEP:
            raise TamisError(
                f"a patch of {self.size} pixels; expected a multiple of {STEP}, at least {2 * STEP}"
            )

    @property
    def groups(self) -> int:
        """Groups that the photos are dealt into."""
        return min(GROUPS, len(self.photos))

    @property
    def blocks(self) -> int:
        """Blocks of `BLOCK` patches, the last one possibly smaller."""
        return -(-self.count // BLOCK)

    def block(self, number: int) -> list[Patch]:
        """The patches of one block.

        Raises:
            CorruptFileError: a photo that cannot be read.
        """
        order = np.random.default_rng(self.seed).permutation(len(self.photos))
        choice = order[number % self.groups :: self.groups]
        first = number * BLOCK
        return [self._patch(i, choice) for i in range(first, min(first + BLOCK, self.count))]

    def _patch(self, i: int, choice: npt.NDArray[np.int64]) -> Patch:
        random = np.random.default_rng((self.seed, i))
        photo = int(random.choice(choice))
        image = at_least(load_photo(self.photos[photo]), self.size, self.small)
        top, left = (random.integers(side - self.size + 1) for side in image.shape[:2])
        cut = image[top : top + self.size, left : left + self.size]
        return Patch(np.ascontiguousarray(cut), photo, random)


def at_least(image: Image, size: int, small: Small) -> Image:
    """`image` with both sides at least `size`: as it is, mirrored at its edges, or enlarged."""
    height, width = image.shape[:2]
    if min(height, width) >= size:
        return image
    if small == "resize":
        scale = size / min(height, width)
        sides = (max(size, round(width * scale)), max(size, round(height * scale)))
        enlarged = PillowImage.fromarray(image).resize(sides, PillowImage.Resampling.BICUBIC)
        return np.asarray(enlarged)
    lacking = [max(0, size - side) for side in (height, width)]
    margins = [(n // 2, n - n // 2) for n in lacking]
    return np.pad(image, [*margins, (0, 0)], mode="reflect")
