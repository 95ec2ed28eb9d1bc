"""The intra proxy beside real BPG files."""

import numpy as np
import pytest
import torch

from tamis.codecs import Image, bpp, get_codec
from tamis.errors import TamisError
from tamis.proxies import get_proxy
from tamis.proxies.intra import IntraProxy
from tamis.tasks.pixels import to_tensor

BPG = get_codec("bpg:preset=fast")


@pytest.mark.parametrize("quality", [28, 34, 41])
def test_the_rate_follows_the_real_files(quality: int, crops: list[Image]) -> None:
    predicted = IntraProxy(BPG)(to_tensor(crops), quality)[1].numpy()
    real = [bpp(BPG.encode(crop, quality), crop) for crop in crops]
    assert np.corrcoef(predicted, real)[0, 1] >= 0.9


@pytest.mark.parametrize("quality", [28, 41])
def test_the_reconstruction_is_about_as_far_from_the_photo_as_the_codecs(
    quality: int, crops: list[Image]
) -> None:
    few = crops[::4]
    x = to_tensor(few)
    ours = (IntraProxy(BPG)(x, quality)[0] - x).square().mean().sqrt()
    theirs = to_tensor([BPG.decode(BPG.encode(crop, quality)) for crop in few]) - x
    assert 0.5 < float(ours / theirs.square().mean().sqrt()) < 2


def test_the_rate_falls_with_the_qp(crops: list[Image]) -> None:
    proxy, x = IntraProxy(BPG), to_tensor(crops[:4])
    rates = torch.stack([proxy(x, quality)[1] for quality in (22, 28, 34, 41, 47)])
    assert (rates.diff(dim=0) < 0).all()


@pytest.mark.parametrize("name", ["bpg", "bpg:chroma=444", "hevc", "vvc"])
@pytest.mark.parametrize("size", [(1, 1), (17, 90)])
def test_any_size_comes_back_with_a_finite_gradient(name: str, size: tuple[int, int]) -> None:
    proxy = get_proxy(get_codec(name))
    x = torch.rand(2, 3, *size, requires_grad=True)
    x_hat, rate = proxy(x, 34)
    assert x_hat.shape == x.shape
    assert rate.shape == (2,)
    (gradient,) = torch.autograd.grad(x_hat.sum() + rate.sum(), x)
    assert gradient.isfinite().all()


def test_a_codec_that_no_proxy_models_is_refused_with_those_that_are() -> None:
    with pytest.raises(TamisError, match="no proxy for webp; proxies exist for jpeg, bpg"):
        get_proxy(get_codec("webp"))
