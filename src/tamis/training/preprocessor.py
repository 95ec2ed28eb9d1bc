"""Trains a preprocessor through real codecs from a recipe; see `train_preprocessor`."""

import math
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

from tamis.card import SAFETENSORS
from tamis.codecs import get_codec
from tamis.codecs.jpeg import Jpeg
from tamis.errors import RecipeError
from tamis.preprocessing.dct_network import NppDct
from tamis.preprocessing.export import export
from tamis.preprocessing.module import load_network
from tamis.preprocessing.network import Network
from tamis.proxies import get_proxy
from tamis.proxies.coupling import Coupling
from tamis.proxies.jpeg import quantization_table
from tamis.tasks import get_differentiable
from tamis.training.batches import Batch, Batches
from tamis.training.checkpoint import SaveState, read_state
from tamis.training.ensemble import Ensemble
from tamis.training.fitting import (
    expand,
    fit,
    open_folder,
    scheduled,
    use_threads,
    write_recipe,
)
from tamis.training.monitor import StepLog, Validation
from tamis.training.objective import Objective, Terms
from tamis.training.optimiser import optimiser
from tamis.training.photos import Photos
from tamis.training.pricing import CURVES, lambdas, plain_curves
from tamis.training.recipe import Recipe, load_recipe
from tamis.training.teacher import Teacher


class PreprocessorTraining(L.LightningModule):
    """The network and its optimiser; the loss is the `Objective`'s.

    Attributes:
        network: what is trained; the only weights in the state on disk.
        terms: loss and logged values of the last step.
    """

    def __init__(self, recipe: Recipe, network: Network, objective: Objective) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.objective = objective
        self.terms: Terms | None = None

    def on_fit_start(self) -> None:
        """Bring the tasks and the proxies to the network."""
        self.objective.to(self.device)

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """The loss of one batch."""
        terms = self.objective(self.network, batch)
        if not math.isfinite(terms.values["loss"]):
            raise RecipeError(
                f"the loss is not finite at step {batch.step}; lower optimiser.learning_rate"
            )
        scope = f"{batch.spec}-{batch.quality}"
        size = len(batch.source)
        self.log_dict({f"{scope}/{k}": v for k, v in terms.values.items()}, batch_size=size)
        for name in ("bpp", "saved"):
            if name in terms.values:
                self.log(name, terms.values[name], prog_bar=True, logger=False, batch_size=size)
        self.terms = terms._replace(loss=terms.loss.detach())
        return terms.loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The recipe's optimiser and schedule."""
        settings = self.recipe.optimiser
        return scheduled(optimiser(self.network, settings), settings, self.recipe.steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of."""
        checkpoint["recipe"] = self.recipe.fingerprint()
        checkpoint["calibration"] = {
            spec: coupling.state_dict() for spec, coupling in self.objective.couplings.items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the calibration of the proxies."""
        for spec, coupling in self.objective.couplings.items():
            coupling.load_state_dict(checkpoint["calibration"][spec])


def train_preprocessor(
    recipe: Recipe | str | Path, out: str | Path | None = None, resume: bool = True
) -> Path:
    """Train the preprocessor of `recipe` and export it; returns the model directory.

    The run's folder holds `recipe.yaml`, `steps.csv`, `validation.csv`, `samples/`, TensorBoard
    events if that is installed, `curves.json` (the plain codec's curves and the lambdas read from
    them), `state.ckpt`, and at the end the model directory: ONNX, safetensors and card. A run that
    was killed continues from its last state: same batches, same number of steps.

    Args:
        recipe: a recipe or the path of its YAML.
        out: the run's folder; by default the recipe's.
        resume: continue what the folder holds; otherwise start over.

    Raises:
        RecipeError: the recipe does not validate, or the folder holds a run of another recipe.
        TamisError: a codec, task or photo that is not to be had.
    """
    source = str(recipe) if not isinstance(recipe, Recipe) else None
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    folder = expand(out or recipe.out)
    use_threads(recipe.threads)
    state = read_state(folder, recipe.fingerprint()) if resume else None
    open_folder(folder, resume, (CURVES, "steps.csv", "validation.csv"))
    write_recipe(folder, recipe)

    finished = int(state["global_step"]) if state else 0
    photos = Photos(recipe.data, recipe.seed, recipe.labelled)
    teacher = (
        Teacher(os.path.expandvars(recipe.teacher.folder), recipe.data.crop)
        if recipe.teacher
        else None
    )
    tasks = [get_differentiable(os.path.expandvars(task.spec)) for task in recipe.tasks]
    ensemble = Ensemble(
        tasks,
        [task.weight for task in recipe.tasks],
        recipe.precision,
        [task.loss for task in recipe.tasks],
    )
    held_out = photos.whole(photos.held_out)
    labels = photos.labels(photos.held_out) if recipe.labelled else None
    curves = plain_curves(folder, recipe, held_out, ensemble, labels)
    objective = Objective(recipe, ensemble, _couplings(recipe), lambdas(recipe, curves), curves)
    module = PreprocessorTraining(recipe, _network(recipe), objective)
    validation = Validation(folder, recipe, held_out, ensemble, curves, finished, labels)
    fit(
        module,
        Batches(recipe, photos, teacher, finished),
        [
            StepLog(folder, ensemble.names, finished),
            validation,
            SaveState(folder, recipe.checkpoint, recipe.steps),
            TQDMProgressBar(refresh_rate=5),
        ],
        folder,
        steps=recipe.steps,
        clip=recipe.optimiser.clip,
        resume=bool(state),
        accelerator=recipe.accelerator,
    )
    if not validation.rows:  # killed between the last state and the export
        validation.run(module.network, recipe.steps)
    return _export(module.network, recipe, folder, validation.rows, len(photos.training), source)


def _network(recipe: Recipe) -> Network:
    torch.manual_seed(recipe.seed)
    init = Path(os.path.expandvars(recipe.init)) if recipe.init else None
    network = load_network(
        recipe.network, init / SAFETENSORS if init is not None and init.is_dir() else init
    )
    if isinstance(network, NppDct) and init is None:
        codecs = [get_codec(entry.spec) for entry in recipe.codecs]
        if all(isinstance(codec, Jpeg) for codec in codecs):
            tables = [quantization_table(50, chroma=plane > 0) for plane in range(3)]
            network.set_steps(torch.stack(tables) / Jpeg().step(50))
        if recipe.deadzone:
            network.start_as_deadzone(*recipe.deadzone)
    return network.to(memory_format=torch.channels_last)


def _couplings(recipe: Recipe) -> dict[str, Coupling]:
    codecs = {entry.spec: get_codec(entry.spec) for entry in recipe.codecs}
    name = os.path.expandvars(recipe.proxy)
    return {
        spec: Coupling(codec, get_proxy(codec, name=name), recipe.forward, recipe.threads)
        for spec, codec in codecs.items()
    }


def _export(
    network: Network,
    recipe: Recipe,
    folder: Path,
    rows: list[dict[str, object]],
    photos: int,
    source: str | None,
) -> Path:
    directory = folder / recipe.name
    codecs: dict[str, tuple[int, int]] = {}
    for entry in recipe.codecs:
        name = get_codec(entry.spec).name
        every = [*entry.qualities, *codecs.get(name, ())]
        codecs[name] = (min(every), max(every))
    codecs |= recipe.covers
    export(
        network.to(memory_format=torch.contiguous_format),
        directory,
        codecs=codecs,
        cutoff=recipe.cutoff,
        smallest_side=recipe.smallest_side,
        recipe=Path(source).name if source else recipe.name,
        data=recipe.data.description or f"{photos} photos of {', '.join(recipe.data.folders)}",
        licence=recipe.licence,
        metrics={
            "command": f"tamis train preprocessor {source or recipe.name}",
            "photos": recipe.data.held_out,
            "steps": recipe.steps,
            "tasks": [task.spec for task in recipe.tasks],
            "held_out": rows,
        },
    )
    return directory
