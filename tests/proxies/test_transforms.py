"""The pieces of a block codec: exact where the standard is, smooth where it is not."""

import io

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image as PillowImage

from tamis.proxies.transforms import (
    block_dct,
    dct_basis,
    index_bits,
    inverse_block_dct,
    pad_to_multiple,
    rgb_to_ycbcr,
    soft_index,
    upsample,
    ycbcr_to_rgb,
)


def draw(*shape: int) -> torch.Tensor:
    return 255 * torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_colours_convert_as_jfif_does() -> None:
    x = draw(1, 3, 8, 8).round()
    pixels = x[0].permute(1, 2, 0).byte().numpy()
    theirs = np.asarray(PillowImage.fromarray(pixels).convert("YCbCr")).astype(float)
    ours = rgb_to_ycbcr(x)[0].permute(1, 2, 0).numpy() + np.array([0, 128, 128])
    assert np.abs(ours - theirs).max() <= 1


def test_colours_come_back() -> None:
    x = draw(2, 3, 8, 8)
    assert torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(x)), x, atol=1e-3)


@pytest.mark.parametrize("size", [8, 16])
def test_the_transform_is_the_dct_of_each_block(size: int) -> None:
    plane = draw(1, 1, 2 * size, 3 * size)
    coefficients = block_dct(plane, size)
    assert coefficients.shape == (1, size * size, 2, 3)
    block = plane[0, 0, size:, :size].numpy()
    expected = scipy.fft.dctn(block, norm="ortho")
    assert np.allclose(coefficients[0, :, 1, 0].reshape(size, size).numpy(), expected, atol=1e-2)


@pytest.mark.parametrize("size", [8, 16])
def test_the_transform_comes_back_and_keeps_energy(size: int) -> None:
    plane = draw(2, 1, 32, 48)
    coefficients = block_dct(plane, size)
    assert torch.allclose(inverse_block_dct(coefficients, size), plane, atol=1e-2)
    assert coefficients.square().sum() == pytest.approx(float(plane.square().sum()), rel=1e-4)


def test_the_basis_is_orthonormal() -> None:
    basis = dct_basis(8)
    assert torch.allclose(basis @ basis.T, torch.eye(64), atol=1e-5)


def test_padding_repeats_the_edge_and_nothing_else() -> None:
    x = draw(1, 3, 13, 16)
    padded = pad_to_multiple(x, 16)
    assert padded.shape == (1, 3, 16, 16)
    assert torch.equal(padded[..., :13, :], x)
    assert torch.equal(padded[..., 15, :], x[..., 12, :])
    assert torch.equal(pad_to_multiple(padded, 16), padded)


def test_chroma_is_upsampled_as_the_decoder_does() -> None:
    """Blocks of one chroma value each: what Pillow shows for them is the triangle filter's."""
    levels = torch.linspace(90, 170, 16).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    planes = torch.cat([torch.full((1, 1, 32, 32), 128.0), upsample(levels), upsample(levels)], 1)
    pixels = planes[0].permute(1, 2, 0).round().byte().numpy()
    out = io.BytesIO()
    PillowImage.fromarray(pixels, "YCbCr").save(out, "JPEG", quality=100, subsampling=2)
    shown = PillowImage.open(io.BytesIO(out.getvalue()))
    shown.draft("YCbCr", None)
    theirs = np.asarray(shown.convert("YCbCr"))[..., 1].astype(float)
    assert np.abs(theirs - planes[0, 1].numpy()).max() <= 2


def test_an_index_is_the_rounded_value() -> None:
    u = torch.tensor([0.0, 0.4, 0.6, 1.6, -2.7, -0.3])
    assert soft_index(u).tolist() == [0, 0, 1, 2, -3, 0]


def test_the_gradient_of_an_index_is_none_inside_a_bin_and_steep_at_its_border() -> None:
    u = torch.tensor([0.1, 0.5, 1.0, -1.5, 7.9], requires_grad=True)
    (gradient,) = torch.autograd.grad(soft_index(u, width=0.5).sum(), u)
    assert gradient.tolist() == [0, 2, 0, 2, 0]


def test_the_gradient_of_an_index_is_one_on_average() -> None:
    u = torch.linspace(0.01, 8.01, 4000, requires_grad=True)
    (gradient,) = torch.autograd.grad(soft_index(u).sum(), u)
    assert gradient.mean().item() == pytest.approx(1, abs=0.01)


def test_soft_bits_are_none_for_zero_and_one_more_per_doubling() -> None:
    bits = index_bits(torch.tensor([0.0, 0.2, 100.0, 200.0, -200.0]), 0.5)
    assert bits[0] == 0 and bits[1] == 0
    assert float(bits[3] - bits[2]) == pytest.approx(1, abs=1e-3)
    assert bits[4] == bits[3]


def test_soft_bits_rise_steadily_with_the_magnitude() -> None:
    bits = index_bits(torch.linspace(0, 6, 500), 0.5)
    assert (bits.diff() >= 0).all()
    assert bits.diff().max() < 0.1
