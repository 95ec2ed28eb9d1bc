"""Makes the runs of an ablation that a folder does not hold yet, and reads what they are worth.

```
out/
  runs/<fingerprint>/     a training of a preprocessor; sides of several ablations may share it
  tuned/<fingerprint>/    a fine-tuning of the network behind the decoder
  scores/<digest>.npz     one side and quality on the evaluation photos
  <ablation>.md           its table
```
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tamis.bench.bd import Samples
from tamis.card import CARD
from tamis.codecs import get_codec
from tamis.training.ablation_recipe import Ablations, SideRecipe
from tamis.training.ablation_scores import Array, Evaluation, Scores
from tamis.training.finetune import finetune
from tamis.training.preprocessor import train_preprocessor
from tamis.training.recipe import Recipe

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """One side with one seed on the evaluation photos, at K qualities.

    Attributes:
        seed: of its training.
        curves: one a judge.
        errors: squared error of the filtered photos, grey levels squared, `(N, K)`.
        steps: of training in all.
        seconds: of training in all, without validation; NaN where nothing was trained.
    """

    seed: int
    curves: tuple[Samples, ...]
    errors: Array
    steps: int
    seconds: float


class Runs:
    """The runs of the ablations of a folder.

    Args:
        ablations: what is asked.
        out: where runs, scores and tables are kept.
        say: told what is done next.
    """

    def __init__(self, ablations: Ablations, out: Path, say: Say) -> None:
        self.ablations = ablations
        self.out = out
        self.say = say
        base = ablations.base()
        self.qualities = base.codecs[0].qualities
        self.codec = get_codec(base.codecs[0].spec)
        self.evaluation = Evaluation(
            ablations.setup.evaluation, base.data.crop, self.codec, base.threads, out / "scores"
        )

    def plain(self) -> Measured:
        """The codec alone, before the untouched networks."""
        return self._measured(0, [("none", "none", self.qualities)], None, 0, np.nan)

    def measure(self, side: SideRecipe, seed: int) -> Measured:
        """Train what `side` needs with `seed`, unless it is there, and score it."""
        recipes = self.ablations.trainings(side, seed)
        models = [self._train(recipe, side.name) for recipe in recipes]
        parts = [
            (recipe.fingerprint(), str(model), recipe.codecs[0].qualities)
            for recipe, model in zip(recipes, models, strict=True)
        ] or [("none", "none", self.qualities)]
        steps = sum(recipe.steps for recipe in recipes)
        seconds = sum(seconds_of(model.parent) for model in models) if models else np.nan
        if not side.tuned:
            return self._measured(seed, parts, None, steps, seconds)
        return self._measured(seed, parts, self._tune(parts[0][1], side.name, seed), steps, seconds)

    def _train(self, recipe: Recipe, name: str) -> Path:
        """The model directory of a recipe; trained now if no earlier run left it."""
        folder = self.out / "runs" / recipe.fingerprint()
        model = folder / recipe.name
        if (model / CARD).exists():
            return model
        qualities = ", ".join(map(str, recipe.codecs[0].qualities))
        self.say(f"training: {name}, seed {recipe.seed}, {recipe.steps} steps, at {qualities}")
        return train_preprocessor(recipe, folder)

    def _tune(self, preprocessor: str, name: str, seed: int) -> Path:
        recipe = self.ablations.tuning(preprocessor, seed)
        folder = self.out / "tuned" / recipe.fingerprint()
        weights = folder / f"{recipe.name}.safetensors"
        if weights.exists():
            return weights
        self.say(f"fine-tuning the network: {name}, seed {seed}, {recipe.steps} steps")
        return finetune(recipe, folder)

    def _measured(
        self,
        seed: int,
        parts: Sequence[tuple[str, str, Sequence[int]]],
        tuned: Path | None,
        steps: int,
        seconds: float,
    ) -> Measured:
        """Scores of one or several preprocessors, each for its own qualities, as curves."""
        scored: dict[int, Scores] = {}
        for fingerprint, spec, qualities in parts:
            about = f"{fingerprint} {tuned.parent.name if tuned else ''}"
            found = self.evaluation.scores(about, spec, qualities, tuned)
            scored.update(zip(qualities, found, strict=True))
        ordered = [scored[quality] for quality in self.qualities]
        rates = np.stack([one.rates for one in ordered], axis=1)
        distances = np.stack([one.distances for one in ordered], axis=2)
        curves = tuple(Samples(rates, values) for values in distances)
        errors = np.stack([one.errors for one in ordered], axis=1)
        return Measured(seed, curves, errors, steps, seconds)


def seconds_of(run: Path) -> float:
    """How long the steps of a run in the folder `run` took."""
    with (run / "steps.csv").open(newline="") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))
