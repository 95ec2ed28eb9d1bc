"""Networks that do something, and a model directory exported from one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tamis.preprocessing.architectures import create_network
from tamis.preprocessing.card import Card
from tamis.preprocessing.export import export
from tamis.preprocessing.network import Network, Npp, NppLite

COVERS = {"jpeg": (5, 80)}


def shaken_network(name: str) -> Network:
    """The network with every weight drawn, so that every layer has its say in the output.

    `npp-narrow` is `npp` with few channels: the same geometry, in a hundredth of the time.
    """
    special = {"npp-narrow": lambda: Npp((8, 8, 8, 8), 8), "npp-lite-deep": deep_lite}
    network = special[name]() if name in special else create_network(name)
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in network.parameters():
            spread = 0.8 / weight[0].numel() ** 0.5 if weight.ndim > 1 else 0.05
            weight += spread * torch.randn(weight.shape, generator=draw)
        for key, buffer in network.named_buffers():
            if key.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=draw)
    return network.eval()


def deep_lite() -> Network:
    return NppLite(width=8, depth=6, block_width=8, block_depth=5)


@pytest.fixture(scope="session")
def shaken() -> Callable[[str], Network]:
    return shaken_network


@pytest.fixture(scope="session")
def lite() -> Network:
    return shaken_network("npp-lite")


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory, lite: Network) -> Path:
    """A zoo of one model, `default-jpeg`: the weights of `lite`, exported."""
    zoo = tmp_path_factory.mktemp("zoo")
    export_lite(lite, zoo / "default-jpeg")
    return zoo


def export_lite(network: Network, directory: Path) -> Card:
    return export(
        network,
        directory,
        codecs=COVERS,
        recipe="none: random weights",
        data="none",
        licence="Apache-2.0",
        metrics={"bd_rate": 0.0},
    )
