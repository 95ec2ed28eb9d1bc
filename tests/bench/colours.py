"""A small real task for tests: an image is told from reference photos by its colours."""

import numpy as np
import skimage.data

from tamis.tasks import ClassifyWith


def histogram(image):
    """Share of pixels in each of 4x4x4 colour cells, at two by two places of the picture."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    cells = []
    for y in (0, height):
        for x in (0, width):
            part = image[y : y + height, x : x + width] // 64
            index = part[..., 0] * 16 + part[..., 1] * 4 + part[..., 2]
            cells.append(np.bincount(index.ravel(), minlength=64) / index.size)
    return np.concatenate(cells)


REFERENCE = np.stack(
    [
        histogram(read())
        for read in (skimage.data.astronaut, skimage.data.coffee, skimage.data.rocket)
    ]
)


def scores(images):
    """Minus 20 times the L1 distance of the colours to each reference photo's, `(N, 3)`."""
    return [-20 * np.abs(REFERENCE - histogram(image)).sum(axis=1) for image in images]


def colour_task(name="colours", size=176):
    return ClassifyWith(scores, size=size, name=name)
