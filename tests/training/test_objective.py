"""The loss of a step."""

import numpy as np
import pytest
import torch

from tamis.codecs import get_codec
from tamis.preprocessing.module import load_network
from tamis.proxies import get_proxy
from tamis.proxies.coupling import Coupling
from tamis.tasks import Classify
from tamis.training.batches import Batches
from tamis.training.ensemble import Ensemble
from tamis.training.objective import Objective, round_through
from tamis.training.photos import Photos
from tamis.training.recipe import Recipe, parse_recipe
from tamis.training.teacher import Teacher, write_target


def recipe(**changes: object) -> Recipe:
    document = {
        "name": "a",
        "data": {"folders": ["sample"], "crop": 64},
        "codecs": [{"spec": "jpeg", "qualities": [20], "lambda": {20: 3.0}}],
        "tasks": [{"spec": "classify:efficientnet_lite0"}],
        "steps": 3,
        "batch": 2,
        "out": "unused",
    }
    document["data"] = {"folders": ["sample"], "crop": 64, "held_out": 1}
    return parse_recipe(document | changes)


def objective(of: Recipe, ensemble: Ensemble) -> Objective:
    jpeg = get_codec("jpeg")
    # Without a comparison there is no curve to look up: `compare_every` skips step 1.
    return Objective(
        of, ensemble, {"jpeg": Coupling(jpeg, get_proxy(jpeg))}, {("jpeg", 20): 3.0}, {}
    )


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
    assert values["loss"] == pytest.approx(values["bpp"] + 3 * values["distance"], rel=1e-5)
    crops = [np.uint8(x * 255 + 0.5) for x in batch.source.permute(0, 2, 3, 1).numpy()]
    real = np.mean([8 * len(get_codec("jpeg").encode(crop, 20)) / 64**2 for crop in crops])
    assert values["bpp"] == pytest.approx(real)
    terms.loss.backward()
    gradients = dict(network.named_parameters())
    assert all(gradients[f"{k}.weight"].grad.abs().max() > 0 for k in ("block_last", "half_last"))


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
