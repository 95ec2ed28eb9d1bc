"""Where pictures go when they are changed: random sums of DCT basis functions, and blur."""

import numpy as np
import torch
import torch.nn.functional as F

from tamis.proxies.transforms import inverse_block_dct

BLOCK = 8


def random_basis(size: tuple[int, ...], rng: np.random.Generator, amplitude: float) -> torch.Tensor:
    """A sum of 8x8 DCT basis functions, `(1, 1, H, W)`, in grey levels.

    Of all coefficients but DC, in random blocks and at random frequencies, a random 2 to 20 % are
    `amplitude` or `-amplitude`; the rest is zero. `H` and `W` are multiples of 8.
    """
    shape = (1, BLOCK * BLOCK, size[0] // BLOCK, size[1] // BLOCK)
    chosen = rng.random(shape) < rng.uniform(0.02, 0.2)
    coefficients = amplitude * chosen * rng.choice([-1.0, 1.0], shape)
    coefficients[:, 0] = 0
    return inverse_block_dct(torch.from_numpy(coefficients.astype(np.float32)), BLOCK)


def blur(x: torch.Tensor) -> torch.Tensor:
    """Means over 3x3 pixels of `(N, C, H, W)`."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
