"""Trains a learned codec to answer as another codec does, from a recipe; see `train_proxy`."""

from pathlib import Path

import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from rich.console import Console

from tamis.card import CARD
from tamis.learned.models import create_model
from tamis.proxies.learned import ConditionedModel
from tamis.proxies.package import save
from tamis.training.checkpoint import SaveState, read_state
from tamis.training.codec_init import read_weights, take_weights
from tamis.training.codec_monitor import STEPS, MeanLog, StepValues
from tamis.training.codec_precision import train_in_bfloat16
from tamis.training.fitting import (
    expand,
    fit,
    open_folder,
    use_threads,
    write_recipe,
)
from tamis.training.latent_training import LatentTraining
from tamis.training.photos import Photos
from tamis.training.proxy_examples import Example, Examples
from tamis.training.proxy_monitor import VALIDATION, ProxyValidation
from tamis.training.proxy_objective import gap
from tamis.training.proxy_recipe import ProxyRecipe, load_proxy_recipe


class ProxyTraining(LatentTraining):
    """The network and its loss; the error in `values` is that to the codec's pictures.

    Attributes:
        network: what is trained.
    """

    def __init__(self, recipe: ProxyRecipe, network: ConditionedModel) -> None:
        super().__init__(recipe, recipe.fingerprint())
        self.recipe: ProxyRecipe
        self.network = network

    def training_step(self, example: Example, index: int) -> torch.Tensor:
        """The loss of one batch."""
        self.begin(self.network.model.latents)
        loss, mse, bpp = gap(self.recipe, self.network(example.x, example.strength), example)
        self.values = StepValues(float(loss), float(bpp), float(mse), 0)
        return loss


def train_proxy(
    recipe: ProxyRecipe | str | Path, out: str | Path | None = None, resume: bool = True
) -> Path:
    """Fit the proxy of `recipe` to its codec; returns its directory, to use as `learned:DIRECTORY`.

    The run's folder holds `recipe.yaml`, `steps.csv`, `validation.csv`, TensorBoard events if that
    is installed, a folder `pool-...` of the codec's files, `state.ckpt`, and at the end the
    directory: safetensors and card. A run that was killed continues from its last state: same
    pictures, same noise, same number of steps.

    Args:
        recipe: a recipe or the path of its YAML.
        out: the run's folder; by default the recipe's.
        resume: continue what the folder holds; otherwise start over. The codec's files are kept
            either way.

    Raises:
        RecipeError: the recipe does not validate, the folder holds a run of another recipe, or the
            loss is not finite.
        TamisError: a codec or photo that is not to be had.
    """
    source = str(recipe) if not isinstance(recipe, ProxyRecipe) else None
    recipe = recipe if isinstance(recipe, ProxyRecipe) else load_proxy_recipe(recipe)
    folder = expand(out or recipe.out)
    use_threads(recipe.threads)
    state = read_state(folder, recipe.fingerprint()) if resume else None
    finished = int(state["global_step"]) if state else 0
    open_folder(folder, resume, (STEPS, VALIDATION))
    write_recipe(folder, recipe)
    photos = Photos(recipe.data, recipe.seed)
    examples = Examples(recipe, photos, folder, finished)
    module = ProxyTraining(recipe, start(recipe, fresh=state is None))
    validation = ProxyValidation(folder, examples, photos, finished)
    if not state:
        validation.run(module.network, 0)
    fit(
        module,
        examples,
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
    directory = folder / recipe.name
    if finished < recipe.steps or not (directory / CARD).is_file():
        if not validation.rows:  # killed between the last state and the export
            validation.run(module.network, recipe.steps)
        _export(module.network, recipe, directory, validation, len(photos.training), source)
    return directory


def start(recipe: ProxyRecipe, fresh: bool) -> ConditionedModel:
    """The network with the weights that its training starts from."""
    torch.manual_seed(recipe.seed)
    size = recipe.model
    model = create_model(size.name, size.n, size.m, size.context_channels)
    network = ConditionedModel(model)
    if fresh and recipe.init is not None:
        taken = take_weights(model, expand(recipe.init))
        gains = {
            k: v for k, v in read_weights(expand(recipe.init)).items() if k.startswith("gains")
        }
        network.load_state_dict(gains, strict=False)  # those of another run; a codec has none
        told = f"{taken.tensors} of {taken.of} tensors taken from {recipe.init}"
        Console(stderr=True, highlight=False).print(told, soft_wrap=True)
    if recipe.precision == "bf16":
        for transform in (model.analysis, model.synthesis):
            train_in_bfloat16(transform)
    return network.to(memory_format=torch.channels_last)


def _export(
    network: ConditionedModel,
    recipe: ProxyRecipe,
    directory: Path,
    validation: ProxyValidation,
    photos: int,
    source: str | None,
) -> None:
    rows = [{name: round(value, 4) for name, value in row.items()} for row in validation.rows]
    save(
        directory,
        validation.proxy(network, calibrated=True),
        recipe.codec,
        steps=recipe.steps,
        recipe=Path(source).name if source else recipe.name,
        data=recipe.data.description or f"{photos} photos of {', '.join(recipe.data.folders)}",
        licence=recipe.licence,
        metrics={
            "command": f"tamis train proxy {source or recipe.name}",
            "photos": recipe.data.held_out,
            "held_out": rows,
        },
    )
