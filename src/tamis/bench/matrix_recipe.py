"""What a matrix is to measure, from YAML: groups of photos with their tasks, codecs, qualities."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tamis.bench.plan import Protocol
from tamis.data.datasets import open_datasets
from tamis.data.sources import LabelledPhoto
from tamis.training.recipe_file import Section, load

CODECS = ("jpeg", "bpg", "hevc", "vvc", "avif")
TASKS = (
    "classify:efficientnet_lite0",
    "classify:efficientnet_lite1",
    "classify:efficientnet_lite2",
    "keypoints:mediapipe",
    "segment:mediapipe",
)
"""Tasks whose weights come from PyPI."""
LADDERS: dict[str, tuple[int, ...]] = {
    "jpeg": (4, 8, 14, 24, 40, 65),
    "bpg": (46, 42, 38, 35, 32, 29),
    "hevc": (45, 41, 37, 34, 31, 27),
    "vvc": (45, 41, 38, 35, 31, 28),
    "avif": (10, 20, 30, 40, 52, 66),
}
"""Six qualities each, about 0.1 to 1.5 bpp on photos of 500 pixels: half the work of the codecs'
own ladders, over the rates where networks begin to err. Other codecs keep their own."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class Group(Section):
    """Photos, and the tasks that are asked about them.

    Attributes:
        photos: files, folders and datasets (`tamis.data.open_dataset`); `~` and `$VARIABLE` are
            expanded.
        every: take each so manieth photo, in the order of the folders.
        tasks: specs; `$VARIABLE` is expanded.
    """

    photos: Names
    every: Annotated[int, Field(ge=1)] = 1
    tasks: Names = TASKS

    def found(self) -> list[LabelledPhoto]:
        """The photos, with what is known of them.

        Raises:
            TamisError: a source that does not exist, or holds no photo.
        """
        sources = [Path(os.path.expandvars(source)).expanduser() for source in self.photos]
        return open_datasets(sources)[:: self.every]

    def specs(self) -> list[str]:
        """The tasks."""
        return [os.path.expandvars(task) for task in self.tasks]


class MatrixRecipe(Section):
    """A whole matrix.

    Attributes:
        groups: by name, which is also that of their folder in the run. A task that needs people
            in the picture stands in a group of photos that have some.
        codecs: specs, the columns.
        preprocessors: specs; each gets a matrix. `none`, the anchor, is added.
        qualities: for some codecs, by spec or name, instead of `LADDERS`.
        protocol: `native` or `model`.
    """

    groups: Annotated[dict[Name, Group], Field(min_length=1)]
    codecs: Names = CODECS
    preprocessors: Names = ("default",)
    qualities: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    protocol: Protocol = "native"

    def ladders(self) -> dict[str, Sequence[int]]:
        """Qualities by codec: what is asked for, else `LADDERS`."""
        return {**LADDERS, **self.qualities}


def load_matrix_recipe(path: Path | str) -> MatrixRecipe:
    """Read a matrix from YAML.

    Raises:
        RecipeError: no such file, not YAML, an unknown key, or a value outside its range.
    """
    return load(path, MatrixRecipe)
