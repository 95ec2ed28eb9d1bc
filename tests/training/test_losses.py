"""What a task's loss compares: outputs, features alone, or the prediction with labels."""

from pathlib import Path

import pytest
import torch
from PIL import Image as PillowImage

from tamis.codecs import Image, get_codec
from tamis.errors import RecipeError, TamisError
from tamis.preprocessing.module import load_network
from tamis.proxies import Coupling
from tamis.tasks import Classify, ClassifyWith
from tamis.training.batches import Batches
from tamis.training.ensemble import Ensemble
from tamis.training.lagrangian import PlainCurve, measure_curve
from tamis.training.objective import Objective
from tamis.training.photos import Photos
from tamis.training.recipe import Recipe, parse_recipe

ESPRESSO, TABBY, CUP = 967, 281, 968
IDS = {"coffee": "n07920052", "cat": "n02123045", "astronaut": "n07930864"}
SPEC = "classify:efficientnet_lite0:size=64:features=blocks.2"


@pytest.fixture(scope="module")
def folder(named_photos: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos with ImageNet ids in their names; the astronaut stands for a cup."""
    folder = tmp_path_factory.mktemp("labelled")
    for name, wordnet_id in IDS.items():
        PillowImage.fromarray(named_photos[name]).save(folder / f"{wordnet_id}_1.png")
    return folder


@pytest.fixture(scope="module")
def task() -> Classify:
    return Classify("efficientnet_lite0", ["blocks.2"], size=64)


def recipe(folder: Path | str, loss: str, **changes: object) -> Recipe:
    document = {
        "name": "a",
        "data": {"folders": [str(folder)], "crop": 64, "held_out": 1},
        "codecs": [{"spec": "jpeg", "qualities": [20], "lambda": {20: 3.0}}],
        "tasks": [{"spec": SPEC, "loss": loss}],
        "steps": 3,
        "batch": 2,
        "out": "unused",
    }
    return parse_recipe(document | changes)


def test_a_batch_brings_the_classes_of_its_crops(folder: Path) -> None:
    of = recipe(folder, "labels")
    photos = Photos(of.data, 0)
    known = dict(zip(photos.training, photos.labels(photos.training), strict=True))
    assert set(known.values()) | set(photos.labels(photos.held_out)) == {ESPRESSO, TABBY, CUP}
    # Two photos are left for training, so a batch of two is an epoch.
    assert sorted(Batches(of, photos, None).at(1).labels or ()) == sorted(known.values())
    assert Batches(recipe(folder, "outputs"), photos, None).at(1).labels is None


def test_photos_without_a_class_are_left_out_or_named(folder: Path) -> None:
    data = {"folders": ["sample", str(folder)], "crop": 64, "held_out": 1}
    of = recipe(folder, "labels", data=data)
    photos = Photos(of.data, 0, of.labelled)
    assert len(photos.training) + len(photos.held_out) == len(IDS)
    with pytest.raises(RecipeError, match="0 photos with a class in sample are too few"):
        Photos(recipe("sample", "labels").data, 0, labelled=True)
    with pytest.raises(RecipeError, match="has no label: a task with loss: labels needs a dataset"):
        Batches(of, Photos(recipe("sample", "labels").data, 0), None).at(0)


def test_a_teacher_has_no_labels(folder: Path) -> None:
    with pytest.raises(RecipeError, match="a teacher's targets have no labels"):
        recipe(folder, "labels", teacher={"folder": "x", "steps": 1})


@pytest.mark.parametrize("loss", ["outputs", "features", "labels"])
def test_the_distance_is_the_loss_that_the_recipe_names(
    task: Classify, folder: Path, loss: str
) -> None:
    of = recipe(folder, loss)
    ensemble = Ensemble([task], [1.0], losses=[of.tasks[0].loss])
    batch = Batches(of, Photos(of.data, 0), None).at(0)
    plain = PlainCurve((20,), (0.5,), (1.0,))
    judge = Objective(
        of, ensemble, {"jpeg": Coupling(get_codec("jpeg"))}, {("jpeg", 20): 3.0}, {"jpeg": plain}
    )
    network = load_network("npp-dct")
    terms = judge(network, batch)
    decoded, _ = judge.couplings["jpeg"].real(batch.source, 20)
    from tamis.training.augmentation import Augmentation

    move = Augmentation(batch.moves)
    with torch.no_grad():
        outputs, reference = task.outputs(move(decoded)), task.outputs(move(batch.source))
        expected = {
            "outputs": task.loss(outputs, reference),
            "features": task.feature_loss(outputs, reference),
            "labels": torch.nn.functional.cross_entropy(
                outputs["logits"],
                torch.tensor(batch.labels or (0, 0)),
                reduction="none",
            ),
        }
    assert terms.values["distance"] == pytest.approx(float(expected[loss].mean()), rel=1e-3)
    terms.loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_the_plain_curve_is_priced_by_the_labels(task: Classify, folder: Path) -> None:
    of = recipe(folder, "labels")
    photos = Photos(of.data, 0)
    ensemble = Ensemble([task], [1.0], losses=["labels"])
    images, names = photos.whole(photos.training), photos.training
    curves = [
        measure_curve(get_codec("jpeg"), (20,), images, ensemble, labels=labels)
        for labels in (photos.labels(names), photos.labels(names[::-1]))
    ]
    assert curves[0].rates == curves[1].rates
    assert curves[0].distances != curves[1].distances
    with pytest.raises(TamisError, match="learns from labels, but the photos have none"):
        measure_curve(get_codec("jpeg"), (20,), images, ensemble)


def test_a_task_without_such_a_loss_is_refused() -> None:
    scores = ClassifyWith(lambda images: [[0.0]] * len(images))
    for loss in ("labels", "features", "outputs"):
        with pytest.raises(TamisError, match=f"has no loss on {loss}"):
            Ensemble([scores], [1.0], losses=[loss])
