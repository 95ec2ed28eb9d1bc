"""What each training step works on, drawn from (seed, step) alone, so that a run can resume."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from tamis.codecs import get_codec
from tamis.preprocessing.conditioning import strength
from tamis.tasks.pixels import to_tensor
from tamis.training.augmentation import Augmentation
from tamis.training.photos import Photos
from tamis.training.recipe import Recipe
from tamis.training.teacher import Teacher


class Batch(NamedTuple):
    """The input of one step.

    Attributes:
        step: number of the step, from 0.
        spec: codec spec.
        quality: the codec's setting for the whole batch.
        strength: what the network is told of it, `(N,)`.
        source: crops, `float32 (N, 3, H, W)` in [0, 1].
        target: refined crops to imitate, or None where the codec itself is the judge.
        moves: matrices of the shared augmentation, `(N, 2, 3)`.
        task: index of the one task that judges this step, or None for all of them.
        labels: one a picture, or None where no task learns from labels.
    """

    step: int
    spec: str
    quality: int
    strength: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor | None
    moves: torch.Tensor
    task: int | None
    labels: tuple[int, ...] | None


class Batches:
    """The batches of steps `start` to `recipe.steps`, in order; its length counts from step 0."""

    def __init__(
        self, recipe: Recipe, photos: Photos, teacher: Teacher | None, start: int = 0
    ) -> None:
        self.recipe = recipe
        self.photos = photos
        self.teacher = teacher
        self.start = start
        self.pairs = [(c.spec, quality) for c in recipe.codecs for quality in c.qualities]

    def __len__(self) -> int:
        return self.recipe.steps

    def __iter__(self) -> Iterator[Batch]:
        return (self.at(step) for step in range(self.start, self.recipe.steps))

    def at(self, step: int) -> Batch:
        """The batch of `step`."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, 3, step))
        teaching = recipe.teacher is not None and step < recipe.teacher.steps
        target = None
        if teaching and self.teacher is not None:
            spec, quality = self.teacher.pairs[rng.integers(len(self.teacher.pairs))]
            sources, targets = self.teacher.batch(spec, quality, recipe.batch, rng)
            target = to_tensor(targets)
        else:
            spec, quality = self.pairs[rng.integers(len(self.pairs))]
            sources = self.photos.batch(step, recipe.batch)
        return Batch(
            step=step,
            spec=spec,
            quality=quality,
            strength=torch.full((recipe.batch,), strength(get_codec(spec), quality)),
            source=to_tensor(sources),
            target=target,
            moves=Augmentation.draw(recipe.augmentation, recipe.batch, rng).matrices,
            task=self._turn(step) if recipe.tasks_in_turn else None,
            labels=self.photos.batch_labels(step, recipe.batch) if recipe.labelled else None,
        )

    def _turn(self, step: int) -> int:
        """The task whose turn it is: each once a round, in an order drawn for the round.

        In a fixed order a comparison every so many steps would meet only some of the tasks.
        """
        turn, place = divmod(step, len(self.recipe.tasks))
        order = np.random.default_rng((self.recipe.seed, 4, turn)).permutation(
            len(self.recipe.tasks)
        )
        return int(order[place])
