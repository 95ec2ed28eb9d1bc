"""A training recipe: everything a run depends on, read from YAML and checked before it starts."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tamis.codecs import get_codec
from tamis.errors import MissingPackageError, TamisError
from tamis.training.recipe_file import Section, load, parse

Cropping = Literal["resized", "whole", "native", "reflected"]
Accelerator = Literal["auto", "cpu", "gpu"]
TaskLoss = Literal["outputs", "features", "labels"]
Positive = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class DataRecipe(Section):
    """Where the photos are and how training crops are cut from them.

    Attributes:
        folders: folders of photos, searched recursively; `sample` is the photos that
            scikit-image and scikit-learn carry. `~` and `$VARIABLE` are expanded. No labels are
            needed.
        description: the data in words, for the model card; by default the folders.
        crop: side of the square training pictures, in pixels.
        cropping: one is drawn for each picture. `resized`: a random part of the photo, resized
            to `crop`; `whole`: the whole photo, squeezed to `crop`; `native`: a random window at
            the photo's own resolution, a smaller photo enlarged; `reflected`: the same, a smaller
            photo continued by its mirror image, so that no pixel is ever resized.
        area: smallest and largest part of the photo's area that `resized` takes.
        held_out: photos kept out of training, for the plain codec's curve and for validation.
        cache_side: photos are kept in memory with their longer side at most this long, in pixels;
            null keeps them as they are.
    """

    folders: Annotated[tuple[str, ...], Field(min_length=1)]
    description: str | None = None
    crop: Annotated[int, Field(ge=32, multiple_of=16)] = 224
    cropping: Annotated[tuple[Cropping, ...], Field(min_length=1)] = ("resized",)
    area: tuple[Positive, Positive] = (0.35, 1.0)
    held_out: Count = 32
    cache_side: Annotated[int, Field(ge=64)] | None = 512

    @model_validator(mode="after")
    def _ordered(self) -> "DataRecipe":
        if not self.area[0] <= self.area[1] <= 1:
            raise ValueError("area is [smallest, largest], both at most 1")
        return self


class CodecRecipe(Section):
    """One codec, the qualities it is trained at and what a nat of task loss is worth there.

    Attributes:
        spec: codec spec, such as `jpeg` or `bpg`.
        qualities: one is drawn for each batch.
        lambda_: bpp a unit of task loss is worth: a value per quality, or `auto`, the slope of the
            plain codec's own curve (`docs/concepts/lambda.md`). Written `lambda` in YAML.
        lambda_scale: factor on every lambda.
    """

    spec: str
    qualities: Annotated[tuple[int, ...], Field(min_length=1)]
    lambda_: Literal["auto"] | dict[int, Positive] = Field("auto", alias="lambda")
    lambda_scale: Positive = 1.0

    @field_validator("lambda_", mode="before")
    @classmethod
    def _auto_or_numbers(cls, value: object) -> object:
        numbers = value.values() if isinstance(value, dict) else ()
        if value == "auto" or (
            numbers and all(isinstance(n, int | float) and 0 < n < float("inf") for n in numbers)
        ):
            return value
        raise ValueError("expected auto, or a number greater than 0 for every quality")

    @model_validator(mode="after")
    def _codec_takes_them(self) -> "CodecRecipe":
        try:
            codec = get_codec(self.spec)
            for quality in self.qualities:
                codec.quality.check(codec.name, quality)
        except MissingPackageError:
            raise
        except TamisError as error:
            raise ValueError(str(error)) from error
        if isinstance(self.lambda_, dict):
            missing = sorted(set(self.qualities) - set(self.lambda_))
            if missing:
                raise ValueError(f"lambda has no value for {self.spec} quality {missing[0]}")
        return self


class TaskRecipe(Section):
    """One differentiable task and the weight of its loss in the sum.

    Attributes:
        spec: task spec, such as `classify:efficientnet_lite0` or `onnx:$MODELS/detector.onnx`.
        weight: its factor.
        loss: what its loss compares: `outputs` with those on the original (no labels needed;
            with `features` in the spec, those layers too), `features` alone, or the prediction
            with `labels`, the photos' classes; photos without one are then left out.
    """

    spec: str
    weight: Positive = 1.0
    loss: TaskLoss = "outputs"


class AugmentationRecipe(Section):
    """Random change that original and decoded picture share before the tasks see them.

    Attributes:
        shift: largest shift, as a part of the side.
        scale: the picture is zoomed by 1 - scale to 1 + scale.
        flip: whether half of the pictures are mirrored.
    """

    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.06
    scale: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    flip: bool = True


class OptimiserRecipe(Section):
    """A linear warm-up, then a cosine to zero or a constant rate; gradients clipped.

    Attributes:
        method: `adam`, or `soap`, Adam in a basis in which the curvature is nearly diagonal.
    """

    method: Literal["adam", "soap"] = "adam"
    learning_rate: Positive = 3e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: Annotated[int, Field(ge=0)] = 100
    clip: Positive = 1.0


class CheckpointRecipe(Section):
    """How often the state is written: after so many steps or minutes, whichever comes first."""

    steps: Count | None = None
    minutes: Positive = 2.0


class ValidationRecipe(Section):
    """Real coding of the held-out photos against the plain codec's curve on the same photos.

    Attributes:
        every: steps between validations; one is always made after the last step.
        samples: photos drawn as original | filtered | decoded for each codec and quality.
    """

    every: Count = 500
    samples: Annotated[int, Field(ge=0)] = 4


class TeacherRecipe(Section):
    """Refined photos as dense targets, see `tamis.training.teacher` for the folder's layout.

    Attributes:
        folder: what `write_target` wrote; `$VARIABLE` is expanded.
        steps: steps at the start that only imitate the teacher; no codec, no proxy.
        weight: factor on the squared pixel error to the target, in grey levels.
        task_weight: factor on the task losses between filtered picture and target.
    """

    folder: str
    steps: Count
    weight: NotNegative = 1.0
    task_weight: NotNegative = 0.0


class Recipe(Section):
    """One preprocessor training run: `L = R + lambda sum_k w_k D_k + beta D_pre`.

    Attributes:
        name: name of the exported model directory.
        network: `npp-dct`, `npp-lite` or `npp`.
        init: model directory or `.safetensors` file to start from, or null for the untrained
            network.
        deadzone: with `npp-dct` and no `init`: base and rise of the deadzone to begin as.
        beta: weight of D_pre, the squared error between photo and filtered photo with pixels in
            [0, 1]: at beta 100 a PSNR of 30 dB costs as much as 0.1 bpp.
        tasks_in_turn: one task a step, in turn, as an estimate of the sum: as many steps more in
            the same time as there are tasks.
        proxy: whose gradients stand for the codec's: `dct`, the analytic one; `learned`, the one
            shipped for the codec; or `learned:DIRECTORY`; `$VARIABLE` is expanded.
        forward: values of image and rate from the real `codec`, or from the `proxy` (ablation).
        compare_every: steps between comparisons with the plain codec on the training batch.
        precision: arithmetic of the task networks; the preprocessor is always float32.
        threads: processor threads for torch and for the codec.
        accelerator: `auto` takes a GPU where torch finds one.
        out: folder of the run: state, logs, samples and, under `name`, the exported model.
        licence: SPDX identifier for the model card.
        covers: codecs and quality ranges that the card allows besides those trained on: further
            qualities of the same codec, or a codec of the same kind, such as `vvc` beside `bpg`.
        cutoff: what the card tells to remove before the network in use: by codec name, share of
            the frequencies kept, by quality. Training does not see it.
        smallest_side: in use, a cutoff leaves the detail of a picture with this shorter side.
    """

    name: Name
    network: Literal["npp-dct", "npp-lite", "npp"] = "npp-dct"
    init: str | None = None
    deadzone: tuple[NotNegative, NotNegative] | None = None
    data: DataRecipe
    codecs: Annotated[tuple[CodecRecipe, ...], Field(min_length=1)]
    tasks: Annotated[tuple[TaskRecipe, ...], Field(min_length=1)]
    beta: NotNegative = 0.5
    tasks_in_turn: bool = False
    proxy: Annotated[str, Field(pattern=r"^(dct|learned(:.+)?)$")] = "dct"
    forward: Literal["codec", "proxy"] = "codec"
    augmentation: AugmentationRecipe = AugmentationRecipe()
    optimiser: OptimiserRecipe = OptimiserRecipe()
    teacher: TeacherRecipe | None = None
    steps: Count
    batch: Count = 16
    seed: int = 0
    threads: Count = 2
    accelerator: Accelerator = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    compare_every: Count = 20
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    validation: ValidationRecipe = ValidationRecipe()
    out: str
    licence: str = "Apache-2.0"
    covers: dict[str, tuple[int, int]] = Field(default_factory=dict)
    cutoff: dict[str, dict[int, Factor]] = Field(default_factory=dict)
    smallest_side: Annotated[int, Field(ge=0)] = 0

    @field_validator("codecs")
    @classmethod
    def _once(cls, codecs: tuple[CodecRecipe, ...]) -> tuple[CodecRecipe, ...]:
        specs = [codec.spec for codec in codecs]
        if twice := {spec for spec in specs if specs.count(spec) > 1}:
            raise ValueError(f"codec {min(twice)} is listed twice; put its qualities together")
        return codecs

    @model_validator(mode="after")
    def _labels_are_of_photos(self) -> "Recipe":
        if self.labelled and self.teacher is not None:
            raise ValueError("a teacher's targets have no labels; use loss: outputs with a teacher")
        return self

    @property
    def labelled(self) -> bool:
        """Whether a task learns from labels."""
        return any(task.loss == "labels" for task in self.tasks)

    def fingerprint(self) -> str:
        """Hash of what the result depends on: all but where, how often and how fast it is kept."""
        kept = {"out", "checkpoint", "threads", "accelerator", "validation"}
        return self.digest(without=kept | {"covers", "cutoff", "smallest_side"})


def load_recipe(path: str | Path) -> Recipe:
    """Read a preprocessor's recipe from YAML.

    Raises:
        RecipeError: as `tamis.training.recipe_file.load`.
    """
    return load(path, Recipe)


def parse_recipe(document: Any, source: str = "the recipe") -> Recipe:
    """Validate a preprocessor's recipe given as nested dicts; `source` names it in errors.

    Raises:
        RecipeError: as `tamis.training.recipe_file.parse`.
    """
    return parse(document, Recipe, source)
