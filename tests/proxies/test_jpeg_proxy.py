"""The JPEG proxy beside the real files: the same tables, almost the same pixels, its rates."""

import io

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tamis.codecs import Image, bpp, get_codec
from tamis.codecs.jpeg import Jpeg
from tamis.proxies.jpeg import JpegProxy, quantization_table
from tamis.tasks.pixels import to_tensor


@pytest.mark.parametrize("quality", [1, 5, 16, 25, 49, 50, 51, 75, 90, 95])
def test_the_tables_are_those_of_the_file(quality: int, crops: list[Image]) -> None:
    file = PillowImage.open(io.BytesIO(Jpeg().encode(crops[0], quality)))
    tables: dict[int, list[int]] = file.quantization  # type: ignore[attr-defined]
    assert quantization_table(quality, chroma=False).tolist() == list(tables[0])
    assert quantization_table(quality, chroma=True).tolist() == list(tables[1])


@pytest.mark.parametrize("subsampling", ["420", "444"])
@pytest.mark.parametrize("quality", [10, 30, 80])
def test_the_reconstruction_is_the_decoders(
    subsampling: str, quality: int, crops: list[Image]
) -> None:
    codec = get_codec(f"jpeg:subsampling={subsampling}")
    assert isinstance(codec, Jpeg)
    x_hat, _ = JpegProxy(codec)(to_tensor(crops), quality)
    ours = 255 * x_hat.permute(0, 2, 3, 1).numpy()
    theirs = np.stack([codec.decode(codec.encode(crop, quality)) for crop in crops])
    assert np.abs(ours - theirs).mean() < 1.5


@pytest.mark.parametrize("quality", [10, 20, 30, 50])
def test_the_rate_follows_the_real_files(quality: int, crops: list[Image]) -> None:
    codec = Jpeg()
    predicted = JpegProxy(codec)(to_tensor(crops), quality)[1].numpy()
    real = [bpp(codec.encode(crop, quality), crop) for crop in crops]
    assert np.corrcoef(predicted, real)[0, 1] >= 0.95


def test_the_rate_rises_with_quality(crops: list[Image]) -> None:
    proxy, x = JpegProxy(Jpeg()), to_tensor(crops[:4])
    rates = torch.stack([proxy(x, quality)[1] for quality in Jpeg.quality.ladder])
    assert (rates.diff(dim=0) > 0).all()


def test_a_flat_picture_costs_next_to_nothing() -> None:
    proxy, flat = JpegProxy(Jpeg()), torch.full((1, 3, 64, 64), 0.5)
    assert proxy(flat, 30)[1].item() < 0.1
    assert proxy(torch.rand(1, 3, 64, 64), 30)[1].item() > 1


@pytest.mark.parametrize("size", [(1, 1), (17, 90), (64, 64)])
@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_any_size_comes_back(size: tuple[int, int], subsampling: str) -> None:
    codec = get_codec(f"jpeg:subsampling={subsampling}")
    assert isinstance(codec, Jpeg)
    x_hat, rate = JpegProxy(codec)(torch.rand(2, 3, *size), 30)
    assert x_hat.shape == (2, 3, *size)
    assert rate.shape == (2,)
    assert x_hat.min() >= 0 and x_hat.max() <= 1


def test_gradients_of_picture_and_rate_are_finite_and_reach_every_picture(
    crops: list[Image],
) -> None:
    x = to_tensor(crops[:2]).requires_grad_()
    x_hat, rate = JpegProxy(Jpeg())(x, 20)
    for value in (x_hat.square().sum(), rate.sum()):
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        assert gradient.isfinite().all()
        reached = torch.nn.functional.max_pool2d(gradient.abs().amax(dim=1), 8) > 0
        assert (reached.float().mean(dim=(1, 2)) > 0.5).all()


def test_less_contrast_costs_less_by_the_sign_of_the_gradient(crops: list[Image]) -> None:
    x = to_tensor(crops).requires_grad_()
    (gradient,) = torch.autograd.grad(JpegProxy(Jpeg())(x, 20)[1].sum(), x)
    flatter = x.detach().mean(dim=(2, 3), keepdim=True) - x.detach()
    assert ((gradient * flatter).flatten(1).sum(1) < 0).all()
