"""What a learned proxy is shown: crops, versions of them, and what the real codec makes of each.

Encoding is the slow part, so the codec's files are kept on disk: a pool of batches that is coded
once, on first use, and then comes again in the same order.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tamis.codecs import Image, get_codec
from tamis.mirror import write_whole
from tamis.preprocessing.conditioning import strength
from tamis.proxies.package import header_bits
from tamis.tasks.pixels import to_tensor
from tamis.training.photos import Photos
from tamis.training.proxy_recipe import ProxyRecipe
from tamis.training.proxy_variation import vary


class Example(NamedTuple):
    """A batch of pictures and what the codec makes of them; versions follow their crops.

    Attributes:
        x: pictures, `float32 (N, 3, H, W)` in [0, 1]; the second half versions of the first.
        coded: the codec's reconstructions, the shape of `x`.
        bpp: bits per pixel of the codec's files, without what every file has, `(N,)`.
        strength: of the qualities, `(N,)`.
    """

    x: torch.Tensor
    coded: torch.Tensor
    bpp: torch.Tensor
    strength: torch.Tensor


class Examples:
    """The batches of steps `start` to `recipe.steps`; its length counts from step 0.

    Args:
        recipe: codec, qualities, sizes.
        photos: where crops come from.
        folder: the run's; the codec's files are kept in it.
        start: steps that the run has behind it.
    """

    def __init__(self, recipe: ProxyRecipe, photos: Photos, folder: Path, start: int = 0) -> None:
        self.recipe = recipe
        self.photos = photos
        self.folder = folder / f"pool-{recipe.pool_fingerprint()}"
        self.start = start
        self.codec = get_codec(recipe.codec)
        self.header_bits = header_bits(self.codec, recipe.qualities[0])

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[Example]:
        return (self.at(step % self.recipe.pool) for step in range(self.start, self.recipe.steps))

    def at(self, index: int) -> Example:
        """Batch `index` of the pool."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, 7, index))
        crops = self.photos.batch(index, recipe.batch // 2)
        low, high = recipe.qualities
        qualities = [int(q) for q in rng.integers(low, high + 1, len(crops))]
        steps = [self.codec.step(quality) or 1.0 for quality in qualities]
        versions = [vary(crop, step, rng) for crop, step in zip(crops, steps, strict=True)]
        path = self.folder / f"{index:06d}.npz"
        return self.coded([*crops, *versions], qualities * 2, path)

    def coded(self, images: list[Image], qualities: list[int], path: Path) -> Example:
        """`images` as an example; their files are kept at `path`."""
        files = _read(path) if path.exists() else []
        if not files:
            pairs = zip(images, qualities, strict=True)
            files = [self.codec.encode(image, quality) for image, quality in pairs]
            _write(path, files)
        pixels = images[0].shape[0] * images[0].shape[1]
        bits = [8 * len(file) - self.header_bits for file in files]
        return Example(
            x=to_tensor(images),
            coded=to_tensor([self.codec.decode(file) for file in files]),
            bpp=torch.tensor(bits, dtype=torch.float32).clamp(min=0) / pixels,
            strength=torch.tensor([strength(self.codec, quality) for quality in qualities]),
        )


def _write(path: Path, files: list[bytes]) -> None:
    content = io.BytesIO()
    lengths = np.array([len(file) for file in files])
    np.savez(content, lengths=lengths, files=np.frombuffer(b"".join(files), np.uint8))
    write_whole(path, content.getvalue())


def _read(path: Path) -> list[bytes]:
    with np.load(path) as stored:
        ends = np.cumsum(stored["lengths"])[:-1]
        return [part.tobytes() for part in np.split(stored["files"], ends)]
