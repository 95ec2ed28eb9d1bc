"""Trains a learned codec for one rate after another from a recipe; see `train_codec`."""

from collections.abc import Iterator
from pathlib import Path

import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from rich.console import Console

from tamis.learned.models import LearnedModel, create_model
from tamis.tasks.pixels import to_tensor
from tamis.training.checkpoint import SaveState, read_state
from tamis.training.codec_export import Package
from tamis.training.codec_init import take_weights
from tamis.training.codec_monitor import (
    STEPS,
    VALIDATION,
    CodecValidation,
    MeanLog,
    StepValues,
)
from tamis.training.codec_objective import CodecObjective
from tamis.training.codec_precision import train_in_bfloat16
from tamis.training.codec_recipe import CodecRecipe, Rung, load_codec_recipe
from tamis.training.fitting import (
    expand,
    fit,
    open_folder,
    use_threads,
    write_recipe,
)
from tamis.training.latent_training import LatentTraining
from tamis.training.photos import Photos

_console = Console(stderr=True, highlight=False)


class Crops:
    """The crops of steps `start` to `recipe.steps`, in order; its length counts from step 0."""

    def __init__(self, recipe: CodecRecipe, photos: Photos, start: int) -> None:
        self.recipe = recipe
        self.photos = photos
        self.start = start

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[torch.Tensor]:
        for step in range(self.start, self.recipe.steps):
            yield to_tensor(self.photos.batch(step, self.recipe.batch))


class CodecTraining(LatentTraining):
    """The model and its loss.

    Attributes:
        model: what is trained.
    """

    def __init__(self, rung: Rung, model: LearnedModel, objective: CodecObjective) -> None:
        super().__init__(rung.recipe, rung.fingerprint())
        self.model = model
        self.objective = objective

    def training_step(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """The loss of one batch of crops, `(N, 3, H, W)`."""
        self.begin(self.model.latents)
        cost = self.objective(self.model(x), x)
        self.values = StepValues(float(cost.loss), float(cost.bpp), float(cost.mse), 0)
        return cost.loss


def train_codec(
    recipe: CodecRecipe | str | Path, out: str | Path | None = None, resume: bool = True
) -> list[Path]:
    """Train the model of `recipe` for every lambda of its ladder; returns the packages.

    The folder holds `recipe.yaml` and, for every lambda, a folder `lambda-<value>` with
    `steps.csv`, `validation.csv`, TensorBoard events if that is installed, `state.ckpt`, and at the
    end the package, a model directory `<name>-<k>`. What was killed continues from its last
    state: same crops, same noise, same number of steps; what is finished is left as it is, so a
    ladder may grow.

    Args:
        recipe: a recipe or the path of its YAML.
        out: the folder; by default the recipe's.
        resume: continue what the folder holds; otherwise start over.

    Raises:
        RecipeError: the recipe does not validate, the folder holds a run of another recipe, or the
            loss is not finite.
        TamisError: a photo that is not to be had.
    """
    source = str(recipe) if not isinstance(recipe, CodecRecipe) else None
    recipe = recipe if isinstance(recipe, CodecRecipe) else load_codec_recipe(recipe)
    folder = expand(out or recipe.out)
    use_threads(recipe.threads)
    photos = Photos(recipe.data, recipe.seed)
    write_recipe(folder, recipe)
    return [_train(rung, folder, photos, resume, source) for rung in recipe.rungs()]


def _train(rung: Rung, out: Path, photos: Photos, resume: bool, source: str | None) -> Path:
    """Train one rung to its end; returns its package."""
    recipe, folder = rung.recipe, out / rung.folder
    package = Package(rung, folder, photos, source)
    state = read_state(folder, rung.fingerprint()) if resume else None
    finished = int(state["global_step"]) if state else 0
    if finished == recipe.steps and package.finished():
        return package.directory
    open_folder(folder, resume, (STEPS, VALIDATION))
    model = _start(rung, out, fresh=state is None)
    objective = CodecObjective(recipe.metric, recipe.lambda_)
    held_out = [photos.photo(name) for name in photos.held_out]
    validation = CodecValidation(folder, recipe, objective, held_out, package, finished)
    fit(
        CodecTraining(rung, model, objective),
        Crops(recipe, photos, finished),
        [
            MeanLog(folder, recipe.log_every, finished),
            validation,
            SaveState(folder, recipe.checkpoint, recipe.steps),
            TQDMProgressBar(refresh_rate=recipe.log_every),
        ],
        folder,
        steps=recipe.steps,
        clip=recipe.optimiser.clip,
        resume=bool(state),
        accelerator=recipe.accelerator,
    )
    if not package.finished():  # trained before the package had this number
        validation.run(model, recipe.steps, streams=True)
    return package.directory


def _start(rung: Rung, out: Path, fresh: bool) -> LearnedModel:
    """The model with the weights that its training starts from."""
    recipe, size = rung.recipe, rung.recipe.model
    torch.manual_seed(recipe.seed)
    model = create_model(size.name, size.n, size.m, size.context_channels)
    parent = out / rung.parent.folder if rung.parent else None
    source = parent or (expand(recipe.init) if recipe.init else None)
    if fresh and source is not None:
        taken = take_weights(model, source)
        _console.print(f"{taken.tensors} of {taken.of} tensors taken from {source}", soft_wrap=True)
    if recipe.precision == "bf16":
        for transform in (model.analysis, model.synthesis):
            train_in_bfloat16(transform)
    return model.to(memory_format=torch.channels_last)
