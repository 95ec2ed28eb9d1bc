"""Recipes of learned codecs: what is accepted, how a ladder is numbered, how a mistake is named."""

from pathlib import Path
from typing import Any

import pytest

from tamis.errors import RecipeError
from tamis.training.codec_recipe import load_codec_recipe, parse_codec_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = [*sorted((FOLDER / "learned").glob("*.yaml")), FOLDER / "tiny-codec.yaml"]


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "name": "a",
        "model": {"name": "joint", "n": 8, "m": 12},
        "lambda": 0.01,
        "data": {"folders": ["sample"]},
        "steps": 3,
        "ladder": [
            {"lambda": 0.002, "steps": 2, "learning_rate": 1e-4},
            {"lambda": 0.03, "steps": 2, "learning_rate": 1e-4, "from": "previous"},
        ],
        "out": "runs/a",
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_codec_recipe_of_the_repository_validates(path: Path) -> None:
    recipe = load_codec_recipe(path)
    assert recipe.name == (path.stem if path.parent.name == "learned" else "tiny")


def test_rungs_are_numbered_by_rate_and_trained_in_order(document: dict[str, Any]) -> None:
    rungs = parse_codec_recipe(document).rungs()
    assert [(rung.name, rung.folder) for rung in rungs] == [
        ("a-2", "lambda-0.01"),
        ("a-1", "lambda-0.002"),
        ("a-3", "lambda-0.03"),
    ]
    assert [rung.parent for rung in rungs] == [None, rungs[0], rungs[1]]
    assert [rung.steps for rung in rungs] == [3, 5, 7]
    assert rungs[1].recipe.optimiser.learning_rate == 1e-4


def test_a_rung_depends_on_those_below_it_alone(document: dict[str, Any]) -> None:
    def prints() -> list[str]:
        return [rung.fingerprint() for rung in parse_codec_recipe(document).rungs()]

    before = prints()
    document["ladder"][1]["steps"] = 9
    assert prints()[:2] == before[:2] and prints()[2] != before[2]
    document["steps"] = 9
    assert not set(prints()) & set(before)


def test_the_fingerprint_leaves_out_what_changes_no_weight(document: dict[str, Any]) -> None:
    before = parse_codec_recipe(document).fingerprint()
    quiet = {"out": "b", "threads": 2, "log_every": 7, "validation": {"every": 3}}
    assert parse_codec_recipe(document | quiet).fingerprint() == before
    assert parse_codec_recipe(document | {"precision": "bf16"}).fingerprint() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "joind"}}, "model: unknown learned model 'joind'; did you mean"),
        ({"model": {"name": "joint", "context_channels": 3}}, "context-adaptive only"),
        ({"model": {"name": "joint", "q": 3}}, "unknown key 'q' in model"),
        ({"lamda": 0.1}, "unknown key 'lamda'; did you mean 'lambda'"),
        ({"lambda": 0}, "greater than 0"),
        ({"lambda": 0.002}, "lambda 0.002 is listed twice"),
        (
            {"metric": "ms-ssim", "data": {"folders": ["sample"], "crop": 128}},
            "data.crop of at least 176",
        ),
        ({"accelerator": "tpu"}, "accelerator: Input should be 'auto', 'cpu' or 'gpu'"),
        ({"ladder": [{"lambda": 1, "steps": 1, "learning_rate": 1, "from": "last"}]}, "from"),
        ({"data": {"folders": ["sample"], "crop": 100}}, "multiple of 16"),
    ],
)
def test_a_mistake_is_one_clear_line(
    document: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_codec_recipe(document | change)
    assert "\n" not in str(caught.value)
