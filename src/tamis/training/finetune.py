"""Fine-tunes the network behind the decoder on coded photos; see `finetune`."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from safetensors.torch import save

from tamis.codecs import Image, get_codec
from tamis.errors import RecipeError, TamisError
from tamis.mirror import write_whole
from tamis.preprocessing import get_preprocessor
from tamis.proxies import RealCodec
from tamis.tasks import Classify, get_differentiable
from tamis.tasks.pixels import to_tensor
from tamis.training.checkpoint import SaveState, read_state
from tamis.training.finetune_recipe import FinetuneRecipe, load_finetune_recipe
from tamis.training.fitting import (
    expand,
    fit,
    open_folder,
    scheduled,
    use_threads,
    write_recipe,
)
from tamis.training.log import CsvLog
from tamis.training.optimiser import optimiser
from tamis.training.photos import Photos


class CodedBatch(NamedTuple):
    """The input of one step: pictures before and after, `(N, 3, H, W)` in [0, 1]."""

    step: int
    quality: int
    original: torch.Tensor
    decoded: torch.Tensor
    labels: tuple[int, ...] | None


class CodedBatches:
    """The batches of steps `start` to `recipe.steps`: filtered, encoded and decoded for real."""

    def __init__(self, recipe: FinetuneRecipe, photos: Photos, start: int = 0) -> None:
        self.recipe = recipe
        self.photos = photos
        self.start = start
        self.codec = get_codec(recipe.codec)
        self.preprocess = get_preprocessor(recipe.filter())
        self._real = RealCodec(self.codec, recipe.threads)

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[CodedBatch]:
        return (self.at(step) for step in range(self.start, self.recipe.steps))

    def at(self, step: int) -> CodedBatch:
        """The batch of `step`; what is random follows from (seed, step)."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, 5, step))
        quality = recipe.qualities[rng.integers(len(recipe.qualities))]
        crops = self.photos.batch(step, recipe.batch)
        labels = self.photos.batch_labels(step, recipe.batch) if recipe.loss == "labels" else None
        return CodedBatch(step, quality, to_tensor(crops), self.decoded(crops, quality), labels)

    def decoded(self, images: Sequence[Image], quality: int) -> torch.Tensor:
        """What decoders make of the filtered `images`, all of one size, `(N, 3, H, W)`."""
        filtered = [self.preprocess(image, self.codec, quality) for image in images]
        return to_tensor(self._real.code(filtered, quality)[0])


class Finetuning(L.LightningModule):
    """The network that learns, and beside it the untouched one.

    Batch norms stay what they were on clean photos: `load_network` has folded them into the
    convolutions, so there are no running statistics left for batches of a dozen coded pictures to
    disturb; their scales and shifts learn as part of the convolutions' weights.

    Attributes:
        network: what is trained; the only weights in the state on disk.
        loss: of the last step.
    """

    def __init__(self, recipe: FinetuneRecipe, learner: Classify, clean: Classify) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = learner.net
        self.learner = learner
        self.clean = clean
        self.loss = math.nan
        _let_learn(self.network, recipe.layers)

    def training_step(self, batch: CodedBatch, index: int) -> torch.Tensor:
        """The loss of one batch."""
        loss = losses(self.learner, self.clean, batch).mean()
        self.loss = loss.item()
        if not math.isfinite(self.loss):
            raise RecipeError(
                f"the loss is not finite at step {batch.step}; lower optimiser.learning_rate"
            )
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The recipe's optimiser and schedule."""
        chosen = optimiser(self.network, self.recipe.optimiser)
        return scheduled(chosen, self.recipe.optimiser, self.recipe.steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of."""
        checkpoint["recipe"] = self.recipe.fingerprint()


def losses(learner: Classify, clean: Classify, batch: CodedBatch) -> torch.Tensor:
    """Loss of `learner` on every decoded picture, `(N,)`: against labels, if the batch has them,
    or against what `clean` says of the original.
    """
    if batch.labels is not None:
        return learner.label_loss(batch.decoded, batch.labels)
    with torch.no_grad():
        reference = clean.outputs(batch.original)
    return clean.loss(learner.outputs(batch.decoded), reference)


class _Losses(L.Callback):
    """`steps.csv`: one row a step; `step` counts finished steps."""

    def __init__(self, folder: Path, finished: int) -> None:
        self.csv = CsvLog(folder / "steps.csv", ("quality", "loss"), finished)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: CodedBatch,
        index: int,
    ) -> None:
        self.csv.write(batch.step + 1, {"quality": batch.quality, "loss": module.loss})


def finetune(
    recipe: FinetuneRecipe | str | Path, out: str | Path | None = None, resume: bool = True
) -> Path:
    """Fine-tune the classifier of `recipe` on coded photos; returns its weights file.

    The run's folder holds `recipe.yaml`, `steps.csv`, `validation.csv` (mean loss on the held-out
    photos at every quality, of the untouched network and of the tuned one), `state.ckpt` and
    `<name>.safetensors`, which the task spec `classify:NAME:tuned=PATH` takes. A run that was
    killed continues from its last state.

    Args:
        recipe: a recipe or the path of its YAML.
        out: the run's folder; by default the recipe's.
        resume: continue what the folder holds; otherwise start over.

    Raises:
        RecipeError: the recipe does not validate, or the folder holds a run of another recipe.
        TamisError: a task that is not a classifier, a codec, preprocessor or photo not to be had.
    """
    recipe = recipe if isinstance(recipe, FinetuneRecipe) else load_finetune_recipe(recipe)
    folder = expand(out or recipe.out)
    use_threads(recipe.threads)
    state = read_state(folder, recipe.fingerprint()) if resume else None
    open_folder(folder, resume, ("steps.csv", "validation.csv"))
    write_recipe(folder, recipe)

    finished = int(state["global_step"]) if state else 0
    photos = Photos(recipe.data, recipe.seed, recipe.loss == "labels")
    module = Finetuning(recipe, _classifier(recipe.task), _classifier(recipe.task))
    batches = CodedBatches(recipe, photos, finished)
    fit(
        module,
        batches,
        [
            _Losses(folder, finished),
            SaveState(folder, recipe.checkpoint, recipe.steps),
            TQDMProgressBar(refresh_rate=5),
        ],
        folder,
        steps=recipe.steps,
        clip=recipe.optimiser.clip,
        resume=bool(state),
    )
    _validate(folder, module, photos, batches)
    weights = {k: v.contiguous().detach() for k, v in module.network.state_dict().items()}
    path = folder / f"{recipe.name}.safetensors"
    write_whole(path, save(weights))
    return path


def _classifier(spec: str) -> Classify:
    task = get_differentiable(os.path.expandvars(spec))
    if not isinstance(task, Classify):
        raise TamisError(f"{task.name} cannot be fine-tuned here; give a classifier, classify:NAME")
    return task


def _let_learn(network: torch.nn.Module, layers: tuple[str, ...]) -> None:
    """Let the parameters whose names begin with one of `layers` learn; all, if there are none."""
    parameters = dict(network.named_parameters())
    chosen = [name for name in parameters if not layers or name.startswith(layers)]
    for layer in layers:
        if not any(name.startswith(layer) for name in parameters):
            known = sorted({name.rpartition(".")[0] for name in parameters})
            raise RecipeError(
                f"no parameter's name begins with '{layer}'; the last layers: {known[-3:]}"
            )
    for name in chosen:
        parameters[name].requires_grad_(True)


@torch.no_grad()
def _validate(folder: Path, module: Finetuning, photos: Photos, batches: CodedBatches) -> None:
    """Mean loss on the held-out photos, of the untouched network (`before`) and the tuned one."""
    recipe = module.recipe
    originals = photos.whole(photos.held_out)
    labels = photos.labels(photos.held_out) if recipe.loss == "labels" else None
    log = CsvLog(folder / "validation.csv", ("quality", "before", "after"), 0)
    for quality in recipe.qualities:
        decoded = batches.decoded(originals, quality)
        batch = CodedBatch(recipe.steps, quality, to_tensor(originals), decoded, labels)
        tasks = (module.clean, module.learner)
        before, after = (float(losses(task, module.clean, batch).mean()) for task in tasks)
        log.write(recipe.steps, {"quality": quality, "before": before, "after": after})
