"""Focus maps: they lie where the evidence is, at the layers that a reader would have chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tamis.analysis.evidence import evidence_for
from tamis.analysis.focus import CHANCE, compare, focus_area
from tamis.analysis.gradcam import Focus
from tamis.analysis.layers import last_maps
from tamis.codecs import Image
from tamis.errors import TamisError, UnknownNameError
from tamis.tasks.base import Measure, Predictions
from tamis.tasks.pixels import batches


class Redness:
    """Class 1 is red: features are rectified colour differences, pooled over the picture."""

    name = "redness"
    measures: Mapping[str, Measure] = {"gap": Measure(False, True, "gap")}

    def __init__(self) -> None:
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 4, stride=4, bias=False),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 2, bias=False),
        ).requires_grad_(False)
        self.net[0].weight.zero_()
        self.net[0].weight[0, 0], self.net[0].weight[0, 1] = 1, -1
        self.net[0].weight[1, 1], self.net[0].weight[1, 0] = 1, -1
        self.net[4].weight.zero_()
        self.net[4].weight[1, 0], self.net[4].weight[0, 1] = 1, 1

    def prepare(self, image: Image) -> Image:
        return image

    def predict(self, images: Sequence[Image]) -> Predictions:
        rows = [self.outputs(x)["logits"].numpy() for x in batches(images, 64, 64)]
        return np.concatenate(rows)

    def score(self, predictions: Predictions, reference: Predictions, labels: Any = None) -> Any:
        return {"gap": np.abs(predictions - reference).mean(axis=1)}

    def outputs(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.net(x)}

    def loss(self, outputs: Any, reference: Any) -> torch.Tensor:
        return (outputs["logits"] - reference["logits"]).abs().mean(dim=1)


def red_corner(height: int = 64, width: int = 96) -> Image:
    """Grey, red in the lower left, a smaller green patch in the upper right."""
    image = np.full((height, width, 3), 120, np.uint8)
    image[-24:, :32] = 240, 10, 60
    image[:8, -16:] = 10, 240, 60
    return image


def test_focus_is_where_the_evidence_is() -> None:
    image = red_corner()
    focus = Focus(Redness(), image)
    found = focus.map(image)
    assert focus.layers == ("1",)
    assert found.shape == (64, 96)
    assert found.min() >= 0
    assert found.max() == pytest.approx(1, abs=1e-4)
    inside = np.zeros((64, 96), bool)
    inside[-24:, :32] = True
    assert found[inside].mean() > 0.8
    assert found[~inside].mean() < 0.05
    assert not (focus_area(found) & ~inside)[:32, 48:].any()


def test_the_finding_on_the_original_stays_what_is_explained() -> None:
    image = red_corner()
    focus = Focus(Redness(), image)
    mirrored = np.ascontiguousarray(image[::-1, ::-1])
    found = focus.map(mirrored)
    assert found[:24, -32:].mean() > 0.8
    assert found[24:, :64].mean() < 0.05


def test_a_layer_can_be_named_and_a_wrong_name_is_told() -> None:
    spec = "classify:efficientnet_lite0:weights=random:size=64"
    image = red_corner()
    assert Focus(f"{spec}:layer=blocks.3+blocks.4", image).layers == ("blocks.3", "blocks.4")
    with pytest.raises(UnknownNameError, match=r"did you mean 'blocks\.4'"):
        Focus(f"{spec}:layer=blocks.44", image)


def test_a_classifier_is_looked_at_behind_its_last_convolution() -> None:
    focus = Focus("classify:efficientnet_lite0:weights=random:size=64", red_corner())
    assert focus.layers == ("bn2",)
    assert focus.map(red_corner()).shape == (64, 96)


def test_a_detector_with_a_pyramid_is_looked_at_in_its_levels() -> None:
    image = red_corner()
    focus = Focus("detect:retinanet_resnet50_fpn:weights=random:size=64", image)
    assert focus.layers
    assert all(name.startswith("backbone.fpn") for name in focus.layers)
    assert 0 < focus.map(image).max() <= 1


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(self.first(x).relu_())


def chosen(net: nn.Module, evidence: Any = torch.sum) -> list[str]:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    return list(last_maps(net.requires_grad_(False), lambda: evidence(net(x)).reshape(1)))


def test_a_residual_sum_is_one_map_and_not_its_summands() -> None:
    stem, pool = nn.Conv2d(3, 8, 4, 4), nn.AdaptiveAvgPool2d(1)
    net = nn.Sequential(stem, Residual(), Residual(), pool, nn.Flatten(), nn.Linear(8, 2))
    assert chosen(net) == ["2"]


def test_maps_of_scores_are_outputs_and_not_features() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 1), nn.Sigmoid()
    )
    assert chosen(net) == ["1"]


def test_a_network_without_maps_says_so() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    with pytest.raises(TamisError, match="layer="):
        chosen(net)


def test_evidence_of_any_outputs_is_one_on_the_original() -> None:
    outputs = (torch.rand(1, 5), [torch.rand(1, 3, 4, 4)])
    evidence = evidence_for(Redness(), outputs)
    assert evidence(outputs).tolist() == pytest.approx([1], rel=1e-5)
    half = (outputs[0], [outputs[1][0] * 0])
    assert evidence(half).tolist() == pytest.approx([0.5], rel=1e-5)


def test_equal_maps_agree_and_opposite_maps_do_not() -> None:
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    same, opposite = compare(ramp, ramp), compare(ramp, 1 - ramp)
    assert (same.iou, same.rank) == (1, pytest.approx(1))
    assert (opposite.iou, opposite.rank) == (0, pytest.approx(-1))


def test_areas_that_overlap_by_half_have_an_iou_of_a_third() -> None:
    one, other = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    one[:, :2], other[:, 1:3] = 1, 1
    assert compare(one, other).iou == pytest.approx(1 / 3)


def test_unrelated_maps_overlap_by_chance() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((2, 300, 300), np.float32)
    assert compare(a, b).iou == pytest.approx(CHANCE, abs=0.01)
    assert compare(a, b).rank == pytest.approx(0, abs=0.02)


def test_an_area_holds_only_what_is_above_zero() -> None:
    focus = np.zeros((10, 10), np.float32)
    focus[0, :7] = 0.5
    assert focus_area(focus).sum() == 7
    assert np.isnan(compare(focus * 0, focus * 0).iou)
    assert np.isnan(compare(focus, focus * 0).rank)
