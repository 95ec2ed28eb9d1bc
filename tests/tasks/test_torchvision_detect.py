"""torchvision's detectors with random weights: scored on COCO-format data, differentiated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from marked_photos import mark

from tamis.codecs import Image, get_codec
from tamis.data.annotations import COCO_IDS, Annotations
from tamis.errors import TamisError
from tamis.tasks import LabelledTask, PooledTask, get_differentiable, get_task
from tamis.tasks.coco_masks import decode_mask, found_masks
from tamis.tasks.pixels import to_tensor
from tamis.tasks.torchvision_detect import TorchvisionDetector
from tamis.tasks.torchvision_targets import target

SPECS = [
    "detect:fcos_resnet50_fpn",
    "detect:retinanet_resnet50_fpn",
    "detect:fasterrcnn_resnet50_fpn",
    "instances:maskrcnn_resnet50_fpn",
    "keypoints:keypointrcnn_resnet50_fpn",
]


@pytest.fixture(scope="module", params=SPECS)
def task(request: pytest.FixtureRequest) -> TorchvisionDetector:
    """A network that sees 64 pixels, looks at few places and tells its best guesses."""
    made = get_task(f"{request.param}:weights=random:size=64:confident=0.001")
    assert isinstance(made, TorchvisionDetector)
    net = made._net
    chooser = getattr(net, "roi_heads", net)
    chooser.score_thresh, chooser.detections_per_img = 0.0, 4
    if chooser is not net:
        net.rpn._post_nms_top_n = {"training": 12, "testing": 12}
        chooser.fg_bg_sampler.batch_size_per_image = 8
    if chooser is not net and chooser.keypoint_predictor is not None:
        # A joint is there where its score is above 0.
        torch.nn.init.constant_(chooser.keypoint_predictor.kps_score_lowres.bias, 1.0)
    return made


@pytest.fixture(scope="module")
def crops(photos: list[Image]) -> list[Image]:
    return [np.ascontiguousarray(photo[40:136, 60:188]) for photo in photos[:2]]


@pytest.fixture(scope="module")
def labels(crops: list[Image], tmp_path_factory: pytest.TempPathFactory) -> list[Annotations]:
    return mark(crops, tmp_path_factory.mktemp("coco"))


def test_it_finds_what_torchvision_finds(task: TorchvisionDetector, crops: list[Image]) -> None:
    (row,) = task.predict(crops[:1])
    found, width, height = task.scoring.packing.unpack(row)
    assert (width, height) == (128, 96)
    with torch.inference_mode():
        (theirs,) = task._net(list(to_tensor(crops[:1])))
    sides = theirs["boxes"][:, 2:] - theirs["boxes"][:, :2]
    known = np.isin(theirs["labels"].numpy(), COCO_IDS) & (sides > 0).all(dim=1).numpy()
    order = np.argsort(-theirs["scores"].numpy()[known], kind="stable")
    assert len(found) == known.sum() > 0
    boxes = theirs["boxes"].numpy()[known][order]
    assert found.boxes * [128, 96, 128, 96] == pytest.approx(boxes, abs=1e-3)
    assert [COCO_IDS[c] for c in found.classes] == theirs["labels"].numpy()[known][order].tolist()
    if "masks" in theirs:
        ours = [decode_mask(code, 128, 96) for code in found_masks(found, 128, 96)]
        pasted = theirs["masks"].numpy()[known][order][:, 0] > 0.5
        assert (np.array(ours) == pasted).mean() > 0.999
    if "keypoints" in theirs:
        assert found.keypoints is not None
        points = theirs["keypoints"].numpy()[known][order][..., :2]
        assert found.keypoints[..., :2] * [128, 96] == pytest.approx(points, abs=1e-2)


def test_it_is_scored_on_coco_annotations(
    task: TorchvisionDetector, crops: list[Image], labels: list[Annotations]
) -> None:
    assert isinstance(task, PooledTask) and isinstance(task, LabelledTask)
    codec, reference = get_codec("jpeg"), task.predict(crops)
    coded = task.predict([codec.decode(codec.encode(crop, 20)) for crop in crops])
    same, worse = (task.score(rows, reference, labels) for rows in (reference, coded))
    assert list(same) == list(task.measures)
    assert same["overlap"] == pytest.approx([1, 1])
    assert (worse["overlap"] < 1).all()
    assert np.isfinite(worse["image_ap_labels"]).all()
    pooled = task.pool(task.records(coded, reference, labels))
    assert list(pooled) == list(task.pooled)
    assert 0 <= pooled["map_labels"] <= pooled["ap50_labels"] <= 1
    unchanged = task.pool(task.records(reference, reference, [None, None]))
    assert np.isnan(unchanged["map_labels"])
    # Doubles that point at the same place may be matched crosswise.
    assert unchanged["map"] > 0.9


def test_the_loss_has_a_gradient_and_is_zero_where_nothing_changed(
    task: TorchvisionDetector, crops: list[Image]
) -> None:
    x = to_tensor(crops)
    with torch.no_grad():
        reference = task.outputs(x)
    assert task.loss(reference, reference).tolist() == [0, 0]
    moved = (0.8 * x).requires_grad_()
    outputs = task.outputs(moved)
    loss = task.loss(outputs, reference)
    (gradient,) = torch.autograd.grad(loss.sum(), moved)
    assert loss.shape == (2,) and gradient.isfinite().all()
    assert (gradient.abs().flatten(1).amax(dim=1) > 0).all()
    assert (task.feature_loss(outputs, reference) > 0).all()


def test_the_networks_own_loss_against_labels_has_a_gradient(
    task: TorchvisionDetector, crops: list[Image], labels: list[Annotations]
) -> None:
    x = to_tensor(crops).requires_grad_()
    loss = task.label_loss(x, labels)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert loss.shape == (2,) and (loss > 0).all() and gradient.isfinite().all()
    assert (gradient.abs().flatten(1).amax(dim=1) > 0).all()
    with torch.no_grad():
        assert task.label_loss(x[1:], labels[1:]) == pytest.approx(loss[1].item(), rel=1e-3)
        nothing = replace(
            labels[0], boxes=labels[0].boxes[:0], classes=labels[0].classes[:0],
            crowd=labels[0].crowd[:0], areas=labels[0].areas[:0], masks=(),
            keypoints=labels[0].keypoints[:0],
        )  # fmt: skip
        assert task.label_loss(x[:1], [nothing]).isfinite().all()


def test_prepare_keeps_the_aspect_ratio(task: TorchvisionDetector) -> None:
    assert task.prepare(np.zeros((96, 128, 3), np.uint8)).shape == (64, 85, 3)
    assert task.prepare(np.zeros((96, 480, 3), np.uint8)).shape == (21, 106, 3)


def test_targets_are_in_pixels_and_leave_crowds_out(labels: list[Annotations]) -> None:
    found = target(labels[0], (48, 64), masks=True)
    assert found["labels"].tolist() == [1, 18]
    assert found["boxes"][0].tolist() == pytest.approx([6.4, 9.6, 32, 43.2], abs=1e-3)
    assert found["masks"].shape == (2, 48, 64)
    assert found["masks"][0].sum() == pytest.approx(25.6 * 33.6, rel=0.05)
    with_joints = target(labels[0], (48, 64), keypoints=True)
    assert with_joints["keypoints"].shape == (1, 17, 3)


def test_a_label_that_a_detector_cannot_learn_from_is_refused(labels: list[Annotations]) -> None:
    with pytest.raises(TamisError, match="annotations of a photo, not from 7"):
        target(7, (48, 64))
    with pytest.raises(TamisError, match="these have none"):
        target(replace(labels[0], keypoints=None), (48, 64), keypoints=True)
    with pytest.raises(TamisError, match="class 95 is none of COCO's 80"):
        target(replace(labels[0], classes=np.full(3, 95)), (48, 64))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("detect:fcos_resnet50", "did you mean 'fcos_resnet50_fpn'"),
        ("instances:fcos_resnet50_fpn", "known: maskrcnn_resnet50_fpn"),
        ("detect:fcos_resnet50_fpn:weights=none", "is written detect:NAME"),
        ("detect:fcos_resnet50_fpn:depth=3", "is written detect:NAME"),
        ("detect:fcos_resnet50_fpn:size=big", "size is a number of pixels from 32, not 'big'"),
        ("detect:fcos_resnet50_fpn:confident=2", "between 0 and 1, not '2'"),
    ],
)
def test_a_spec_written_wrongly_says_how_it_is_written(spec: str, message: str) -> None:
    with pytest.raises(TamisError, match=message):
        get_task(spec)


def test_weights_that_are_not_here_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, *args: object, **options: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(TamisError, match=r"fcos_resnet50_fpn_coco-\w+\.pth") as caught:
        get_differentiable("detect:fcos_resnet50_fpn")
    assert "TAMIS_WEIGHTS" in str(caught.value) and "\n" not in str(caught.value)
