"""Photos for training: of any dataset, kept in memory as uint8, cut into crops by step number.

Everything random about a crop is drawn from a generator seeded by (seed, step), so a run that
resumes at a step sees exactly the pictures that the uninterrupted run sees there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.data import LabelledPhoto, open_dataset, sample_photos
from tamis.errors import RecipeError
from tamis.training.recipe import DataRecipe

SAMPLE_FOLDER = "sample"


class Photos:
    """Photos of a recipe, decoded when first used and then kept, split into training and held out.

    Attributes:
        training: names of the photos that training draws from.
        held_out: names of the photos that it never sees, in a fixed order.

    Args:
        data: where they are.
        seed: of the split, and of the crops.
        labelled: leave out photos without a class; their dataset or their names tell it.
    """

    def __init__(self, data: DataRecipe, seed: int, labelled: bool = False) -> None:
        self.data = data
        self.seed = seed
        self._kept: dict[str, Image] = {}
        self._found: dict[str, LabelledPhoto] = {}
        names = [name for name in self._find() if not labelled or self._class(name) is not None]
        if len(names) <= data.held_out:
            kind = "photos with a class" if labelled else "photos"
            raise RecipeError(
                f"{len(names)} {kind} in {', '.join(data.folders)} are too few to hold out "
                f"{data.held_out}; add photos or lower data.held_out"
            )
        order = np.random.default_rng(seed).permutation(len(names))
        shuffled = [names[i] for i in order]
        self.held_out = sorted(shuffled[: data.held_out])
        self.training: list[str] = shuffled[data.held_out :]

    def _find(self) -> list[str]:
        names: list[str] = []
        for folder in self.data.folders:
            if folder == SAMPLE_FOLDER:
                for name, image in sample_photos().items():
                    self._kept[name] = self._shrink(image)
                    names.append(name)
                continue
            spec = os.path.expandvars(folder)
            found = open_dataset(Path(spec).expanduser() if spec.startswith("~") else spec)
            self._found |= {photo.source.place: photo for photo in found}
            names += [photo.source.place for photo in found]
        return names

    def photo(self, name: str) -> Image:
        """The photo as kept in memory, `uint8 (H, W, 3)`.

        Raises:
            TamisError: the file cannot be read as a picture.
        """
        if name not in self._kept:
            self._kept[name] = self._shrink(self._found[name].load())
        return self._kept[name]

    def batch(self, step: int, size: int) -> list[Image]:
        """The training crops of `step`: `size` times `uint8 (crop, crop, 3)`."""
        rng = np.random.default_rng((self.seed, 1, step))
        crops = []
        for position in range(step * size, (step + 1) * size):
            image = self.photo(self._at(position))
            cropping = self.data.cropping[rng.integers(len(self.data.cropping))]
            crops.append(cut(image, cropping, self.data, rng))
        return crops

    def batch_labels(self, step: int, size: int) -> tuple[int, ...]:
        """The classes of the crops of `step`."""
        return self.labels([self._at(i) for i in range(step * size, (step + 1) * size)])

    def labels(self, names: Sequence[str]) -> tuple[int, ...]:
        """The classes of photos, as their dataset tells them; boxes say nothing of a crop.

        Raises:
            RecipeError: a photo without a class.
        """
        classes = []
        for name in names:
            label = self._class(name)
            if label is None:
                raise RecipeError(
                    f"{name} has no label: a task with loss: labels needs a dataset with classes, "
                    "or photos named by their ImageNet ids, such as n01440764_1.jpg"
                )
            classes.append(label)
        return tuple(classes)

    def _class(self, name: str) -> int | None:
        label = self._found[name].label if name in self._found else None
        return label if isinstance(label, int) else None

    def _shrink(self, image: Image) -> Image:
        longest = self.data.cache_side
        if longest is None:
            return image
        picture = PillowImage.fromarray(image)
        picture.thumbnail((longest, longest), PillowImage.Resampling.BICUBIC, reducing_gap=3)
        return np.asarray(picture)

    def _at(self, position: int) -> str:
        """Name at `position` of the endless sequence of shuffled epochs."""
        epoch, index = divmod(position, len(self.training))
        order = np.random.default_rng((self.seed, 2, epoch)).permutation(len(self.training))
        return self.training[int(order[index])]

    def whole(self, names: Sequence[str]) -> list[Image]:
        """Central squares of photos, resized to the crop size: what validation codes."""
        return [central(self.photo(name), self.data.crop) for name in names]


def cut(image: Image, cropping: str, data: DataRecipe, rng: np.random.Generator) -> Image:
    """One training crop of `image`, mirrored half of the time."""
    side = data.crop
    if cropping == "whole":
        crop = _resize(image, (0, 0, image.shape[1], image.shape[0]), side)
    elif cropping == "native":
        crop = _window(_at_least(image, side), side, rng)
    elif cropping == "reflected":
        crop = _window(_mirrored(image, side), side, rng)
    else:
        crop = _resize(image, _random_box(image, data.area, rng), side)
    return np.ascontiguousarray(crop[:, ::-1]) if rng.random() < 0.5 else crop


def central(image: Image, side: int) -> Image:
    """The largest central square of `image`, resized to `side`."""
    height, width = image.shape[:2]
    square = min(height, width)
    left, top = (width - square) // 2, (height - square) // 2
    return _resize(image, (left, top, left + square, top + square), side)


def _random_box(
    image: Image, area: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A box of a random part of the area and a ratio of 3:4 to 4:3, kept inside the photo."""
    height, width = image.shape[:2]
    part = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    w = max(1, min(width, round(float(np.sqrt(part * ratio)))))
    h = max(1, min(height, round(float(np.sqrt(part / ratio)))))
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return left, top, left + w, top + h


def _resize(image: Image, box: tuple[int, int, int, int], side: int) -> Image:
    picture = PillowImage.fromarray(image)
    return np.asarray(picture.resize((side, side), PillowImage.Resampling.BICUBIC, box=box))


def _at_least(image: Image, side: int) -> Image:
    height, width = image.shape[:2]
    if min(height, width) >= side:
        return image
    factor = side / min(height, width)
    size = (max(side, round(width * factor)), max(side, round(height * factor)))
    return np.asarray(PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BICUBIC))


def _mirrored(image: Image, side: int) -> Image:
    """`image` continued downwards and to the right by its own reflection, up to `side`."""
    missing = [(0, max(0, side - length)) for length in image.shape[:2]]
    return np.pad(image, [*missing, (0, 0)], "symmetric") if any(map(any, missing)) else image


def _window(image: Image, side: int, rng: np.random.Generator) -> Image:
    top = int(rng.integers(image.shape[0] - side + 1))
    left = int(rng.integers(image.shape[1] - side + 1))
    return np.ascontiguousarray(image[top : top + side, left : left + side])
