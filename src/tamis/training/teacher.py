"""Refined photos on disk as dense targets for a feed-forward preprocessor.

Layout of a teacher folder, all PNG, all pictures of one name the same size:

```
FOLDER/source/NAME.png           the photo before refinement
FOLDER/jpeg/20/NAME.png          the same photo refined for codec spec `jpeg` at quality 20
```
"""

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.errors import RecipeError

GRID = 16
"""Crops start at multiples of this, so that the refined pixels keep their place in the blocks."""


class Teacher:
    """Pairs of source and refined photo, for the codecs and qualities that the folder holds.

    Attributes:
        pairs: codec spec and quality of every set of targets.
    """

    def __init__(self, folder: str | Path, crop: int) -> None:
        self.folder = Path(folder)
        self.crop = crop
        self._names: dict[tuple[str, int], list[str]] = {}
        for path in sorted(self.folder.glob("*/*/*.png")):
            spec, quality = path.parts[-3:-1]
            self._names.setdefault((spec, int(quality)), []).append(path.name)
        if not self._names:
            raise RecipeError(f"teacher.folder: no targets in {folder}/CODEC/QUALITY/NAME.png")
        self.pairs = list(self._names)
        self._kept: dict[Path, Image] = {}

    def batch(
        self, spec: str, quality: int, size: int, rng: np.random.Generator
    ) -> tuple[list[Image], list[Image]]:
        """Random crops: sources and their targets, `size` each, `uint8 (crop, crop, 3)`.

        Raises:
            RecipeError: a picture is missing, smaller than the crop, or unlike its source.
        """
        names = self._names[spec, quality]
        sources, targets = [], []
        for index in rng.integers(len(names), size=size):
            source = self._read(self.folder / "source" / names[index])
            target = self._read(self.folder / spec / str(quality) / names[index])
            if source.shape != target.shape or min(source.shape[:2]) < self.crop:
                raise RecipeError(
                    f"teacher.folder: {names[index]} is {source.shape[:2]} before and "
                    f"{target.shape[:2]} after refinement; expected equal, at least {self.crop}"
                )
            top, left = (
                GRID * int(rng.integers((n - self.crop) // GRID + 1)) for n in source.shape[:2]
            )
            mirror = -1 if rng.random() < 0.5 else 1
            window = np.s_[top : top + self.crop, left : left + self.crop]
            sources.append(np.ascontiguousarray(source[window][:, ::mirror]))
            targets.append(np.ascontiguousarray(target[window][:, ::mirror]))
        return sources, targets

    def _read(self, path: Path) -> Image:
        if path not in self._kept:
            try:
                with PillowImage.open(path) as picture:
                    self._kept[path] = np.asarray(picture.convert("RGB"))
            except OSError as error:
                raise RecipeError(f"teacher.folder: cannot read {path}: {error}") from error
        return self._kept[path]


def write_target(
    folder: str | Path, name: str, spec: str, quality: int, source: Image, refined: Image
) -> Path:
    """Add one refined photo to a teacher folder; returns the path of the target."""
    folder = Path(folder)
    target = folder / spec / str(quality) / f"{name}.png"
    for path, image in ((folder / "source" / f"{name}.png", source), (target, refined)):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Low compression: these files are read once and would otherwise take longer to write
        # than to compute.
        PillowImage.fromarray(image).save(path, compress_level=1)
    return target
