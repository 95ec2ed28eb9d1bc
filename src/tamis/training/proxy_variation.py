"""Versions of a crop that a filter might make: a proxy must tell what they cost, not just the crop.

A preprocessor is driven by how the rate changes with the pixels. Pairs of a crop and a version of
it show that to a proxy in training; photos alone would not.
"""

import numpy as np
import torch
import torch.nn.functional as F

from tamis.codecs import Image
from tamis.proxies.directions import BLOCK, blur, random_basis
from tamis.proxies.transforms import block_dct, inverse_block_dct
from tamis.tasks.pixels import to_images, to_tensor


def vary(crop: Image, step: float, rng: np.random.Generator) -> Image:
    """A version of `crop`, `(H, W, 3)` with sides that are multiples of 8, drawn by `rng`.

    One of three: blurred a little; small block-DCT coefficients of every channel drawn towards
    zero; or random basis functions added to random blocks, in grey.

    Args:
        crop: the picture.
        step: quantization step of the codec, in grey levels, which sets how strong a change is.
        rng: where the draws come from.
    """
    x = to_tensor([crop]) * 255
    kind = rng.integers(3)
    if kind == 0:
        changed = torch.lerp(x, blur(x), float(rng.uniform(0.1, 1.0)))
    elif kind == 1:
        changed = _shrink(x, float(rng.uniform(0.1, 1.0)) * step)
    else:
        changed = x + random_basis(x.shape[2:], rng, float(rng.uniform(0.25, 1.5)) * step)
    return to_images(changed / 255)[0]


def _shrink(x: torch.Tensor, threshold: float) -> torch.Tensor:
    """`x` with every 8x8 DCT coefficient but DC moved towards zero by up to `threshold`."""
    channels = x.transpose(0, 1)
    coefficients = block_dct(channels, BLOCK)
    kept = F.softshrink(coefficients, threshold)
    kept[:, 0] = coefficients[:, 0]
    return inverse_block_dct(kept, BLOCK).transpose(0, 1)
