"""What a step works on follows from its number alone."""

from collections import Counter

import pytest
import torch

from tamis.training.batches import Batches
from tamis.training.photos import Photos
from tamis.training.recipe import Recipe, parse_recipe


def recipe(tasks: int, **changes: object) -> Recipe:
    document = {
        "name": "a",
        "data": {"folders": ["sample"], "crop": 64, "held_out": 1},
        "codecs": [{"spec": "jpeg", "qualities": [12, 30], "lambda": "auto"}],
        "tasks": [{"spec": f"classify:efficientnet_lite{i}"} for i in range(tasks)],
        "tasks_in_turn": True,
        "steps": 64,
        "batch": 2,
        "out": "unused",
    }
    return parse_recipe(document | changes)


def turns(tasks: int, **changes: object) -> list[int | None]:
    of = recipe(tasks, **changes)
    batches = Batches(of, Photos(of.data, of.seed), None)
    return [batches.at(step).task for step in range(of.steps)]


def test_a_resumed_run_gets_the_batches_of_the_uninterrupted_one() -> None:
    of = recipe(2)
    whole = iter(Batches(of, Photos(of.data, 0), None))
    for _ in range(3):
        next(whole)
    expected, resumed = next(whole), next(iter(Batches(of, Photos(of.data, 0), None, start=3)))
    for a, b in zip(expected, resumed, strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_in_turn_every_task_judges_once_a_round() -> None:
    order = turns(3, steps=30)
    assert all(sorted(order[i : i + 3]) == [0, 1, 2] for i in range(0, 30, 3))  # type: ignore[type-var]


@pytest.mark.parametrize(("tasks", "every"), [(2, 4), (3, 3), (2, 2)])
def test_every_task_is_compared_though_turns_and_comparisons_share_a_factor(
    tasks: int, every: int
) -> None:
    compared = Counter(turns(tasks)[::every])
    assert set(compared) == set(range(tasks))
    assert min(compared.values()) >= 2


def test_without_turns_all_tasks_judge_every_step() -> None:
    assert set(turns(2, tasks_in_turn=False, steps=4)) == {None}
