"""Preprocessor networks by name (torch)."""

from collections.abc import Callable

from tamis.errors import UnknownNameError
from tamis.preprocessing.dct_network import NppDct
from tamis.preprocessing.network import Network, Npp, NppLite

NETWORKS: dict[str, Callable[[], Network]] = {
    Npp.name: Npp,
    NppLite.name: NppLite,
    NppDct.name: NppDct,
}
"""Every network of this package, by the name recipes and model cards use."""


def list_networks() -> list[str]:
    """Names that `create_network` takes."""
    return list(NETWORKS)


def create_network(name: str) -> Network:
    """A new, untrained network: the identity.

    Raises:
        UnknownNameError: no network of that name.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name]()
