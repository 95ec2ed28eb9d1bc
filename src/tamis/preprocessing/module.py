"""A network of this package, trained or in training, as a preprocessor (torch)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tamis.errors import TamisError
from tamis.preprocessing.architectures import create_network
from tamis.preprocessing.network import Network
from tamis.preprocessing.neural import TILE, NeuralPreprocessor
from tamis.preprocessing.padding import Planes


class TorchPreprocessor(NeuralPreprocessor):
    """Runs `network` where its weights are; what `OnnxPreprocessor` gives, within 1e-4.

    For use during training: the network is put into evaluation mode for the call and back into
    the mode it was in.
    """

    def __init__(
        self,
        network: Network,
        name: str | None = None,
        covers: Mapping[str, tuple[int, int]] | None = None,
        tile: int = TILE,
    ) -> None:
        super().__init__(name or network.name, covers, network.multiple, network.halo, tile)
        self.network = network

    def run(self, x: Planes, strengths: npt.NDArray[np.float32]) -> Planes:
        """Filter padded planes `(N, 3, H, W)`."""
        device = next(self.network.parameters()).device
        training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                filtered = self.network(
                    torch.from_numpy(np.ascontiguousarray(x)).to(device),
                    torch.from_numpy(strengths).to(device),
                )
        finally:
            self.network.train(training)
        result: Planes = filtered.cpu().numpy()
        return result


def load_network(name: str, weights: str | Path | None = None) -> Network:
    """The network `name`, untrained or with the weights of a safetensors file.

    Raises:
        UnknownNameError: no network of that name.
        TamisError: the file is missing, is not safetensors, or holds another network's weights.
    """
    network = create_network(name)
    if weights is None:
        return network
    path = Path(weights)
    if not path.is_file():
        raise TamisError(f"there is no weights file {path}")
    try:
        network.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise TamisError(f"{path} is not a safetensors file: {error}") from error
    except RuntimeError as error:
        raise TamisError(f"{path} does not hold the weights of {name}") from error
    return network
