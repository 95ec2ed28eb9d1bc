"""The networks: the identity until trained, of the size promised, with a bounded view."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from tamis.codecs import get_codec
from tamis.errors import UnknownNameError
from tamis.preprocessing.architectures import create_network, list_networks
from tamis.preprocessing.complexity import complexity
from tamis.preprocessing.module import TorchPreprocessor
from tamis.preprocessing.network import Network

NAMES = list_networks()
Make = Callable[[str], Network]
untrained = cache(create_network)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (16, 16), (37, 61)])
@pytest.mark.parametrize("quality", [1, 30, 95])
def test_an_untrained_preprocessor_returns_its_input(
    name: str, size: tuple[int, int], quality: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    filtered = TorchPreprocessor(untrained(name))(image, get_codec("jpeg"), quality)
    assert np.array_equal(filtered, image)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_an_untrained_network_is_the_identity_bit_for_bit(name: str, training: bool) -> None:
    x = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        y = create_network(name).train(training)(x, torch.tensor([-2.0, 1.5]))
    assert torch.equal(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_network_learns(name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name)
    before = [p.detach().clone() for p in network.parameters()]
    x, s = torch.rand(2, 3, 32, 32), torch.tensor([-0.5, 0.5])
    target = nn.functional.avg_pool2d(x, 3, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(4):
        loss = nn.functional.mse_loss(network(x, s), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert not any(map(torch.equal, before, network.parameters()))


def test_parameters_and_arithmetic_are_what_was_promised() -> None:
    npp, lite = (complexity(create_network(name)) for name in ("npp", "npp-lite"))
    assert 9.3e6 < npp.parameters < 9.5e6
    assert lite.parameters < 1e6
    assert npp.macs_per_pixel >= 15 * lite.macs_per_pixel


def test_arithmetic_is_counted_as_by_hand() -> None:
    class Small(Network):
        name, multiple, halo = "small", 2, 2

        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(3, 8, 2, stride=2)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.up = nn.ConvTranspose2d(8, 3, 2, stride=2)
            self.linear = nn.Linear(1, 3)

        def residual(self, x: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
            scale = self.linear(strength[:, None])[:, :, None, None]
            return self.up(self.depthwise(self.down(x))) * scale

    cost = complexity(Small(), side=8)
    assert cost.macs_per_pixel == (8 * 3 * 4) / 4 + (8 * 9) / 4 + (8 * 3 * 4) / 4 + 3 / 64
    assert cost.parameters == (96 + 8) + (72 + 8) + (96 + 3) + 6


@pytest.mark.parametrize("name", ["npp-narrow", "npp-lite", "npp-lite-deep"])
def test_the_halo_holds_the_receptive_field(name: str, shaken: Make) -> None:
    network = shaken(name).double()
    side = 3 * network.multiple + 2 * network.halo
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    for offset in (0, 7, 8, 15):  # the view depends on where in the grid the pixel is
        at = network.halo + network.multiple + offset
        y = network(x, torch.zeros(1, dtype=torch.float64))[0, :, at, at].sum()
        seen = torch.autograd.grad(y, x)[0].abs().sum((0, 1)).nonzero() - at
        assert seen.abs().max() <= network.halo
        assert seen.abs().max() > network.halo // 2


@pytest.mark.parametrize("name", NAMES)
def test_one_set_of_weights_filters_differently_for_each_quality(name: str, shaken: Make) -> None:
    x = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    with torch.no_grad():
        y = shaken(name)(x, torch.tensor([-1.0, 1.0]))
    assert (y[0] - y[1]).abs().max() > 1 / 255


def test_a_wrong_name_is_answered_by_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'npp-lite'"):
        create_network("npp_lite")
