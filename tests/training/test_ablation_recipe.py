"""Ablations as files: what each side becomes, and mistakes in them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tamis.errors import RecipeError, UnknownNameError
from tamis.training.ablation_recipe import Ablations

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / "ablations"

SETUP: dict[str, Any] = {
    "recipe": {
        "name": "p",
        "data": {"folders": ["sample"], "crop": 64, "held_out": 2},
        "codecs": [{"spec": "jpeg", "qualities": [10, 30]}],
        "tasks": [{"spec": "classify:efficientnet_lite0"}],
        "steps": 10,
    },
    "tuning": {"steps": 3, "layers": ["classifier"]},
    "seeds": [4, 5],
    "evaluation": {
        "folder": "photos",
        "judges": [{"title": "Lite0", "spec": "classify:efficientnet_lite0"}],
    },
}


def written(folder: Path, sides: list[dict[str, Any]], **setup: Any) -> Path:
    (folder / "setup.yaml").write_text(yaml.safe_dump(SETUP | setup))
    (folder / "one.yaml").write_text(yaml.safe_dump({"question": "Why?", "sides": sides}))
    return folder


def test_a_side_is_the_base_recipe_with_its_change(tmp_path: Path) -> None:
    changed = {"name": "b", "change": {"data": {"crop": 96}, "beta": 7}, "seeds": 1}
    of = Ablations(written(tmp_path, [{"name": "a"}, changed]))
    base, side = of["one"].sides
    (a,), (b,) = of.trainings(base, 4), of.trainings(side, 4)
    assert (a.seed, a.data.crop, a.data.held_out) == (4, 64, 2)
    assert (b.beta, b.data.crop, b.data.held_out) == (7, 96, 2)
    assert a.fingerprint() != b.fingerprint()
    assert (of.seeds(base), of.seeds(side), of.seeds(base, 1)) == ((4, 5), (4,), (4,))


def test_separate_networks_share_qualities_and_steps(tmp_path: Path) -> None:
    of = Ablations(written(tmp_path, [{"name": "a", "each_quality": True}]))
    recipes = of.trainings(of["one"].sides[0], 5)
    assert [recipe.codecs[0].qualities for recipe in recipes] == [(10,), (30,)]
    assert [recipe.steps for recipe in recipes] == [5, 5]


def test_tuning_follows_the_base_recipe(tmp_path: Path) -> None:
    of = Ablations(written(tmp_path, [{"name": "a", "preprocessor": False, "tuned": True}]))
    assert of.trainings(of["one"].sides[0], 4) == ()
    recipe = of.tuning("none", 5)
    assert (recipe.codec, recipe.qualities, recipe.seed) == ("jpeg", (10, 30), 5)
    assert (recipe.data.crop, recipe.layers) == (64, ("classifier",))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ([{"name": "a", "change": {"betta": 1}}], "one.yaml, side a: unknown key 'betta'"),
        ([{"name": "a"}, {"name": "a"}], "two sides are called 'a'"),
        ([{"name": "a", "each_quality": True, "tuned": True}], "each_quality is for sides"),
        ([{"name": "a", "preprocessor": False, "change": {"beta": 1}}], "nothing to change"),
        ([{"name": "a", "change": {"codecs": []}}], "codecs"),
    ],
)
def test_a_mistake_in_a_side_is_named(
    tmp_path: Path, sides: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Ablations(written(tmp_path, sides))


def test_two_codecs_are_not_one_comparison(tmp_path: Path) -> None:
    codecs = [{"spec": "jpeg", "qualities": [10]}, {"spec": "bpg", "qualities": [30]}]
    with pytest.raises(RecipeError, match="compares on one codec"):
        Ablations(written(tmp_path, [{"name": "a", "change": {"codecs": codecs}}]))


def test_an_unknown_ablation_is_answered_with_the_nearest(tmp_path: Path) -> None:
    of = Ablations(written(tmp_path, [{"name": "a"}]))
    with pytest.raises(UnknownNameError, match="did you mean 'one'"):
        of["ones"]


def test_a_folder_without_a_setup_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe to read at .*setup\.yaml"):
        Ablations(tmp_path)


def test_the_shipped_ablations_are_those_of_the_issue_and_valid() -> None:
    of = Ablations(SHIPPED)
    assert set(of.all) == {
        *("adaptive", "downstream", "equal-qp", "features", "fidelity"),
        *("forward", "labels", "lambda", "network", "proxy"),
    }
    base = of.base()
    for ablation in of.all.values():
        for side in ablation.sides:
            for recipe in of.trainings(side, 0):
                assert recipe.data == base.data
                assert recipe.codecs[0].spec == base.codecs[0].spec
    of.tuning("none", 0)
