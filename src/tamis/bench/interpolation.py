"""Interpolation of many small curves at once: PCHIP and Akima, one row per curve.

SciPy's interpolators share one abscissa among all curves; a bootstrap has a thousand curves with
a thousand abscissae, so the slopes are computed here row by row with array arithmetic.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Method = Literal["pchip", "akima"]


def interpolate(x: Array, y: Array, at: Array, method: Method = "pchip") -> Array:
    """Evaluate the cubic Hermite curves through `(x, y)` at `at`; NaN outside each curve's range.

    Args:
        x: abscissae `(B, K)`, strictly increasing along each row, K at least 2.
        y: ordinates `(B, K)`.
        at: where to evaluate, `(B, G)`.
        method: how the slopes at the points are chosen.

    Returns:
        `(B, G)`.
    """
    slopes = (pchip_slopes if method == "pchip" else akima_slopes)(x, y)
    last = x.shape[1] - 2
    left = np.clip((at[:, :, None] >= x[:, None, :]).sum(axis=2) - 1, 0, last)

    def corner(values: Array, step: int) -> Array:
        return np.take_along_axis(values, left + step, axis=1)

    width = corner(x, 1) - corner(x, 0)
    t = (at - corner(x, 0)) / width
    value = (
        (1 + 2 * t) * (1 - t) ** 2 * corner(y, 0)
        + t * (1 - t) ** 2 * width * corner(slopes, 0)
        + t**2 * (3 - 2 * t) * corner(y, 1)
        + t**2 * (t - 1) * width * corner(slopes, 1)
    )
    inside = (at >= x[:, :1]) & (at <= x[:, -1:])
    return np.where(inside, value, np.nan)


def pchip_slopes(x: Array, y: Array) -> Array:
    """Slopes `(B, K)` that keep monotone data monotone.

    Source: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984): a weighted harmonic mean of
    the secants inside; Moler's shape-preserving three-point formula at the ends.
    """
    h, secant = _secants(x, y)
    if x.shape[1] == 2:
        return np.repeat(secant, 2, axis=1)
    before, after = secant[:, :-1], secant[:, 1:]
    w1 = 2 * h[:, 1:] + h[:, :-1]
    w2 = h[:, 1:] + 2 * h[:, :-1]
    same_sign = before * after > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        harmonic = (w1 + w2) / (w1 / before + w2 / after)
    inner = np.where(same_sign, harmonic, 0.0)
    first = _end_slope(h[:, 0], h[:, 1], secant[:, 0], secant[:, 1])
    final = _end_slope(h[:, -1], h[:, -2], secant[:, -1], secant[:, -2])
    return np.concatenate([first[:, None], inner, final[:, None]], axis=1)


def akima_slopes(x: Array, y: Array) -> Array:
    """Slopes `(B, K)` that ignore an outlying neighbour.

    Source: Akima, Journal of the ACM 17 (1970), with his linear extrapolation of two secants at
    each end.
    """
    _, secant = _secants(x, y)
    if x.shape[1] == 2:
        return np.repeat(secant, 2, axis=1)
    below1 = 2 * secant[:, 0] - secant[:, 1]
    below2 = 2 * below1 - secant[:, 0]
    above1 = 2 * secant[:, -1] - secant[:, -2]
    above2 = 2 * above1 - secant[:, -1]
    m = np.column_stack([below2, below1, secant, above1, above2])
    change = np.abs(np.diff(m, axis=1))
    weight_before, weight_after = change[:, 2:], change[:, :-2]
    total = weight_before + weight_after
    flat = total <= 1e-9 * np.max(total, axis=1, keepdims=True)
    blend = (weight_before * m[:, 1:-2] + weight_after * m[:, 2:-1]) / np.where(flat, 1.0, total)
    return np.where(flat, (m[:, 3:] + m[:, :-3]) / 2, blend)


def _secants(x: Array, y: Array) -> tuple[Array, Array]:
    h = np.diff(x, axis=1)
    return h, np.diff(y, axis=1) / h


def _end_slope(h0: Array, h1: Array, m0: Array, m1: Array) -> Array:
    slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    slope = np.where(np.sign(slope) != np.sign(m0), 0.0, slope)
    overshoots = (np.sign(m0) != np.sign(m1)) & (np.abs(slope) > 3 * np.abs(m0))
    return np.where(overshoots, 3 * m0, slope)
