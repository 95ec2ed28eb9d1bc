"""How far outputs moved, relative to how much they vary: one scale for any network's numbers."""

import torch


def relative_distance(outputs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Mean |output - reference| / mean |reference - its mean| of each image, `(N,)`.

    0 is no change, 1 is about what the mean of the reference in every place would give. Smooth
    enough to train on, and the same when all numbers are scaled.

    Args:
        outputs: `(N, ...)`.
        reference: of the same shape.
    """
    outputs, reference = outputs.flatten(1), reference.flatten(1)
    spread = (reference - reference.mean(dim=1, keepdim=True)).abs().mean(dim=1)
    return (outputs - reference).abs().mean(dim=1) / spread.clamp_min(1e-6)
