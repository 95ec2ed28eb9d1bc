"""The loss of a step."""

import numpy as np
import pytest
import torch

from tamis.codecs import get_codec
from tamis.preprocessing.module import load_network
from tamis.proxies import Coupling
from tamis.tasks import Classify
from tamis.training.batches import Batches
from tamis.training.ensemble import Ensemble
from tamis.training.lagrangian import PlainCurve
from tamis.training.objective import Objective, round_through
from tamis.training.photos import Photos
from tamis.training.recipe import Recipe, parse_recipe
from tamis.training.teacher import Teacher, write_target


def recipe(**changes: object) -> Recipe:
    document = {
        "name": "a",
        "data": {"folders": ["sample"], "crop": 64, "held_out": 1},
        "codecs": [{"spec": "jpeg", "qualities": [20], "lambda": {20: 3.0}}],
        "tasks": [{"spec": "classify:efficientnet_lite0"}],
        "steps": 3,
        "batch": 2,
        "out": "unused",
    }
    return parse_recipe(document | changes)


PLAIN = PlainCurve((12, 20, 40), (0.4, 0.5, 0.8), (1.0, 0.7, 0.3))


def objective(of: Recipe, ensemble: Ensemble) -> Objective:
    couplings = {"jpeg": Coupling(get_codec("jpeg"))}
    return Objective(of, ensemble, couplings, {("jpeg", 20): 3.0}, {"jpeg": PLAIN})


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble([Classify("efficientnet_lite0")], [2.0])


def test_the_loss_is_rate_plus_lambda_distance_and_reaches_every_last_layer(
    ensemble: Ensemble,
) -> None:
    of = recipe()
    batch = Batches(of, Photos(of.data, 0), None).at(1)
    network = load_network("npp-lite")
    terms = objective(of, ensemble)(network, batch)
    values = terms.values
    assert values["distance"] == pytest.approx(2 * values["classify:efficientnet_lite0"])
    # Relative to the plain rate at this quality, so that every quality counts alike.
    expected = (values["bpp"] + 3 * values["distance"]) / 0.5
    assert values["loss"] == pytest.approx(expected, rel=1e-5)
    crops = [np.uint8(x * 255 + 0.5) for x in batch.source.permute(0, 2, 3, 1).numpy()]
    real = np.mean([8 * len(get_codec("jpeg").encode(crop, 20)) / 64**2 for crop in crops])
    assert values["bpp"] == pytest.approx(real)
    terms.loss.backward()
    gradients = dict(network.named_parameters())
    assert all(gradients[f"{k}.weight"].grad.abs().max() > 0 for k in ("block_last", "half_last"))


def test_a_comparison_teaches_the_proxy_and_an_untrained_network_saves_nothing(
    ensemble: Ensemble,
) -> None:
    of = recipe(compare_every=1)
    batch = Batches(of, Photos(of.data, 0), None).at(0)
    network = load_network("npp-lite")
    judge = objective(of, ensemble)
    assert judge(network, batch).values["saved"] == pytest.approx(0, abs=1e-4)
    torch.nn.init.normal_(network.half_last.weight, std=0.01)
    before = judge.couplings["jpeg"].slope(20).value
    judge(network, batch)
    assert judge.couplings["jpeg"].slope(20).value != before


def test_imitation_pulls_to_the_teacher(ensemble: Ensemble, tmp_path: object) -> None:
    folder = str(tmp_path)
    image = np.random.default_rng(0).integers(20, 200, (64, 64, 3), np.uint8)
    write_target(folder, "a", "jpeg", 20, image, image + 4)
    of = recipe(teacher={"folder": folder, "steps": 2, "weight": 0.5})
    batches = Batches(of, Photos(of.data, 0), Teacher(folder, 64))
    assert batches.at(2).target is None
    network = load_network("npp-lite")
    # The untrained network is the identity: 4 grey levels off everywhere.
    loss = objective(of, ensemble)(network, batches.at(1)).loss
    assert loss.item() == pytest.approx(0.5 * 16, rel=1e-4)


def test_rounding_gives_grey_levels_forward_and_passes_the_gradient() -> None:
    x = torch.rand(100, requires_grad=True)
    y = round_through(x)
    assert torch.allclose(y * 255, (y * 255).round(), atol=1e-4)
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones(100))  # type: ignore[arg-type]
