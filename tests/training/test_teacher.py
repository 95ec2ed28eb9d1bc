"""Refined photos on disk as targets."""

from pathlib import Path

import numpy as np
import pytest

from tamis.errors import RecipeError
from tamis.training.teacher import Teacher, write_target

SOURCE = np.random.default_rng(0).integers(0, 255, (80, 112, 3), np.uint8)


def test_source_and_target_are_cut_at_the_same_place_of_the_block_grid(tmp_path: Path) -> None:
    write_target(tmp_path, "a", "jpeg", 20, SOURCE, SOURCE + 1)
    teacher = Teacher(tmp_path, 64)
    assert teacher.pairs == [("jpeg", 20)]
    sources, targets = teacher.batch("jpeg", 20, 5, np.random.default_rng(0))
    places = [SOURCE[y : y + 64, x : x + 64] for y in (0, 16) for x in (0, 16, 32, 48)]
    for source, target in zip(sources, targets, strict=True):
        assert np.array_equal(source + 1, target)
        assert any(np.array_equal(source, p) or np.array_equal(source, p[:, ::-1]) for p in places)


def test_a_folder_without_targets_and_a_target_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no targets"):
        Teacher(tmp_path, 64)
    write_target(tmp_path, "a", "jpeg", 20, SOURCE, SOURCE[:64])
    with pytest.raises(RecipeError, match="expected equal"):
        Teacher(tmp_path, 64).batch("jpeg", 20, 1, np.random.default_rng(0))
