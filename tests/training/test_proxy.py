"""Fitting a learned proxy to a codec end to end: real photos, real files, a run that stops."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tamis.cli import main
from tamis.codecs import get_codec
from tamis.errors import RecipeError
from tamis.proxies import get_proxy
from tamis.proxies.learned import LearnedProxy
from tamis.training.checkpoint import SaveState, read_state
from tamis.training.fitting import fit
from tamis.training.photos import Photos
from tamis.training.preprocessor import _couplings
from tamis.training.proxy import ProxyTraining, start, train_proxy
from tamis.training.proxy_examples import Examples
from tamis.training.proxy_objective import gap
from tamis.training.proxy_recipe import ProxyRecipe, load_proxy_recipe, parse_proxy_recipe
from tamis.training.recipe import parse_recipe

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes" / "proxy").glob("*.yaml"))


def small(**changes: Any) -> ProxyRecipe:
    return parse_proxy_recipe(
        {
            "name": "small",
            "codec": "bpg:preset=ultrafast",
            "qualities": [28, 41],
            "calibration": [28, 41],
            "model": {"name": "joint", "n": 4, "m": 6},
            "data": {"folders": ["sample"], "crop": 64, "held_out": 3, "cache_side": 128},
            "batch": 4,
            "pool": 3,
            "steps": 6,
            "optimiser": {"learning_rate": 0.003, "warm_up": 1},
            "checkpoint": {"steps": 1},
            "validation": {"every": 4},
            "log_every": 2,
            "accelerator": "cpu",
            "out": "unused",
        }
        | changes
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert train_proxy(small(), folder) == folder / "small"
    return folder


def test_a_run_leaves_logs_a_state_and_a_proxy(whole: Path) -> None:
    assert [int(row["step"]) for row in rows(whole / "steps.csv")] == [2, 4, 6]
    steps = [int(row["step"]) for row in rows(whole / "validation.csv")]
    assert steps == [0, 0, 4, 4, 6, 6]
    assert len(list(whole.glob("pool-*/0*.npz"))) == 3
    codec = get_codec("bpg")
    proxy = get_proxy(codec, name=f"learned:{whole / 'small'}")
    assert float(proxy(torch.rand(1, 3, 64, 64), 34)[1]) > 0


def test_the_factors_make_the_mean_rate_on_held_out_photos_the_codecs(whole: Path) -> None:
    card = yaml.safe_load((whole / "small" / "card.yaml").read_text())
    for row in card["metrics"]["held_out"]:
        factor = card["calibration"][str(row["quality"])]
        assert factor * row["proxy_bpp"] == pytest.approx(row["bpp"], rel=0.02)


def test_a_stopped_run_goes_on_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    recipe = small()
    photos = Photos(recipe.data, recipe.seed)
    # Three of its six steps, as a kill would leave them.
    module = ProxyTraining(recipe, start(recipe, fresh=True))
    examples = Examples(recipe, photos, tmp_path)
    fit(
        module,
        examples,
        [SaveState(tmp_path, recipe.checkpoint, recipe.steps)],
        tmp_path,
        steps=3,
        clip=recipe.optimiser.clip,
        resume=False,
    )
    train_proxy(recipe, tmp_path)
    states = [read_state(folder, recipe.fingerprint()) for folder in (whole, tmp_path)]
    ours, theirs = (state["state_dict"] for state in states if state is not None)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_coded_pictures_are_read_back_and_come_again(tmp_path: Path) -> None:
    recipe = small()
    examples = Examples(recipe, Photos(recipe.data, recipe.seed), tmp_path)
    first = examples.at(1)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("pool-*/*.npz")}
    again = Examples(recipe, Photos(recipe.data, recipe.seed), tmp_path).at(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.glob("pool-*/*.npz")}
    *_, last = examples
    assert torch.equal(last.x, examples.at(5 % 3).x)


def test_examples_hold_what_the_codec_made_of_crops_and_their_versions(tmp_path: Path) -> None:
    recipe = small()
    example = Examples(recipe, Photos(recipe.data, recipe.seed), tmp_path).at(0)
    assert example.x.shape == example.coded.shape == (4, 3, 64, 64)
    assert torch.equal(example.strength[:2], example.strength[2:])
    assert not torch.equal(example.x[:2], example.x[2:])
    assert float((example.coded - example.x).abs().mean()) < 0.1
    assert bool((example.bpp > 0).all())


def test_the_loss_vanishes_for_what_the_codec_itself_gives(tmp_path: Path) -> None:
    recipe = small(photo=0)
    example = Examples(recipe, Photos(recipe.data, recipe.seed), tmp_path).at(0)
    output = start(recipe, fresh=True)(example.x, example.strength)
    perfect = output._replace(x_hat=example.coded, bpp=example.bpp)
    assert float(gap(recipe, perfect, example).loss) == pytest.approx(0, abs=1e-6)
    doubled = gap(recipe, perfect._replace(bpp=2 * example.bpp), example)
    assert float(doubled.loss) > 0.1


def test_another_proxy_is_a_place_to_start_from(whole: Path, tmp_path: Path) -> None:
    started = start(small(init=str(whole)), fresh=True)
    state = read_state(whole, small().fingerprint())
    assert state is not None
    for name, value in started.state_dict().items():
        assert torch.equal(value, state["state_dict"][f"network.{name}"]), name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_validates(path: Path) -> None:
    assert load_proxy_recipe(path).steps > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codec": "webp"}, "step"),
        ({"qualities": [41, 28]}, "lowest, highest"),
        ({"calibration": [20]}, "between"),
        ({"qualities": [28, 99]}, "outside 0..51"),
        ({"model": {"name": "factorized"}}, "hyperprior"),
        ({"chagne": 3}, "did you mean 'change'"),
    ],
)
def test_a_recipe_that_cannot_be_is_explained(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        small(**changes)


def test_the_command_prints_where_the_proxy_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = small(steps=1, out=str(tmp_path / "run")).document()
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SystemExit) as stopped:
        main(["train", "proxy", str(path)])
    assert stopped.value.code in (0, None)
    assert str(tmp_path / "run" / "small") in capsys.readouterr().out


def test_a_preprocessors_recipe_takes_a_proxy_by_its_directory(whole: Path) -> None:
    recipe = parse_recipe(
        {
            "name": "filter",
            "network": "npp-lite",
            "data": {"folders": ["sample"]},
            "codecs": [{"spec": "bpg:preset=ultrafast", "qualities": [34]}],
            "tasks": [{"spec": "classify:efficientnet_lite0"}],
            "proxy": f"learned:{whole / 'small'}",
            "steps": 1,
            "out": "unused",
        }
    )
    (coupling,) = _couplings(recipe).values()
    assert isinstance(coupling.proxy, LearnedProxy)
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    x_hat, bpp = coupling(x, 34)
    real, rate = coupling.real(x, 34)
    assert torch.allclose(x_hat, real, atol=1e-6)  # values of the codec, gradients of the proxy
    assert torch.allclose(bpp, rate)
    (gradient,) = torch.autograd.grad(x_hat.sum(), x)
    assert float(gradient.abs().max()) > 0
