"""Folding batch norms changes the time a network takes and nothing else."""

from collections.abc import Callable
from functools import partial

import pytest
import timm
import torch
import torchvision.models
from torch import nn

from tamis.tasks.folding import fold_batch_norms


def norms(net: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())


def with_statistics(net: nn.Module) -> nn.Module:
    """Batch norms as after training: means, variances, scales and shifts that matter."""
    draw = torch.Generator().manual_seed(3)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor, low, high in (
                (norm.running_mean, -0.3, 0.3),
                (norm.running_var, 0.5, 2.0),
                (norm.weight.data, 0.7, 1.3),
                (norm.bias.data, -0.2, 0.2),
            ):
                assert tensor is not None
                tensor.uniform_(low, high, generator=draw)
    return net.eval()


def test_an_efficientnet_keeps_its_logits_and_loses_all_its_batch_norms() -> None:
    torch.manual_seed(0)
    net = with_statistics(timm.create_model("tf_efficientnet_lite0", num_classes=10))
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        before = net(x)
        after = fold_batch_norms(net, x[:1])(x)
    assert norms(net) == 0
    assert before.abs().max() > 0.01
    assert (before - after).abs().max() < 1e-4 * max(1.0, float(before.abs().max()))


@pytest.mark.parametrize(
    "build", [torchvision.models.resnet50, partial(timm.create_model, "resnest50d")]
)
def test_residual_networks_keep_their_logits_and_lose_all_their_batch_norms(
    build: Callable[..., nn.Module],
) -> None:
    torch.manual_seed(0)
    net = with_statistics(build(num_classes=10))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = net(x)
        after = fold_batch_norms(net, x)(x)
    assert norms(net) == 0
    assert before.abs().max() > 0.01
    assert (before - after).abs().max() < 1e-4 * max(1.0, float(before.abs().max()))


def test_a_batch_norm_that_follows_no_convolution_stays() -> None:
    net = with_statistics(
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    )
    x = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        before = net(x)
        after = fold_batch_norms(net, x)(x)
    assert norms(net) == 2
    assert torch.equal(before, after)


def test_a_convolution_without_bias_gets_the_one_that_folding_needs() -> None:
    torch.manual_seed(0)
    net = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)))
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        before = net(x)
        after = fold_batch_norms(net, x)(x)
    assert net[0].bias is not None  # type: ignore[index]
    assert torch.allclose(before, after, atol=1e-5)
