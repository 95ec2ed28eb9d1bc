"""The recipes of Lu et al. 2024: they validate, fit together, and say what the paper says."""

from pathlib import Path

import pytest
import torch

from tamis.proxies import Coupling, get_proxy
from tamis.tasks import get_differentiable
from tamis.training.codec_recipe import load_codec_recipe
from tamis.training.ensemble import Ensemble
from tamis.training.proxy_recipe import load_proxy_recipe
from tamis.training.recipe import load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "lu2024"


@pytest.mark.parametrize("name", ["full", "reduced"])
def test_algorithm_1_has_the_published_settings(name: str) -> None:
    recipe = load_recipe(FOLDER / f"{name}.yaml")
    (codec,) = recipe.codecs
    assert (recipe.network, codec.spec, recipe.beta, recipe.forward) == ("npp", "bpg", 0.5, "codec")
    assert codec.lambda_ == {28: 8, 31: 4, 34: 2, 37: 1, 41: 0.5}
    assert set(codec.qualities) == {28, 31, 34, 37, 41}
    assert recipe.proxy.startswith("learned")
    assert recipe.compare_every > recipe.steps  # the proxy's rate is never rescaled
    moves = recipe.augmentation
    assert (moves.shift, moves.scale, moves.flip) == (0, 0, False)


def test_the_full_size_runs_start_from_each_other() -> None:
    codec = load_codec_recipe(FOLDER / "joint.yaml")
    proxy = load_proxy_recipe(FOLDER / "proxy.yaml")
    full = load_recipe(FOLDER / "full.yaml")
    assert (codec.model.n, codec.model.m) == (proxy.model.n, proxy.model.m) == (192, 192)
    assert proxy.init == f"{codec.out}/{codec.rungs()[0].folder}"
    assert full.proxy == f"learned:{proxy.out}/{proxy.name}"
    assert proxy.steps >= 100_000


def test_tasks_follow_the_network_to_its_device() -> None:
    task = get_differentiable("classify:efficientnet_lite0:weights=random")
    ensemble = Ensemble([task], [1.0])
    meta = torch.device("meta")
    ensemble.to(meta)
    pictures = torch.rand(2, 3, 64, 64, device=meta)
    distances = ensemble.distances(pictures, pictures)
    assert distances.device == ensemble.total(distances).device == meta


def test_the_analytic_proxy_works_where_its_input_is() -> None:
    from tamis.codecs import get_codec

    for name in ("jpeg", "bpg"):
        codec = get_codec(name)
        Coupling(codec).to(torch.device("meta"))
        x_hat, bpp = get_proxy(codec)(torch.rand(1, 3, 64, 64, device="meta"), 34)
        assert x_hat.device == bpp.device == torch.device("meta")
