"""What every neural preprocessor does around its network, in torch and in ONNX Runtime alike.

Checks that the model covers the codec, groups images of one size, converts, pads, tiles, rounds.
Imports no torch.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.preprocessing.conditioning import strength
from tamis.preprocessing.padding import Planes, to_images, to_planes
from tamis.preprocessing.tiling import filter_in_tiles

TILE = 1024
"""Side of the largest piece a network filters at once; bounds its memory."""

GROUP = 2**16
"""Pixels up to which images of one size share a run: it spares small images the overhead of a
call, but 20 images of 224x224 took half as long again in one run as one by one: caches overflow."""


class NeuralPreprocessor(ABC):
    """The `Preprocessor` contract around a network; subclasses say how the network runs.

    Attributes:
        name: as it stands in tables.
        covers: lowest and highest quality trained for, by codec name; None: every codec.
        multiple: height and width of what the network takes are multiples of this.
        halo: how far an output pixel looks, in pixels.
        tile: side of the largest piece filtered at once.
    """

    def __init__(
        self,
        name: str,
        covers: Mapping[str, tuple[int, int]] | None,
        multiple: int,
        halo: int,
        tile: int = TILE,
    ) -> None:
        self.name = name
        self.covers = covers
        self.multiple = multiple
        self.halo = halo
        self.tile = tile

    @abstractmethod
    def run(self, x: Planes, strengths: npt.NDArray[np.float32]) -> Planes:
        """The network itself: `x` `(N, 3, H, W)`, padded, and `strengths` `(N,)`."""

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Filter `image` `uint8 (H, W, 3)` of any size for `codec` at `quality`.

        Raises:
            TamisError: the model does not cover the codec or the quality.
        """
        return self.batch([image], codec, quality)[0]

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """The same for several images; those of one size run together."""
        self.check(codec, quality)
        value = strength(codec, quality)
        results: dict[int, Image] = {}
        for group in self._groups(images):
            planes = to_planes(np.stack([images[i] for i in group]))
            results.update(zip(group, to_images(self.filter(planes, value)), strict=True))
        return [results[i] for i in range(len(images))]

    def filter(self, x: Planes, value: float) -> Planes:
        """Filter `x` `(N, 3, H, W)` in [0, 1] of any size at strength `value`; not clamped."""
        strengths = np.full(len(x), value, np.float32)
        return filter_in_tiles(
            x, lambda piece: self.run(piece, strengths), self.multiple, self.halo, self.tile
        )

    def check(self, codec: Codec, quality: int) -> None:
        """Raise `TamisError` unless the model was trained for `codec` at `quality`."""
        if self.covers is None:
            return
        if codec.name not in self.covers:
            known = ", ".join(self.covers)
            raise TamisError(f"model {self.name} does not cover codec {codec.name}, only {known}")
        low, high = self.covers[codec.name]
        if not low <= quality <= high:
            unit = type(codec).quality.unit
            raise TamisError(
                f"model {self.name} covers {codec.name} {unit} {low} to {high}, not {quality}"
            )

    def _groups(self, images: Sequence[Image]) -> list[list[int]]:
        """Indices of images of one size, in groups of at most `GROUP` pixels or one image."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[image.shape].append(index)
        groups = []
        for (height, width, *_), indices in by_size.items():
            count = max(1, GROUP // (height * width))
            groups += [indices[i : i + count] for i in range(0, len(indices), count)]
        return groups
