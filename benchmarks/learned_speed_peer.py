"""The other side of `learned_speed.py`: CompressAI's `mbt2018`, in an environment of its own.

Started once by `learned_speed.py` with the Python of that environment. A line of JSON comes in
for every job and one goes out when it is done; seconds are those of the job, from an image in
memory to bytes in memory or back. Imports nothing of Tamis.
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from compressai.models import JointAutoregressiveHierarchicalPriors

MULTIPLE = 64


class Peer:
    """The jobs, by name."""

    def load(self, weights: str, n: int, m: int, threads: int) -> dict[str, Any]:
        """Make the model and its coding tables from an `.npz` with the names of `mbt2018`."""
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.model = JointAutoregressiveHierarchicalPriors(n, m).eval()
        with np.load(weights) as arrays:
            state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        own = self.model.state_dict()
        parameters = {name for name, _ in self.model.named_parameters()}
        wrong = sorted((parameters - state.keys()) | (state.keys() - own.keys()))
        if wrong:
            raise ValueError(f"the weights do not fit mbt2018: {', '.join(wrong)}")
        self.model.load_state_dict({**own, **state})
        self.model.update(force=True, update_quantiles=True)
        return {
            "version": version("compressai"),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }

    def encode(self, image: str) -> dict[str, Any]:
        """Code the picture in a `.npy` file, `uint8 (H, W, 3)`, and keep the stream."""
        pixels = np.load(image)
        start = time.perf_counter()
        self.size = pixels.shape[:2]
        self.coded = self.model.compress(_padded(pixels))
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "bytes": sum(len(s[0]) for s in self.coded["strings"])}

    def decode(self, image: str) -> dict[str, Any]:
        """Decode the stream kept and write the picture to a `.npy` file."""
        start = time.perf_counter()
        x = self.model.decompress(**self.coded)["x_hat"]
        height, width = self.size
        pixels = (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8)
        array = pixels.permute(1, 2, 0).contiguous().numpy()
        seconds = time.perf_counter() - start
        np.save(image, array)
        return {"seconds": seconds}


def _padded(pixels: np.ndarray) -> torch.Tensor:
    height, width = pixels.shape[:2]
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(torch.float32) / 255
    return F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), "replicate")


def main() -> None:
    peer = Peer()
    for line in sys.stdin:
        job = json.loads(line)
        answer = getattr(peer, job.pop("do"))(**job)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
