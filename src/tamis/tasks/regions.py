"""Rotated squares of a picture: cut out for a network, and its points put back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamis.codecs import Image


@dataclass(frozen=True)
class Region:
    """A square of a picture.

    Attributes:
        x: its centre, pixels from the left edge.
        y: its centre, pixels from the top edge.
        side: pixels.
        angle: clockwise as seen, radians.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, image: Image) -> "Region":
        """The smallest upright square about the centre that holds the whole image."""
        height, width = image.shape[:2]
        return cls(width / 2, height / 2, max(width, height))

    def to_picture(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Points `(..., 2)` in 0..1 of the square, as pixels of the picture."""
        across, down = np.moveaxis((np.asarray(points, np.float64) - 0.5) * self.side, -1, 0)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack(
            [self.x + cos * across - sin * down, self.y + sin * across + cos * down], axis=-1
        )

    def cut(self, image: Image, size: int, zero_outside: bool = False) -> Image:
        """The square as `uint8 (size, size, 3)`; outside the picture its edge goes on, or is black.

        Sampled as OpenCV's warp does it, which MediaPipe calls on a processor: bilinear, without a
        filter before it, the first sample on the square's own edge. Keypoints follow such a shift.
        """
        steps = np.arange(size) / size
        grid = np.stack(np.meshgrid(steps, steps), axis=-1)
        return sample(image, self.to_picture(grid), zero_outside)


def sample(image: Image, places: npt.NDArray[np.float64], zero_outside: bool = False) -> Image:
    """Bilinear values `uint8 (..., 3)` of an image at `places` `(..., 2)`, column and row."""
    height, width = image.shape[:2]
    first = np.floor(places)
    right, down = np.moveaxis((places - first).astype(np.float32), -1, 0)[..., None]
    column, row = np.moveaxis(first.astype(np.int64), -1, 0)
    total = np.zeros((*places.shape[:-1], 3), np.float32)
    for dy, vertical in ((0, 1 - down), (1, down)):
        for dx, horizontal in ((0, 1 - right), (1, right)):
            y, x = row + dy, column + dx
            weights = vertical * horizontal
            if zero_outside:
                weights = weights * ((y >= 0) & (y < height) & (x >= 0) & (x < width))[..., None]
            total += weights * image[y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.rint(total).astype(np.uint8)
