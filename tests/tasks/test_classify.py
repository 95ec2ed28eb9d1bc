"""Classifiers: plausible on real photos, a distance with a gradient, errors one can act on."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tamis.codecs import Image, get_codec
from tamis.errors import TamisError, UnknownNameError
from tamis.tasks import (
    Classify,
    ClassifyWith,
    DifferentiableTask,
    FeatureTask,
    LabelledTask,
    get_differentiable,
    get_task,
)
from tamis.tasks.classify import score_logits
from tamis.tasks.pixels import to_tensor

CHEAP = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
ESPRESSO, CUP = 967, 968


@pytest.fixture(scope="module")
def lite() -> Classify:
    return Classify("efficientnet_lite0")


@pytest.fixture(scope="module")
def logits(lite: Classify, photos: list[Image]) -> np.ndarray:
    return lite.predict(photos)


@pytest.mark.parametrize("name", CHEAP)
def test_the_weights_from_pypi_recognize_a_cat_and_a_cup_of_coffee(
    name: str, named_photos: Mapping[str, Image]
) -> None:
    task = Classify(name)
    cat, coffee = task.predict([named_photos["cat"], named_photos["coffee"]])
    assert "cat" in task.describe(cat)
    assert "espresso" in task.describe(coffee)


def test_predictions_are_one_row_of_class_logits_per_image(
    logits: np.ndarray, photos: list[Image]
) -> None:
    assert logits.shape == (len(photos), 1000)
    assert logits.dtype == np.float32


def test_an_images_prediction_does_not_depend_on_its_batch(
    lite: Classify, logits: np.ndarray, photos: list[Image]
) -> None:
    assert np.abs(lite.predict(photos[1:2]) - logits[1:2]).max() < 1e-3


def test_nothing_changed_is_distance_zero_and_full_agreement(logits: np.ndarray) -> None:
    scores = score_logits(logits, logits)
    assert np.all(scores["kl"] == 0)
    assert np.all(scores["agreement"] == 1)


def test_scores_of_two_classes_are_those_worked_out_by_hand() -> None:
    reference = np.log([[0.75, 0.25], [0.75, 0.25]]).astype(np.float32)
    prediction = np.log([[0.5, 0.5], [0.25, 0.75]]).astype(np.float32)
    scores = score_logits(prediction, reference)
    kl = [0.75 * np.log(1.5) + 0.25 * np.log(0.5), 0.5 * np.log(3)]
    assert scores["kl"] == pytest.approx(kl, abs=1e-6)
    assert scores["probability"] == pytest.approx([0.5, 0.25])
    assert scores["agreement"].tolist() == [1, 0]


def test_a_coarser_jpeg_is_further_away(lite: Classify, logits: np.ndarray, photos: list[Image]):
    codec = get_codec("jpeg")
    distances = [
        lite.score(lite.predict([codec.decode(codec.encode(p, q)) for p in photos]), logits)["kl"]
        for q in (5, 20, 80)
    ]
    means = [float(d.mean()) for d in distances]
    assert means[0] > means[1] > means[2] > 0


def test_accuracy_counts_labels_and_is_nan_without_one(logits: np.ndarray) -> None:
    order = np.argsort(-logits, axis=1)
    labels = [int(order[0, 0]), int(order[1, 3]), int(order[2, 7]), None]
    scores = score_logits(logits[:4], logits[:4], labels)
    np.testing.assert_equal(scores["top1"], [1, 0, 0, np.nan])
    np.testing.assert_equal(scores["top5"], [1, 1, 0, np.nan])
    assert np.isnan(score_logits(logits, logits)["top1"]).all()


def test_every_measure_it_announces_is_scored(lite: Classify, logits: np.ndarray) -> None:
    assert list(lite.score(logits, logits)) == list(lite.measures)


def test_the_training_loss_is_the_kl_that_is_scored(lite: Classify, photos: list[Image]) -> None:
    size = lite.size
    x = to_tensor([lite.prepare(photo) for photo in photos[:2]])
    y = (x + 0.1 * torch.sin(torch.arange(size) / 3.0)).clamp(0, 1)
    with torch.no_grad():
        a, b = lite.outputs(y), lite.outputs(x)
    expected = lite.score(a["logits"].numpy(), b["logits"].numpy())["kl"]
    assert lite.loss(a, b).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_gradient_of_the_loss_reaches_every_pixel_area(
    lite: Classify, photos: list[Image]
) -> None:
    x = to_tensor([photos[0][:160, :96]])
    with torch.no_grad():
        reference = lite.outputs(x)
    moved = (0.9 * x).requires_grad_()
    (gradient,) = torch.autograd.grad(lite.loss(lite.outputs(moved), reference).sum(), moved)
    assert gradient.isfinite().all()
    areas = torch.nn.functional.avg_pool2d(gradient.abs().sum(1, keepdim=True), 32)
    assert areas.min() > 0


def test_the_networks_own_weights_take_no_gradient(lite: Classify) -> None:
    assert not any(p.requires_grad for p in lite.net.parameters())
    assert not lite.net.training


def test_feature_distance_adds_to_the_loss_at_the_named_layers(photos: list[Image]) -> None:
    task = get_task("classify:efficientnet_lite0:features=blocks.1+blocks.3")
    assert isinstance(task, Classify)
    x = to_tensor([photos[0][:160, :160]])
    with torch.no_grad():
        a, b = task.outputs(0.8 * x), task.outputs(x)
    assert set(a) == {"logits", "blocks.1", "blocks.3"}
    gaps = [
        float((a[k] - b[k]).square().mean() / b[k].square().mean())
        for k in ("blocks.1", "blocks.3")
    ]
    kl = task.score(a["logits"].numpy(), b["logits"].numpy())["kl"][0]
    assert float(task.loss(a, b)) == pytest.approx(kl + sum(gaps), rel=1e-3)
    assert float(task.loss(b, b)) == pytest.approx(0, abs=1e-6)


def test_an_unknown_layer_is_answered_by_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'blocks\.\d"):
        Classify("efficientnet_lite0", ["block.2"])


def test_the_whole_photo_is_seen_without_a_crop(lite: Classify, photos: list[Image]) -> None:
    """A change at the border alone, which the model's own crop would not see, is seen."""
    photo = photos[0]
    painted = photo.copy()
    edge = photo.shape[1] // 20
    painted[:, :edge], painted[:, -edge:] = 0, 255
    assert np.array_equal(lite.prepare(photo)[:, edge:-edge], lite.prepare(painted)[:, edge:-edge])
    before, after = lite.predict([photo, painted])
    assert np.abs(before - after).max() > 0.1


def test_prepare_is_the_models_own_validation_crop(lite: Classify, photos: list[Image]) -> None:
    from PIL import Image as PillowImage
    from timm.data import create_transform

    ours = lite.prepare(photos[0])
    theirs = create_transform(
        224, is_training=False, interpolation="bicubic", crop_pct=0.875, mean=(0,) * 3, std=(1,) * 3
    )(PillowImage.fromarray(photos[0]))
    expected = (theirs * 255).round().byte().permute(1, 2, 0).numpy()
    assert ours.shape == (224, 224, 3)
    assert np.array_equal(ours, expected)


def test_cross_entropy_with_the_right_label_is_the_smaller(lite: Classify, photos: list[Image]):
    coffee = to_tensor([photos[3]]).requires_grad_(True)
    right, wrong = (lite.label_loss(coffee, [k]) for k in (ESPRESSO, 1))
    assert right.item() < 1 < wrong.item()
    assert isinstance(lite, LabelledTask)
    right.backward()
    assert coffee.grad is not None and coffee.grad.abs().max() > 0


@pytest.mark.parametrize("label", [1000, -1, None])
def test_a_label_that_is_no_class_is_refused(lite: Classify, label: int | None) -> None:
    with pytest.raises(TamisError, match="class indices 0 to 999, not"):
        lite.label_loss(torch.zeros(1, 3, 224, 224), [label])


def test_the_loss_is_divergence_plus_feature_distance(photos: list[Image]) -> None:
    task = Classify("efficientnet_lite0", ["blocks.2"], size=64)
    x = to_tensor([photos[3]])
    with torch.no_grad():
        outputs, reference = task.outputs(0.9 * x), task.outputs(x)
    plain = Classify("efficientnet_lite0", size=64)
    assert isinstance(plain, FeatureTask)
    both, features = task.loss(outputs, reference), task.feature_loss(outputs, reference)
    assert float(features) > 0
    assert float(both - features) == pytest.approx(float(plain.loss(outputs, reference)), rel=1e-4)
    with pytest.raises(TamisError, match="no features to compare"):
        plain.feature_loss(outputs, reference)


def test_a_size_of_ones_own_is_in_the_name(photos: list[Image]) -> None:
    task = get_task("classify:efficientnet_lite0:size=96")
    assert task.name == "classify:efficientnet_lite0:size=96"
    assert task.prepare(photos[0]).shape == (96, 96, 3)
    assert task.predict(photos[:1]).shape == (1, 1000)


@pytest.mark.parametrize("network", ["efficientnet_lite0", "resnet18", "torchvision.resnet18"])
def test_random_weights_fetch_nothing(network: str) -> None:
    task = get_differentiable(f"classify:{network}:weights=random:size=64")
    assert task.name.endswith(":weights=random")
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    task.outputs(x)["logits"].square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


@pytest.mark.parametrize(
    "spec", ["efficientnet_lite0:size=big", "efficientnet_lite0:weights=best", "a:colour=red"]
)
def test_a_wrong_option_is_named_with_the_right_ones(spec: str) -> None:
    with pytest.raises(TamisError, match="a classifier is written classify:NAME"):
        get_task(f"classify:{spec}")


def test_tuned_weights_are_loaded_and_named(lite: Classify, tmp_path: Path) -> None:
    path = tmp_path / "tuned.safetensors"
    weights = {key: value.contiguous() for key, value in lite.net.state_dict().items()}
    weights["classifier.bias"] = weights["classifier.bias"] + 1
    save_file(weights, path)
    task = get_task(f"classify:efficientnet_lite0:tuned={path}")
    x = [np.zeros((224, 224, 3), np.uint8)]
    assert np.allclose(task.predict(x), lite.predict(x) + 1, atol=1e-4)
    assert str(path) in task.name
    with pytest.raises(TamisError, match="another network"):
        get_task(f"classify:efficientnet_lite1:tuned={path}")
    with pytest.raises(TamisError, match="no weights file"):
        get_task("classify:efficientnet_lite0:tuned=missing.safetensors")


def test_a_classifier_is_a_differentiable_task_and_a_bare_name_makes_one(lite: Classify) -> None:
    assert isinstance(lite, DifferentiableTask)
    assert get_differentiable("efficientnet_lite0").name == lite.name
    assert get_task(lite) is lite


def test_any_function_is_a_task_for_scoring() -> None:
    def brightness(images: list[Image]) -> list[list[float]]:
        return [[image.mean(), 255 - image.mean()] for image in images]

    task = ClassifyWith(brightness, size=32)
    black, white = np.zeros((40, 60, 3), np.uint8), np.full((50, 50, 3), 255, np.uint8)
    predictions = task.predict([black, white])
    assert predictions.argmax(axis=1).tolist() == [1, 0]
    assert task.score(predictions, predictions[::-1])["agreement"].tolist() == [0, 0]
    assert task.prepare(black).shape == (32, 32, 3)


def test_a_function_that_returns_no_rows_is_refused() -> None:
    with pytest.raises(TamisError, match=r"one row of class scores per image, \(2, classes\)"):
        ClassifyWith(lambda images: [1.0, 2.0]).predict([np.zeros((4, 4, 3), np.uint8)] * 2)


def test_a_function_takes_no_part_in_training() -> None:
    with pytest.raises(TamisError, match="has no gradient: it can be benchmarked, but not trained"):
        get_differentiable(ClassifyWith(lambda images: [[0.0]] * len(images)))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet18", "resnet18.a1_in1k.safetensors"),
        ("torchvision.resnet18", "resnet18-f37072fd.pth"),
    ],
)
def test_weights_that_are_not_to_be_had_are_one_quick_clear_error(
    name: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No hub and no cache, whatever this machine has: both are pointed into the void."""
    import huggingface_hub
    import timm.models._hub

    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TORCH_HOME", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(timm.models._hub, "_USE_OLD_CACHE", False, raising=False)
    begun = time.monotonic()
    with pytest.raises(TamisError, match=f"{file}.*TAMIS_WEIGHTS.*checkpoints") as caught:
        Classify(name)
    assert time.monotonic() - begun < 40
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        ("classify:efficientnet_lit0", "efficientnet_lite0"),
        ("classify:torchvision.resnet19", "resnet18"),
        ("clasify:efficientnet_lite0", "classify"),
    ],
)
def test_an_unknown_name_is_answered_by_the_nearest(spec: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{nearest}'"):
        get_task(spec)


@pytest.mark.parametrize("spec", ["classify", "classify:efficientnet_lite0:layers=blocks.2"])
def test_a_spec_written_wrongly_says_how_it_is_written(spec: str) -> None:
    with pytest.raises(TamisError, match="written classify:NAME"):
        get_task(spec)
