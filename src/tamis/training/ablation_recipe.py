"""Ablations as files: one base recipe, what each side changes in it, and how both are judged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tamis.errors import RecipeError, UnknownNameError
from tamis.training.finetune_recipe import FinetuneRecipe, parse_finetune_recipe
from tamis.training.recipe import Count, Recipe, parse_recipe
from tamis.training.recipe_file import Section, load

SETUP = "setup"
"""The file, beside those of the ablations, with what they have in common."""


class JudgeRecipe(Section):
    """One network that scores the decoded photos.

    Attributes:
        title: how tables call it.
        spec: task spec.
        loss: `outputs`, against what it says of the original, or `labels`.
    """

    title: str
    spec: str
    loss: Literal["outputs", "labels"] = "outputs"


class EvaluationRecipe(Section):
    """How a side is judged: real files of photos that no run was trained on.

    Attributes:
        folder: where the photos are; `$VARIABLE` is expanded.
        photos: how many of them, at even steps through their names; their central squares.
        judges: networks; the first is the one that the tables compare by.
        resamples: of the bootstrap over seeds and photos.
    """

    folder: str
    photos: Count = 36
    judges: Annotated[tuple[JudgeRecipe, ...], Field(min_length=1)]
    resamples: Count = 1000


class Setup(Section):
    """What all ablations of a folder share.

    Attributes:
        recipe: the base: a preprocessor's recipe, one codec, without `seed` and `out`.
        tuning: the base of fine-tuning the network behind the decoder: a fine-tuning recipe
            without what follows from `recipe` (name, codec, qualities, data, seed, out).
        seeds: one run each.
        evaluation: how they are judged.
    """

    recipe: dict[str, Any]
    tuning: dict[str, Any] = Field(default_factory=dict)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    evaluation: EvaluationRecipe


class SideRecipe(Section):
    """One side of a comparison.

    Attributes:
        name: how the table calls it.
        change: what differs from the base recipe; mappings are merged, all else is replaced.
        each_quality: a network for each quality, which share the steps, instead of one for all.
        preprocessor: without it nothing stands before the codec.
        tuned: whether the judge of the first place is fine-tuned on what it gets.
        seeds: how many of the seeds are run; all by default.
    """

    name: str
    change: dict[str, Any] = Field(default_factory=dict)
    each_quality: bool = False
    preprocessor: bool = True
    tuned: bool = False
    seeds: Count | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SideRecipe":
        if self.each_quality and (self.tuned or not self.preprocessor):
            raise ValueError("each_quality is for sides with a preprocessor and nothing tuned")
        if self.change and not self.preprocessor:
            raise ValueError("a side without a preprocessor has nothing to change")
        return self


class Ablation(Section):
    """One question.

    Attributes:
        question: in a line.
        note: what a reader must know of the comparison.
        sides: the first is what the others are compared with.
        by_quality: whether a second table shows rate and distance at each quality.
    """

    question: str
    note: str = ""
    sides: Annotated[tuple[SideRecipe, ...], Field(min_length=1)]
    by_quality: bool = False

    @model_validator(mode="after")
    def _named_apart(self) -> "Ablation":
        names = [side.name for side in self.sides]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two sides are called '{min(twice)}'")
        return self


class Ablations:
    """The ablations of a folder, `recipes/ablations`, and their runs as recipes.

    Raises:
        RecipeError: no such folder, or a file in it that does not validate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.setup = load(folder / f"{SETUP}.yaml", Setup)
        names = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != SETUP)
        self.all = {name: load(folder / f"{name}.yaml", Ablation) for name in names}
        for name, ablation in self.all.items():
            for side in ablation.sides:
                self._training(side, 0, f"{folder / name}.yaml, side {side.name}")

    def __getitem__(self, name: str) -> Ablation:
        """The ablation called `name`; `UnknownNameError` if there is none."""
        if name not in self.all:
            raise UnknownNameError("ablation", name, self.all)
        return self.all[name]

    def seeds(self, side: SideRecipe, most: int | None = None) -> tuple[int, ...]:
        """The seeds of `side`, of which at most `most` are asked for."""
        counts = [n for n in (side.seeds, most) if n is not None]
        return self.setup.seeds[: min(counts)] if counts else self.setup.seeds

    def base(self) -> Recipe:
        """The base recipe, with the first seed."""
        return self._recipe({}, self.setup.seeds[0], f"{self.folder / SETUP}.yaml")

    def trainings(self, side: SideRecipe, seed: int) -> tuple[Recipe, ...]:
        """The preprocessors that `side` trains: none, one, or one for each quality."""
        return self._training(side, seed, f"side {side.name}")

    def tuning(self, preprocessor: str, seed: int) -> FinetuneRecipe:
        """How the network behind the decoder is tuned on what `preprocessor` and codec leave."""
        base = self.base()
        document = {
            "name": "tuned",
            "task": self.setup.evaluation.judges[0].spec,
            "preprocessor": preprocessor,
            "codec": base.codecs[0].spec,
            "qualities": list(base.codecs[0].qualities),
            "data": base.data.document(),
            "batch": base.batch,
            "threads": base.threads,
            "seed": seed,
            "out": "unused",
        }
        source = f"{self.folder / SETUP}.yaml, tuning"
        return parse_finetune_recipe(merged(document, self.setup.tuning), source)

    def _training(self, side: SideRecipe, seed: int, source: str) -> tuple[Recipe, ...]:
        if not side.preprocessor:
            return ()
        recipe = self._recipe(side.change, seed, source)
        if not side.each_quality:
            return (recipe,)
        qualities = recipe.codecs[0].qualities
        whole = recipe.document()
        parts = []
        for quality in qualities:
            codec = {**whole["codecs"][0], "qualities": [quality]}
            steps = max(1, recipe.steps // len(qualities))
            parts.append(parse_recipe({**whole, "codecs": [codec], "steps": steps}, source))
        return tuple(parts)

    def _recipe(self, change: Mapping[str, Any], seed: int, source: str) -> Recipe:
        document = merged({**self.setup.recipe, "seed": seed, "out": "unused"}, change)
        recipe = parse_recipe(document, source)
        if len(recipe.codecs) != 1:
            raise RecipeError(f"{source}: an ablation compares on one codec; give one")
        return recipe


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change`: mappings are merged to any depth, everything else is replaced.

    >>> merged({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": 3}, "d": [4]})
    {'a': {'b': 3, 'c': 2}, 'd': [4]}
    """
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merged(old, value)
        result[key] = value
    return result
