"""The recipe of a learned codec: one model, the rates it is trained for, one after another."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from tamis.errors import TamisError
from tamis.learned.models import create_model
from tamis.training.recipe import (
    Accelerator,
    CheckpointRecipe,
    Count,
    Cropping,
    DataRecipe,
    Name,
    OptimiserRecipe,
    Positive,
)
from tamis.training.recipe_file import Section, load, parse

SMALLEST_MS_SSIM = 176
"""Sides whose fifth scale still holds a window of 11 pixels (Wang, Simoncelli, Bovik 2003)."""


class CodecDataRecipe(DataRecipe):
    """As a preprocessor's, but nothing is resized unless the recipe says so."""

    crop: Annotated[int, Field(ge=32, multiple_of=16)] = 256
    cropping: Annotated[tuple[Cropping, ...], Field(min_length=1)] = ("reflected",)
    held_out: Count = 24
    cache_side: Annotated[int, Field(ge=64)] | None = None


class CodecOptimiserRecipe(OptimiserRecipe):
    """As a preprocessor's, and which optimiser it is.

    Attributes:
        method: `soap` (Vyas et al. 2024, arXiv 2409.11321), Adam in the eigenbasis of Shampoo's
            preconditioner, or `adam`.
    """

    method: Literal["soap", "adam"] = "soap"
    learning_rate: Positive = 3e-3


class ModelRecipe(Section):
    """What `tamis.learned.models.create_model` takes.

    Attributes:
        name: such as `context-adaptive` or `joint`.
        n: channels of the transforms and of z.
        m: channels of y.
        context_channels: of `context-adaptive`: how many channels of y are coded with context;
            null is all.
    """

    name: str
    n: Count = 64
    m: Count = 96
    context_channels: Count | None = None

    @model_validator(mode="after")
    def _exists(self) -> "ModelRecipe":
        try:
            create_model(self.name, 1, self.m, self.context_channels)
        except TamisError as error:
            raise ValueError(str(error)) from error
        return self


class StreamValidationRecipe(Section):
    """Held-out photos, whole: rate by the likelihoods each time, real streams now and then.

    Attributes:
        every: steps between validations; one is always made after the last step.
        streams: every so many validations the photos are also coded to real bitstreams, as they
            always are after the last step; null is only then.
    """

    every: Count = 500
    streams: Count | None = None


class RungRecipe(Section):
    """One more rate, trained from the weights of another.

    Attributes:
        lambda_: its lambda. Written `lambda` in YAML.
        steps: its steps.
        learning_rate: where its schedule starts.
        from_: the rung whose weights it starts from: the recipe's own lambda is the first, the one
            before it in the list the previous. Written `from` in YAML.
    """

    lambda_: Positive = Field(alias="lambda")
    steps: Count
    learning_rate: Positive
    from_: Literal["first", "previous"] = Field("first", alias="from")


class CodecRecipe(Section):
    """One learned codec: `L = R + lambda 255^2 MSE` (Ballé 2018) or `R + lambda (1 - MS-SSIM)`.

    Attributes:
        name: packages are called `<name>-<k>`, k from 1 in order of rising lambda.
        lambda_: what distortion costs, in bpp. Written `lambda` in YAML.
        metric: the distortion: `mse`, in squared grey levels, or `ms-ssim`.
        init: where weights come from: a model directory, a `.safetensors` file, a state, or the
            folder of a run. Tensors of equal name and shape are taken, the rest stays random.
        precision: `bf16` trains the two transforms in bfloat16, faster where the processor has
            it; the latents, their rate and every validation stay float32.
        ladder: further lambdas, trained after the first.
        log_every: steps that a row of `steps.csv` is the mean of.
        accelerator: `auto` takes a GPU where torch finds one.
        threads: processor threads for torch.
        out: folder of the run; each lambda has a folder `lambda-<value>` in it.
        licence: SPDX identifier for the model card.
    """

    name: Name
    model: ModelRecipe
    lambda_: Positive = Field(alias="lambda")
    metric: Literal["mse", "ms-ssim"] = "mse"
    init: str | None = None
    data: CodecDataRecipe
    steps: Count
    batch: Count = 8
    optimiser: CodecOptimiserRecipe = CodecOptimiserRecipe()
    precision: Literal["fp32", "bf16"] = "fp32"
    ladder: tuple[RungRecipe, ...] = ()
    seed: int = 0
    threads: Count = 1
    accelerator: Accelerator = "auto"
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    validation: StreamValidationRecipe = StreamValidationRecipe()
    log_every: Count = 50
    out: str
    licence: str = "Apache-2.0"

    @model_validator(mode="after")
    def _consistent(self) -> "CodecRecipe":
        lambdas = [self.lambda_, *(rung.lambda_ for rung in self.ladder)]
        if twice := {value for value in lambdas if lambdas.count(value) > 1}:
            raise ValueError(f"lambda {min(twice):g} is listed twice; each is one model")
        if self.metric == "ms-ssim" and self.data.crop < SMALLEST_MS_SSIM:
            raise ValueError(f"metric ms-ssim needs data.crop of at least {SMALLEST_MS_SSIM}")
        return self

    def fingerprint(self) -> str:
        """Hash of what the weights depend on: all but where, how often and how fast it is kept."""
        return self.digest(
            without={
                *("name", "ladder", "out", "checkpoint", "threads", "accelerator"),
                *("validation", "log_every", "licence"),
            }
        )

    def rungs(self) -> list["Rung"]:
        """Every lambda as a run of its own, in the order in which they are trained."""
        ladder = sorted([self.lambda_, *(rung.lambda_ for rung in self.ladder)])
        alone = self.model_copy(update={"ladder": ()})
        rungs = [Rung(alone, ladder.index(self.lambda_) + 1, None)]
        for entry in self.ladder:
            rate = {"learning_rate": entry.learning_rate}
            recipe = alone.model_copy(
                update={
                    "lambda_": entry.lambda_,
                    "steps": entry.steps,
                    "optimiser": self.optimiser.model_copy(update=rate),
                    "init": None,
                }
            )
            parent = rungs[0 if entry.from_ == "first" else -1]
            rungs.append(Rung(recipe, ladder.index(entry.lambda_) + 1, parent))
        return rungs


class Rung(NamedTuple):
    """One lambda of a ladder.

    Attributes:
        recipe: its recipe, without a ladder.
        number: its place in the ladder by rate, from 1.
        parent: the rung whose weights it starts from; None for the recipe's `init`.
    """

    recipe: CodecRecipe
    number: int
    parent: "Rung | None"

    @property
    def name(self) -> str:
        """Name of the package."""
        return f"{self.recipe.name}-{self.number}"

    @property
    def folder(self) -> str:
        """Name of the folder, which stays when the ladder grows."""
        return f"lambda-{self.recipe.lambda_:g}"

    @property
    def steps(self) -> int:
        """Its steps and those of the rungs below it."""
        return self.recipe.steps + (self.parent.steps if self.parent else 0)

    def fingerprint(self) -> str:
        """Hash of what the weights depend on, the parent's training among it."""
        own = self.recipe.fingerprint()
        return own if self.parent is None else f"{own}-{self.parent.fingerprint()}"


def load_codec_recipe(path: str | Path) -> CodecRecipe:
    """Read a learned codec's recipe from YAML.

    Raises:
        RecipeError: as `tamis.training.recipe_file.load`.
    """
    return load(path, CodecRecipe)


def parse_codec_recipe(document: Any, source: str = "the recipe") -> CodecRecipe:
    """Validate a learned codec's recipe given as nested dicts; `source` names it in errors.

    Raises:
        RecipeError: as `tamis.training.recipe_file.parse`.
    """
    return parse(document, CodecRecipe, source)
