"""RGB to YCbCr planes and back, with the chroma filters of the BPG reference implementation.

Fixed-point arithmetic in numpy, band by band: the same result on every machine, and working
memory that does not grow with the picture. The filter taps and the order of the roundings are
those that make a decode here equal to libbpg's to within one grey level.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tamis.codecs.base import Image

Plane = npt.NDArray[Any]
"""One component, `(H, W)`, `uint8`, or `uint16` above 8 bits."""

Layout = Literal["400", "420", "422", "444"]
Matrix = Literal["bt601", "bt709", "bt2020", "rgb", "ycgco"]

# Red and blue weights of luma: ITU-R BT.601, BT.709, BT.2020 (non constant luminance).
_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}

# Downsampling to a position half way between two samples, in 128ths.
_DOWN = (2, -4, -8, 17, 57, 57, 17, -8, -4, 2)
# Upsampling from there to the quarter positions (mirrored for the other side), in 64ths.
_UP = (2, -6, 18, 57, -10, 4, -1)
# Upsampling to the half position when chroma sits on a luma sample, in 64ths.
_UP_COSITED = (-1, 4, -11, 40, 40, -11, 4, -1)

_BAND = 64


@dataclass(frozen=True)
class ColorFormat:
    """How planes describe colours.

    Attributes:
        layout: chroma format; `"400"` is grey.
        matrix: colour space; planes of `"rgb"` are in the order G, B, R.
        limited: video range (16..235) instead of the full one.
        depth: bits per sample.
        cosited: 4:2:0 and 4:2:2 chroma sits on the even luma columns (MPEG-2) instead of
            half way between two columns (JPEG).
    """

    layout: Layout = "420"
    matrix: Matrix = "bt601"
    limited: bool = False
    depth: int = 8
    cosited: bool = False


def _to_rgb_matrix(color: ColorFormat) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """`(A, offset)` with `rgb = A @ (planes - offset)`, RGB in 0..255."""
    center = 1 << (color.depth - 1)
    unit = 1 << (color.depth - 8)
    black = 16 * unit if color.limited else 0
    luma = 255 / (219 * unit) if color.limited else 255 / ((1 << color.depth) - 1)
    if color.matrix == "rgb":
        return luma * np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]), (black, black, black)
    if color.matrix == "ycgco":  # the range is limited in RGB, so all planes scale alike
        ycgco = np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
        return luma * ycgco, (black, center, center)
    red, blue = _LUMA[color.matrix]
    green = 1 - red - blue
    a = np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 2 * (1 - blue), 0],
        ]
    )
    chroma = 255 / (224 * unit) if color.limited else luma
    return a * (luma, chroma, chroma), (black, center, center)


def _combine(
    inputs: list[Plane],
    matrix: npt.NDArray[np.float64],
    shift: int,
    base: tuple[int, ...],
    top: int,
) -> list[Plane]:
    """Each row of `matrix` times `inputs`, plus `base`, rounded and clipped to 0..`top`."""
    weights = np.rint(matrix * (1 << shift)).astype(np.int64).tolist()
    out = []
    for row, offset in zip(weights, base, strict=True):
        total = np.full(inputs[0].shape, 1 << (shift - 1), np.int32)
        for plane, weight in zip(inputs, row, strict=True):
            if weight:
                total += plane * np.int32(weight)
        total >>= shift
        total += offset
        out.append(np.clip(total, 0, top, out=total))
    return out


def rgb_to_planes(image: Image, color: ColorFormat) -> list[Plane]:
    """Convert `image`, `uint8 (H, W, 3)`, to 8-bit planes.

    `color` has depth 8 and layout `"444"` or `"420"`, whose chroma, `ceil(H/2) x ceil(W/2)`, sits
    between the luma samples.
    """
    height, width = image.shape[:2]
    to_rgb, offset = _to_rgb_matrix(color)
    from_rgb = np.linalg.inv(to_rgb).astype(np.float64)
    planes: list[Plane] = [np.empty((height, width), np.uint8) for _ in range(3)]
    for top in range(0, height, _BAND):
        rows = slice(top, top + _BAND)
        rgb = [image[rows, :, i].astype(np.int32) for i in range(3)]
        parts = _combine(rgb, from_rgb, 23, offset, 255)
        for plane, part in zip(planes, parts, strict=True):
            plane[rows] = part
    return planes if color.layout == "444" else [planes[0], *map(_halve, planes[1:])]


def _halve(plane: Plane) -> Plane:
    """Downsample an 8-bit plane by two in both directions, columns first."""
    height, width = plane.shape
    half_height, half_width = (height + 1) // 2, (width + 1) // 2
    columns = np.clip(np.arange(-4, 2 * half_width + 5), 0, width - 1)
    out = np.empty((half_height, half_width), np.uint8)
    for top in range(0, half_height, _BAND):
        count = min(_BAND, half_height - top)
        rows = np.clip(np.arange(2 * top - 4, 2 * (top + count) + 5), 0, height - 1)
        source = plane[rows][:, columns].astype(np.int32)
        wide = (_correlate(source.T, _DOWN, half_width, 2) + 1) >> 1
        tall = (_correlate(wide.T, _DOWN, count, 2) + 4096) >> 13
        out[top : top + count] = np.clip(tall, 0, 255)
    return out


def _correlate(source: Plane, taps: tuple[int, ...], count: int, step: int) -> Plane:
    """`count` outputs along axis 0: `sum_k taps[k] * source[step * i + k]`."""
    total = source[: step * count : step] * np.int32(taps[0])
    for k, tap in enumerate(taps[1:], 1):
        total += source[k : k + step * count : step][:count] * np.int32(tap)
    return total


def _double(source: Plane, count: int, cosited: bool) -> tuple[Plane, Plane, int]:
    """Even and odd outputs along axis 0 (without rounding), and log2 of the even ones' scale.

    `source` has 3 rows of border before and 4 after its `count` rows; odd outputs are in 64ths.
    """
    if cosited:
        return source[3 : 3 + count], _correlate(source, _UP_COSITED, count, 1), 0
    return _correlate(source, _UP, count, 1), _correlate(source, _UP[::-1], count, 1), 6


def _upsample(plane: Plane, top: int, bottom: int, width: int, color: ColorFormat) -> Plane:
    """Chroma at luma resolution for luma rows `top`..`bottom` (`top` even), `int32`."""
    columns = np.clip(np.arange(-3, (width + 1) // 2 + 4), 0, plane.shape[1] - 1)
    precision = 0  # log2 of the scale of `tall`
    if color.layout == "420":
        count = (bottom - top + 1) // 2
        rows = np.clip(np.arange(top // 2 - 3, top // 2 + count + 4), 0, plane.shape[0] - 1)
        even, odd, _ = _double(plane[rows].astype(np.int32), count, cosited=False)
        tall = np.empty((2 * count, plane.shape[1]), np.int32)
        shift = color.depth - 8
        rounding = (1 << shift) >> 1
        tall[0::2], tall[1::2] = (even + rounding) >> shift, (odd + rounding) >> shift
        tall = tall[: bottom - top]
        precision = 6 - shift
    else:
        tall = plane[top:bottom].astype(np.int32)
    even, odd, scale = _double(tall[:, columns].T, len(columns) - 7, color.cosited)
    wide = np.empty((2 * len(even), bottom - top), np.int32)
    for phase, (part, bits) in enumerate(((even, scale + precision), (odd, 6 + precision))):
        wide[phase::2] = (part + ((1 << bits) >> 1)) >> bits
    return np.clip(wide[:width].T, 0, (1 << color.depth) - 1)


def planes_to_rgb(planes: list[Plane], width: int, height: int, color: ColorFormat) -> Image:
    """Convert decoded planes (at least `width` x `height`, cropped) to `uint8 (H, W, 3)`."""
    if color.layout != "444":  # the filters repeat the border of the picture, not of the padding
        half_rows = (height + 1) // 2 if color.layout == "420" else height
        planes = [planes[0], *(plane[:half_rows, : (width + 1) // 2] for plane in planes[1:])]
    to_rgb, offset = _to_rgb_matrix(color)
    if color.layout == "400":
        to_rgb = to_rgb[:1, :1]
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        parts = [planes[0][top:bottom, :width].astype(np.int32)]
        for plane in planes[1:]:
            if color.layout == "444":
                parts.append(plane[top:bottom, :width].astype(np.int32))
            else:
                parts.append(_upsample(plane, top, bottom, width, color))
        for part, zero in zip(parts, offset, strict=False):
            part -= zero
        rgb = _combine(parts, to_rgb, 20, (0,) * len(to_rgb), 255)
        for i in range(3):
            image[top:bottom, :, i] = rgb[i % len(rgb)]
    return image
