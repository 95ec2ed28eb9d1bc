"""The recipe of a learned proxy: which codec it is fitted to, on what, and for how long."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tamis.codecs import get_codec
from tamis.errors import MissingPackageError, TamisError
from tamis.training.codec_recipe import CodecDataRecipe, CodecOptimiserRecipe, ModelRecipe
from tamis.training.recipe import (
    Accelerator,
    CheckpointRecipe,
    Count,
    Name,
    NotNegative,
)
from tamis.training.recipe_file import Section, load, parse


class ProxyValidationRecipe(Section):
    """Held-out photos, their central squares, at every quality of the calibration.

    Attributes:
        every: steps between validations; one is always made after the last step.
    """

    every: Count = 500


class ProxyRecipe(Section):
    """One learned proxy of one codec.

    The loss of a picture x, which the codec codes to c at rate r, and a version of it x', is

        |x_hat - c|^2 / |c - x|^2 + photo |x_hat - x|^2 / |c - x|^2
        + rate h(log r_hat - log r) + change h(log r_hat / r_hat' - log r / r')

    where h is a square that becomes linear (`proxy_objective` has the constants).

    Attributes:
        codec: spec of the codec.
        qualities: lowest and highest quality; one between them is drawn for each picture.
        calibration: qualities at which the rate's factor is fitted, on the held-out photos.
        model: the learned codec it is made of; one with a hyperprior.
        init: where its weights come from, see `CodecRecipe.init`; or another run of a proxy.
        batch: pictures in a step: half of them crops of photos, half versions of the same crops.
        pool: batches that are coded, once; then they come again.
        photo: weight of the distance to the photo.
        rate: weight of the squared error of the logarithm of the rate.
        change: weight of the same for the difference between a crop and its version.
        precision: `bf16` trains the two transforms in bfloat16.
        log_every: steps that a row of `steps.csv` is the mean of.
        accelerator: `auto` takes a GPU where torch finds one.
        threads: processor threads for torch.
        out: folder of the run.
        licence: SPDX identifier for the card.
    """

    name: Name
    codec: str = "bpg"
    qualities: tuple[int, int]
    calibration: Annotated[tuple[int, ...], Field(min_length=1)]
    model: ModelRecipe = ModelRecipe(name="joint")
    init: str | None = None
    data: CodecDataRecipe
    batch: Annotated[int, Field(ge=2, multiple_of=2)] = 16
    pool: Count = 1000
    photo: NotNegative = 0.25
    rate: NotNegative = 2.0
    change: NotNegative = 6.0
    steps: Count
    optimiser: CodecOptimiserRecipe = CodecOptimiserRecipe()
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    threads: Count = 1
    accelerator: Accelerator = "auto"
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    validation: ProxyValidationRecipe = ProxyValidationRecipe()
    log_every: Count = 50
    out: str
    licence: str = "Apache-2.0"

    @model_validator(mode="after")
    def _consistent(self) -> "ProxyRecipe":
        try:
            codec = get_codec(self.codec)
            for quality in (*self.qualities, *self.calibration):
                codec.quality.check(codec.name, quality)
        except MissingPackageError:
            raise
        except TamisError as error:
            raise ValueError(str(error)) from error
        low, high = self.qualities
        if low > high or not all(low <= quality <= high for quality in self.calibration):
            raise ValueError("qualities is [lowest, highest], and calibration lies between them")
        if codec.step(low) is None:
            raise ValueError(f"{codec.name} tells no quantization step for the proxy to follow")
        if self.model.name in ("factorized", "reduction"):
            raise ValueError(f"model {self.model.name} has no hyperprior; use joint")
        return self

    def fingerprint(self) -> str:
        """Hash of what the weights depend on: all but where, how often and how fast it is kept."""
        return self.digest(
            without={
                *("name", "out", "checkpoint", "threads", "accelerator", "calibration"),
                *("validation", "log_every", "licence"),
            }
        )

    def pool_fingerprint(self) -> str:
        """Hash of what the coded pictures depend on."""
        kept = {"codec", "qualities", "data", "batch", "seed"}
        return self.digest(without=set(type(self).model_fields) - kept)


def load_proxy_recipe(path: str | Path) -> ProxyRecipe:
    """Read a learned proxy's recipe from YAML.

    Raises:
        RecipeError: as `tamis.training.recipe_file.load`.
    """
    return load(path, ProxyRecipe)


def parse_proxy_recipe(document: Any, source: str = "the recipe") -> ProxyRecipe:
    """Validate a learned proxy's recipe given as nested dicts; `source` names it in errors.

    Raises:
        RecipeError: as `tamis.training.recipe_file.parse`.
    """
    return parse(document, ProxyRecipe, source)
