"""torchvision's segmentation networks, with random weights: outputs, losses, scores."""

from functools import cache

import numpy as np
import pytest
import torch

from tamis.codecs import Image, get_codec
from tamis.data.annotations import Annotations
from tamis.errors import TamisError, UnknownNameError
from tamis.tasks.base import DifferentiableTask, FeatureTask, LabelledTask, PooledTask
from tamis.tasks.pixels import to_tensor
from tamis.tasks.torchvision_segment import MEASURES, TorchvisionSegmenter

NETWORKS = {
    "deeplabv3_resnet50": 8,
    "deeplabv3_mobilenet_v3_large": 16,
    "lraspp_mobilenet_v3_large": 8,
    "fcn_resnet50": 8,
}
"""Each network and how many pixels lie between two places of its own grid."""

SIZE = 64


@cache
def network(name: str) -> TorchvisionSegmenter:
    """With its last layers turned up: random ones say nearly the same of any picture."""
    task = TorchvisionSegmenter(name, SIZE, random=True)
    for layer in [m for m in task._net.classifier.modules() if isinstance(m, torch.nn.Conv2d)]:
        if layer.out_channels == 21:
            layer.weight.mul_(1000)
    return task


@pytest.fixture(scope="module")
def light() -> TorchvisionSegmenter:
    return network("lraspp_mobilenet_v3_large")


@pytest.fixture(scope="module")
def crops(photos: list[Image]) -> list[Image]:
    return [photo[40:136, 60:188] for photo in photos[:3]]


def person_in_the_left_half(width: int = 128, height: int = 96) -> Annotations:
    half = width / 2
    return Annotations(
        width,
        height,
        np.array([[0, 0, 0.5, 1]], np.float32),
        np.zeros(1, np.int64),
        np.zeros(1, np.bool_),
        np.array([half * height], np.float32),
        ([[0, 0, half, 0, half, height, 0, height]],),
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_stretched_logits_are_what_torchvision_gives(name: str, crops: list[Image]) -> None:
    task = network(name)
    x = to_tensor([task.prepare(crop) for crop in crops[:2]])
    with torch.no_grad():
        logits = task.outputs(x)["logits"]
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        theirs = task._net((x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))["out"]
    assert logits.shape == (2, 21, SIZE // NETWORKS[name], SIZE // NETWORKS[name])
    assert torch.allclose(task._stretch(logits, SIZE, SIZE), theirs, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_loss_has_a_gradient_to_every_picture(name: str, crops: list[Image]) -> None:
    task = network(name)
    reference = task.outputs(to_tensor(crops[:2]))
    x = (0.8 * to_tensor(crops[:2])).requires_grad_()
    outputs = task.outputs(x)
    losses = [
        task.feature_loss(outputs, reference),
        task.label_loss(x, [person_in_the_left_half()] * 2),
    ]
    # This one's random features fade on their way: its logits stay the same to the last bit.
    if name != "deeplabv3_mobilenet_v3_large":
        losses.append(task.loss(outputs, reference))
    for loss in losses:
        (gradient,) = torch.autograd.grad(loss.sum(), x, retain_graph=True)
        assert loss.shape == (2,) and (loss > 0).all()
        assert gradient.isfinite().all()
        assert (gradient.abs().flatten(1).amax(dim=1) > 0).all()


def test_it_is_every_kind_of_task(light: TorchvisionSegmenter) -> None:
    for protocol in (DifferentiableTask, FeatureTask, LabelledTask, PooledTask):
        assert isinstance(light, protocol)


def test_nothing_changed_is_no_loss_and_full_agreement(
    light: TorchvisionSegmenter, crops: list[Image]
) -> None:
    x = to_tensor(crops)
    outputs = light.outputs(x)
    assert light.loss(outputs, outputs).abs().max() < 1e-6
    assert light.feature_loss(outputs, outputs).max() == 0
    rows = light.predict(crops)
    scores = light.score(rows, rows)
    assert list(scores) == list(MEASURES)
    assert scores["kl"] == pytest.approx(0, abs=1e-6)
    assert scores["agreement"].tolist() == scores["iou"].tolist() == [1] * len(crops)
    assert np.isnan(scores["iou_labels"]).all()
    assert light.pool(light.records(rows, rows))["miou"] == 1


def test_the_loss_is_the_divergence_that_is_scored(
    light: TorchvisionSegmenter, crops: list[Image]
) -> None:
    prepared = [light.prepare(crop) for crop in crops]
    dark = [np.uint8(np.rint(0.8 * image.astype(float))) for image in prepared]
    loss = light.loss(light.outputs(to_tensor(dark)), light.outputs(to_tensor(prepared)))
    scores = light.score(light.predict(dark), light.predict(prepared))
    assert loss.numpy() == pytest.approx(scores["kl"], rel=1e-4)


def test_a_coarser_jpeg_is_further_away(light: TorchvisionSegmenter, crops: list[Image]) -> None:
    codec, reference = get_codec("jpeg"), light.predict(crops)
    coded = {
        q: light.predict([codec.decode(codec.encode(crop, q)) for crop in crops]) for q in (5, 95)
    }
    kl = {q: light.score(rows, reference)["kl"].mean() for q, rows in coded.items()}
    assert kl[5] > kl[95] > 0


def test_labels_are_scored_in_voc_classes_at_the_size_of_the_photo(
    light: TorchvisionSegmenter,
) -> None:
    # 15 is person in VOC; the left half of the grid says so.
    logits = np.zeros((1, 21, 8, 8), np.float32)
    logits[:, 15, :, :4], logits[:, 0, :, 4:] = 9, 9
    rows = logits.reshape(1, -1)
    label = person_in_the_left_half()
    assert light.score(rows, rows, [label])["iou_labels"][0] == 1
    right = np.ascontiguousarray(logits[..., ::-1]).reshape(1, -1)
    assert light.score(right, rows, [label])["iou_labels"][0] == 0
    pooled = light.pool(
        light.records(np.concatenate([rows, right]), np.concatenate([rows] * 2), [label, None])
    )
    assert pooled["miou_labels"] == 1 and pooled["miou"] < 1


def test_label_loss_is_low_where_the_classes_are_right(light: TorchvisionSegmenter) -> None:
    label = person_in_the_left_half()
    truth = light._truth_at_input(label)
    assert (truth[:, : SIZE // 2] == 15).all() and (truth[:, SIZE // 2 :] == 0).all()
    with pytest.raises(TamisError, match="learns from masks of objects, not from 7"):
        light.label_loss(torch.zeros(1, 3, SIZE, SIZE), [7])


@pytest.mark.parametrize(
    ("name", "coco"), [("aeroplane", 4), ("tvmonitor", 62), ("sofa", 57), ("dog", 16)]
)
def test_cocos_classes_become_vocs(light: TorchvisionSegmenter, name: str, coco: int) -> None:
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights as Weights

    names = Weights.DEFAULT.meta["categories"]
    assert names[light._classes[coco]] == name
    assert (light._classes > 0).sum() == 20


def test_specs() -> None:
    from tamis.tasks import get_differentiable

    spec = "segment:lraspp_mobilenet_v3_large:size=64:weights=random"
    assert get_differentiable(spec).name == spec
    with pytest.raises(TamisError, match="written segment:NAME"):
        get_differentiable("segment:lraspp_mobilenet_v3_large:features=x")
    with pytest.raises(TamisError, match="from 32, not '8'"):
        get_differentiable("segment:lraspp_mobilenet_v3_large:size=8")
    with pytest.raises(UnknownNameError, match="did you mean 'deeplabv3_resnet50'"):
        get_differentiable("segment:deeplabv3_resnet5:weights=random")


def test_offline_one_line_names_the_weights_and_the_folder(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMIS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(TamisError, match=r"lraspp_mobilenet_v3_large-d234d4ea\.pth") as caught:
        TorchvisionSegmenter("lraspp_mobilenet_v3_large")
    assert "\n" not in str(caught.value) and "TAMIS_WEIGHTS" in str(caught.value)
