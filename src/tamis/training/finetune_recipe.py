"""The recipe of a network that is fine-tuned on coded photos."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tamis.codecs import get_codec
from tamis.errors import MissingPackageError, TamisError
from tamis.training.recipe import CheckpointRecipe, Count, DataRecipe, Name, OptimiserRecipe
from tamis.training.recipe_file import Section, load, parse


class FinetuneRecipe(Section):
    """One classifier, trained on what the codec leaves of the photos.

    Attributes:
        name: of the weights file, `<name>.safetensors`.
        task: a classifier, `classify:NAME` with its options.
        preprocessor: what filters the photos before the codec: a spec or a model directory;
            `$VARIABLE` is expanded.
        codec: codec spec, such as `bpg`.
        qualities: one is drawn for each batch.
        loss: `outputs`: divergence from what the untouched network says of the original photo (no
            labels needed), or `labels`: cross-entropy with the classes that the photos' names tell.
        layers: beginnings of the names of the parameters that learn, such as `blocks.6` and
            `classifier`; none: all of them.
        seed: of the crops and qualities.
        threads: processor threads for torch and for the codec.
        out: folder of the run.
    """

    name: Name
    task: str
    preprocessor: str = "none"
    codec: str
    qualities: Annotated[tuple[int, ...], Field(min_length=1)]
    loss: Literal["outputs", "labels"] = "outputs"
    layers: tuple[str, ...] = ()
    data: DataRecipe
    steps: Count
    batch: Count = 16
    optimiser: OptimiserRecipe = OptimiserRecipe(learning_rate=1e-4)
    seed: int = 0
    threads: Count = 1
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    out: str

    @model_validator(mode="after")
    def _codec_takes_them(self) -> "FinetuneRecipe":
        try:
            codec = get_codec(self.codec)
            for quality in self.qualities:
                codec.quality.check(codec.name, quality)
        except MissingPackageError:
            raise
        except TamisError as error:
            raise ValueError(str(error)) from error
        return self

    def fingerprint(self) -> str:
        """Hash of what the weights depend on, those of the preprocessor by their path."""
        return self.digest(without={"name", "out", "checkpoint", "threads"})

    def filter(self) -> str:
        """The preprocessor's spec with variables expanded."""
        return os.path.expandvars(self.preprocessor)


def load_finetune_recipe(path: str | Path) -> FinetuneRecipe:
    """Read a fine-tuning recipe from YAML.

    Raises:
        RecipeError: as `tamis.training.recipe_file.load`.
    """
    return load(path, FinetuneRecipe)


def parse_finetune_recipe(document: Any, source: str = "the recipe") -> FinetuneRecipe:
    """Validate a fine-tuning recipe given as nested dicts; `source` names it in errors.

    Raises:
        RecipeError: as `tamis.training.recipe_file.parse`.
    """
    return parse(document, FinetuneRecipe, source)
