"""The published backbones by name: built, with gradients, and the same in every process."""

import pytest
import torch

from tamis.codecs import Image
from tamis.tasks import Classify, get_task

BACKBONES = (
    "torchvision.resnet50",
    "torchvision.swin_t",
    "torchvision.vit_b_16",
    "resnest50d",
)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_scores_photos_and_has_a_gradient_to_their_pixels(
    name: str, photos: list[Image]
) -> None:
    size = "" if "vit" in name else ":size=64"
    task = get_task(f"classify:{name}{size}:weights=random")
    assert isinstance(task, Classify)
    assert task.predict(photos[:1]).shape == (1, 1000)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, task.size, task.size, generator=generator)
    reference = task.outputs(1 - x)
    x.requires_grad_()
    task.loss(task.outputs(x), reference).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("name", ["torchvision.squeezenet1_1", "test_resnet", "efficientnet_lite0"])
def test_random_weights_are_the_same_each_time(name: str, photos: list[Image]) -> None:
    first, again = (Classify(name, random=True).predict(photos[:2]) for _ in range(2))
    assert (first == again).all()
    assert abs(first).max() > 0


@pytest.mark.parametrize(
    ("name", "size", "crop"),
    [("torchvision.resnet50", 224, 224 / 232), ("resnest50d", 224, 0.875)],
)
def test_the_pipeline_is_the_published_one(name: str, size: int, crop: float) -> None:
    task = Classify(name, random=True)
    assert task.pipeline.size == size
    assert task.pipeline.crop_pct == pytest.approx(crop)
    assert task.pipeline.mean == pytest.approx((0.485, 0.456, 0.406))
