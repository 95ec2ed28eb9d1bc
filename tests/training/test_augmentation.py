"""The shared augmentation moves everything it is called on alike."""

import numpy as np
import torch

from tamis.training.augmentation import Augmentation
from tamis.training.recipe import AugmentationRecipe

X = torch.rand(6, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def draw(**options: float) -> Augmentation:
    recipe = AugmentationRecipe.model_validate({"shift": 0, "scale": 0, "flip": False} | options)
    return Augmentation.draw(recipe, len(X), np.random.default_rng(0))


def test_nothing_to_move_is_the_identity() -> None:
    assert torch.allclose(draw()(X), X, atol=1e-5)


def test_a_flip_is_exact_and_concerns_some_pictures() -> None:
    moved = draw(flip=True)(X)
    flipped = [
        bool(torch.allclose(m, x.flip(-1), atol=1e-5)) for m, x in zip(moved, X, strict=True)
    ]
    kept = [bool(torch.allclose(m, x, atol=1e-5)) for m, x in zip(moved, X, strict=True)]
    assert all(f != k for f, k in zip(flipped, kept, strict=True))
    assert any(flipped) and any(kept)


def test_it_is_linear_so_a_difference_moves_with_its_picture() -> None:
    move = draw(shift=0.1, scale=0.2, flip=True)
    assert torch.allclose(move(X) - move(X / 2), move(X / 2), atol=1e-5)
    assert not torch.allclose(move(X), X, atol=0.05)
