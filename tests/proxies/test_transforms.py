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
    inverse_block_dct,
    pad_to_multiple,
    rgb_to_ycbcr,
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
