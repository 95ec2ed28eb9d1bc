"""Recipes: what is accepted, and how a mistake is named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tamis.errors import RecipeError
from tamis.training.recipe import load_recipe, parse_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "tiny-codec.yaml"})


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "name": "a",
        "data": {"folders": ["sample"]},
        "codecs": [{"spec": "jpeg", "qualities": [20, 40], "lambda": "auto"}],
        "tasks": [{"spec": "classify:efficientnet_lite0"}],
        "steps": 3,
        "out": "runs/a",
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_preprocessor_recipe_of_the_repository_validates(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_an_unknown_key_names_the_nearest(document: dict[str, Any]) -> None:
    document["bach"] = 3
    with pytest.raises(RecipeError, match="unknown key 'bach'; did you mean 'batch'"):
        parse_recipe(document)


def test_an_unknown_key_in_a_list_says_where(document: dict[str, Any]) -> None:
    document["codecs"][0]["lamda"] = "auto"
    with pytest.raises(RecipeError, match=r"'lamda' in codecs\.0; did you mean 'lambda'"):
        parse_recipe(document)


def test_an_unknown_key_in_an_optional_section_says_where(document: dict[str, Any]) -> None:
    document["teacher"] = {"foler": "x", "steps": 3}
    with pytest.raises(RecipeError, match="'foler' in teacher; did you mean 'folder'"):
        parse_recipe(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": "jpgg"}, "did you mean 'jpeg'"),
        ({"qualities": [200]}, r"jpeg quality 200 is outside 1\.\.95"),
        ({"qualities": []}, "qualities"),
        ({"lambda": {20: 1.0}}, "no value for jpeg quality 40"),
        ({"lambda": {20: 1.0, 40: -1}}, "greater than 0"),
    ],
)
def test_a_wrong_codec_entry_is_one_clear_line(
    document: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    document["codecs"][0] |= change
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(document)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("a: [")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="no recipe to read"):
        load_recipe(tmp_path / "none.yaml")


def test_the_fingerprint_follows_what_the_result_depends_on(document: dict[str, Any]) -> None:
    first = parse_recipe(document).fingerprint()
    assert parse_recipe(document | {"out": "elsewhere", "threads": 1}).fingerprint() == first
    assert parse_recipe(document | {"seed": 1}).fingerprint() != first


def test_a_recipe_survives_being_written(document: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(document)
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", by_alias=True)))
    assert load_recipe(path) == recipe
