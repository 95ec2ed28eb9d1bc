"""The parts that models are made of, each against its formula."""

import pytest
import torch
from scipy.stats import norm

from tamis.learned.bounds import lower_bound, straight_through_round
from tamis.learned.context import LEE_WINDOW, MINNEN_WINDOW, CausalConvolution
from tamis.learned.density import FactorizedDensity, GaussianDensity
from tamis.learned.gaussian import SCALE_MINIMUM, bits, likelihood
from tamis.learned.gdn import GDN
from tamis.learned.transforms import analysis, hyper_analysis, hyper_synthesis, synthesis


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_its_formula(inverse: bool) -> None:
    torch.manual_seed(0)
    layer, x = GDN(4, inverse), torch.randn(2, 4, 3, 5)
    with torch.no_grad():
        layer.gamma += 0.2 * torch.rand(4, 4)
    beta, gamma = layer.beta.double() ** 2, layer.gamma.double() ** 2
    norms = beta[:, None, None] + torch.einsum("ij,njhw->nihw", gamma, x.double() ** 2)
    expected = x * norms.sqrt() if inverse else x / norms.sqrt()
    assert torch.allclose(layer(x).double(), expected, rtol=1e-5)


def test_lower_bound_lets_values_rise_but_not_fall() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    lower_bound(x, 0.5).sum().backward()
    assert x.grad.tolist() == [0, 1]
    x.grad = None
    (-lower_bound(x, 0.5)).sum().backward()
    assert x.grad.tolist() == [-1, -1]


def test_straight_through_round() -> None:
    x = torch.tensor([0.5, 1.5, -0.6], requires_grad=True)
    rounded = straight_through_round(x)
    rounded.sum().backward()
    assert rounded.tolist() == [0, 2, -1]
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_likelihood_is_the_mass_of_the_bin(scale: float) -> None:
    y = torch.arange(-12.0, 13)
    mass = likelihood(y, torch.tensor(0.3), torch.tensor(scale))
    expected = norm.cdf(y + 0.5, 0.3, scale) - norm.cdf(y - 0.5, 0.3, scale)
    assert torch.allclose(mass.double(), torch.from_numpy(expected).clamp(min=1e-9), atol=1e-6)


def test_scales_have_a_floor() -> None:
    y = torch.zeros(1)
    assert likelihood(y, None, torch.tensor(0.0)) == likelihood(
        y, None, torch.tensor(SCALE_MINIMUM)
    )


def test_bits_are_summed_by_picture() -> None:
    assert bits(torch.full((2, 3, 4), 0.25)).tolist() == [24, 24]


@pytest.mark.parametrize("density", [FactorizedDensity(3), GaussianDensity(3)])
@torch.no_grad()
def test_densities_sum_to_one_around_their_medians(
    density: FactorizedDensity | GaussianDensity,
) -> None:
    density.update_medians()
    values = density.medians[None, :, None, None] + torch.arange(-400.0, 401)[None, None, :, None]
    assert torch.allclose(density.likelihood(values).sum((0, 2, 3)), torch.ones(3), atol=1e-3)


@torch.no_grad()
def test_medians_split_the_mass() -> None:
    torch.manual_seed(0)
    density = FactorizedDensity(5)
    density.biases[0] += torch.arange(5.0)[:, None, None]
    density.update_medians()
    assert torch.allclose(density.logits(density.medians[:, None, None]), torch.zeros(1), atol=1e-3)
    assert density.medians.unique().numel() == 5


@pytest.mark.parametrize(("window", "known"), [(MINNEN_WINDOW, 12), (LEE_WINDOW, 14)])
def test_windows(window: object, known: int) -> None:
    assert len(window.offsets) == known  # type: ignore[attr-defined]


def test_causal_convolution_is_a_sum_over_its_window() -> None:
    torch.manual_seed(0)
    layer, x = CausalConvolution(2, 3, LEE_WINDOW), torch.randn(1, 2, 6, 7)
    row, column = 4, 3
    expected = layer.bias.clone()
    for down, right in LEE_WINDOW.offsets:
        weight = layer.weight[:, :, LEE_WINDOW.above + down, LEE_WINDOW.left + right]
        expected = expected + weight @ x[0, :, row + down, column + right]
    assert torch.allclose(layer(x)[0, :, row, column], expected, atol=1e-5)


def test_transforms_have_their_strides() -> None:
    x = torch.rand(1, 3, 64, 128)
    y = analysis(4, 6)(x)
    assert y.shape == (1, 6, 4, 8)
    assert synthesis(4, 6)(y).shape == x.shape
    z = hyper_analysis(4, 6, 0.01)(y)
    assert z.shape == (1, 4, 1, 2)
    assert hyper_synthesis(4, (6, 9), 12, 0.01)(z).shape == (1, 12, 4, 8)
