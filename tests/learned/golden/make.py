"""Write the golden models and streams beside this file. Run it when the format changes, never else.

python tests/learned/golden/make.py
"""

import json
from pathlib import Path

import numpy as np
import torch

from tamis.data import sample_photos
from tamis.learned.compressor import Compressor
from tamis.learned.models import create_model

KINDS = {
    "factorized": ("factorized", 3, None),
    "hyperprior": ("hyperprior", 3, None),
    "mean-scale": ("mean-scale", 3, None),
    "joint": ("joint", 2, None),
    "context-adaptive": ("context-adaptive", 3, None),
    "hybrid": ("context-adaptive", 3, 2),
}


def main() -> None:
    image = np.ascontiguousarray(next(iter(sample_photos().values()))[60:220, 40:260])
    for kind, (name, m, context_channels) in KINDS.items():
        torch.manual_seed(len(kind))
        model = create_model(name, 2, m, context_channels)
        model.analysis[6].weight.data *= 12
        for value in model.latents.parameters():
            if value.ndim > 3:
                value.data *= 3
        batch = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        compressor = Compressor.build(model, [batch], b"golden!!")
        tensors = {
            key: value
            for key, value in compressor.to_tensors().items()
            if not key.startswith("gaussian.")
        }
        # One array of all integers: a zip entry for each of sixty small ones would outweigh them.
        layout = [[key, value.dtype.str, list(value.shape)] for key, value in tensors.items()]
        np.savez_compressed(
            Path(__file__).parent / f"{kind}.npz",
            values=np.concatenate([value.ravel() for value in tensors.values()]),
            layout=np.frombuffer(json.dumps(layout).encode(), np.uint8),
            stream=np.frombuffer(compressor.compress([image])[0], np.uint8),
        )


if __name__ == "__main__":
    main()
