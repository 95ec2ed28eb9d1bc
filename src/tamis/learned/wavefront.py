"""Context models decoded along wavefronts: what does not see each other is computed together.

A causal window never reaches a position with an equal or larger `column + slope * row`. All
positions of one such value form a wavefront, and an image of 48x32 latents takes 110 matrix
products for them where raster order takes 1,536. Source: the wavefronts of HEVC (Clare and Henry
2012), at the granularity of positions as in van den Oord et al. 2016 for generation.
"""

from collections.abc import Sequence

import numpy as np

from tamis.learned.entropy import Decoder
from tamis.learned.integer import IntegerEntropy, Parameters
from tamis.learned.integer_layers import Array, Grid
from tamis.learned.tables import GaussianTables


def wavefronts(height: int, width: int, slope: int) -> list[Array]:
    """Raster indices of the positions of every wavefront, from the first to the last.

    >>> print(*(" ".join(map(str, front)) for front in wavefronts(2, 3, slope=2)), sep=" | ")
    0 | 1 | 2 3 | 4 | 5
    """
    number = (np.arange(width) + slope * np.arange(height)[:, None]).ravel()
    order = np.argsort(number, kind="stable")
    # With a slope above the width some numbers have no position.
    starts = np.flatnonzero(np.diff(number[order])) + 1
    return np.split(order, starts)


def parameters(entropy: IntegerEntropy, features: Array, y: Array) -> Parameters:
    """Parameters at all positions of known latents, as an encoder has them, in one pass.

    Args:
        entropy: with context.
        features: of the hyper network, `(B, H, W, C)`.
        y: the context-coded latents, integers, `(B, H, W, context_channels)`.

    Returns:
        Both of the shape of `y`; the same integers that `decode` computes.
    """
    free = entropy.bit_consuming(features)
    channels = entropy.context_channels
    scales = np.empty((len(free), channels), np.int32)
    means = np.empty_like(scales)
    for part, columns in entropy.context.windows(entropy.context_input(y)):
        scales[part], means[part] = entropy.estimate(columns, free[part])
    return Parameters(scales.reshape(y.shape), means.reshape(y.shape))


def decode(
    entropy: IntegerEntropy, features: Array, decoders: Sequence[Decoder], tables: GaussianTables
) -> Array:
    """Decode the context-coded latents of images of one size, wavefront by wavefront.

    Args:
        entropy: with context.
        features: of the hyper network, `(B, H, W, C)`.
        decoders: one for each image.
        tables: of the model.

    Returns:
        `(B, H, W, context_channels)` int32.

    Raises:
        CorruptFileError: bytes that no encoder wrote.
    """
    batch, height, width, _ = features.shape
    channels = entropy.context_channels
    fronts = wavefronts(height, width, entropy.slope)
    # Everything lies in the order in which it is decoded: by wavefront, image, position.
    grid = Grid(batch, height, width, entropy.context.tensors.offsets)
    places = grid.positions.reshape(batch, -1)
    raster = np.arange(batch * height * width).reshape(batch, -1)
    order = np.concatenate([raster[:, front].ravel() for front in fronts])
    centres = np.concatenate([places[:, front].ravel() for front in fronts])
    free = entropy.bit_consuming(features)[order]
    windows = centres[:, None] + grid.taps
    buffer = grid.buffer(channels, entropy.context.dtype)
    decoded = np.empty((len(order), channels), np.int32)
    start = 0
    for front in fronts:
        count = len(front)
        part = slice(start, start + batch * count)
        columns = buffer.take(windows[part], axis=0).reshape(batch * count, -1)
        scales, means = entropy.estimate(columns, free[part])
        values = decoded[part]
        for i, decoder in enumerate(decoders):
            rows = slice(i * count, (i + 1) * count)
            values[rows] = decoder.gaussian(tables, means[rows], scales[rows])
        buffer[centres[part]] = entropy.context_input(values)
        start = part.stop
    y = np.empty_like(decoded)
    y[order] = decoded
    return y.reshape(batch, height, width, channels)
