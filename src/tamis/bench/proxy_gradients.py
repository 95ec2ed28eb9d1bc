"""Whether a proxy's gradient points where the codec goes: cosines with finite differences.

At x, a photo p that is softened a little, as a filter would, random directions d_k (sums of 8x8 DCT
basis functions at random blocks and frequencies, `AMPLITUDE` grey levels each, see
`tamis.proxies.directions`) lead to x + d_k and x - d_k, rounded to 8 bits. The codec codes both and
gives the central differences

    rate:   r_k = bpp(x + d_k) - bpp(x - d_k)
    error:  e_k = |codec(x + d_k) - p|^2 - |codec(x - d_k) - p|^2

against which stand the inner products of the proxy's gradients at x with the difference of the two
coded pictures. The gradient of the error is the one that training uses: the real codec's error,
sent back through the proxy (Lu et al. 2024, Algorithm 1). Over the directions of a photo this makes
one cosine for the rate and one for the error. An encoder searches, so its differences jump about:
what no gradient can foretell keeps a cosine below 1.

At the photo itself the error would say little: a codec rounds to the nearest, so that every step
there makes it worse, and the first order is not what counts.

`change` says how much of the rate the proxy itself foretells, by its own two rates instead of a
gradient.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from tamis.codecs import Image
from tamis.proxies import Proxy, RealCodec
from tamis.proxies.directions import blur, random_basis
from tamis.tasks.pixels import to_images, to_tensor

AMPLITUDE = 16.0
"""Of a coefficient; a basis function of an 8x8 block then swings by two to four grey levels."""
SOFTER = 0.4
"""Share of the 3x3 mean in x."""
SIDE = 128
RESAMPLES = 1000


class Differences(NamedTuple):
    """What the real codec makes of K pairs of pictures around one.

    Attributes:
        photo: the photo, `(1, 3, H, W)` in [0, 1].
        x: the photo softened.
        coded: what the codec makes of `x`.
        plus: the pictures on one side, `(K, 3, H, W)`.
        minus: those on the other.
        rate: differences of their rates, bpp, `(K,)`.
        error: differences of their mean squared errors to `photo`, `(K,)`.
    """

    photo: torch.Tensor
    x: torch.Tensor
    coded: torch.Tensor
    plus: torch.Tensor
    minus: torch.Tensor
    rate: torch.Tensor
    error: torch.Tensor


class Cosines(NamedTuple):
    """Of one photo, each between -1 and 1."""

    rate: float
    error: float
    change: float


def centre(image: Image, side: int = SIDE) -> Image:
    """The central `side` square of `image`."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def differences(
    image: Image, real: RealCodec, quality: int, directions: int, rng: np.random.Generator
) -> Differences:
    """Central differences of the codec along `directions` random directions."""
    photo = to_tensor([image])
    x = softened(photo)
    moves = [random_basis(image.shape[:2], rng, AMPLITUDE) / 255 for _ in range(directions)]
    plus, minus = (to_tensor(to_images(x + sign * torch.cat(moves))) for sign in (1, -1))
    (y_plus, r_plus), (y_minus, r_minus) = real(plus, quality), real(minus, quality)
    error = _mean(y_plus - photo) - _mean(y_minus - photo)
    coded, _ = real(x, quality)
    return Differences(photo, x, coded, plus, minus, r_plus - r_minus, error)


def softened(x: torch.Tensor) -> torch.Tensor:
    """Pictures `(N, 3, H, W)` in [0, 1] blurred a little, in whole grey levels."""
    return to_tensor(to_images(torch.lerp(x, blur(x), SOFTER)))


def cosines(proxy: Proxy, known: Differences, quality: int) -> Cosines:
    """Cosines of `proxy` with what is known of the codec at one photo."""
    x = known.x.clone().requires_grad_(True)
    x_hat, rate = proxy(x, quality)
    x_hat = x_hat + (known.coded - x_hat).detach()
    error = _mean(x_hat - known.photo).sum()
    (by_rate,) = torch.autograd.grad(rate.sum(), x, retain_graph=True)
    (by_error,) = torch.autograd.grad(error, x)
    moved = known.plus - known.minus
    with torch.no_grad():
        change = torch.cat(
            [
                proxy(plus, quality)[1] - proxy(minus, quality)[1]
                for plus, minus in zip(
                    torch.split(known.plus, 8), torch.split(known.minus, 8), strict=True
                )
            ]
        )
    return Cosines(
        _cosine((moved * by_rate).flatten(1).sum(dim=1), known.rate),
        _cosine((moved * by_error).flatten(1).sum(dim=1), known.error),
        _cosine(change, known.rate),
    )


def mean_and_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean of one value a photo, and its 95 % interval by resampling photos."""
    array: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = array[rng.integers(len(array), size=(RESAMPLES, len(array)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


def _mean(difference: torch.Tensor) -> torch.Tensor:
    return difference.square().flatten(1).mean(dim=1)


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """NaN-free: two vectors of which one is zero have no direction in common."""
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size else 0.0
