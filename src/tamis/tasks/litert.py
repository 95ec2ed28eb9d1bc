"""A TFLite network run by LiteRT, the runtime that MediaPipe's networks are made for."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tamis.errors import MissingPackageError, TamisError

Array = npt.NDArray[np.float32]


class LiteRtNetwork:
    """One picture in, the network's outputs out; no gradients.

    Args:
        path: a `.tflite` file with one input `(1, H, W, 3)`.

    Attributes:
        size: width and height of the input, pixels.

    Raises:
        MissingPackageError: no LiteRT.
        TamisError: not a TFLite file.
    """

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingPackageError(
                "MediaPipe tasks need ai-edge-litert: pip install 'tamis[mediapipe]'"
            ) from error
        self.path = path
        try:
            # As many threads as torch has: who limits one limits both.
            self._interpreter = Interpreter(str(path), num_threads=torch.get_num_threads())
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise TamisError(f"{path} is not a TFLite network that LiteRT can run") from error
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        _, height, width, _ = self._input["shape"]
        self.size = (int(width), int(height))

    def __call__(self, x: npt.NDArray[np.floating]) -> list[Array]:
        """Outputs, in the file's order, for `x`, `(H, W, 3)`, each without its batch of one."""
        self._interpreter.set_tensor(self._input["index"], x[None].astype(np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"])[0] for output in self._outputs]

    def __reduce__(self) -> tuple[type["LiteRtNetwork"], tuple[Path]]:
        """Pickled as its path, so that a task can be sent to another process."""
        return (LiteRtNetwork, (self.path,))
