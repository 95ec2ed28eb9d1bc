"""Pictures of any size brought to a multiple of what a network needs, and back (no torch)."""

import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.float32]
"""Pictures as a network takes them: `float32 (N, 3, H, W)` in [0, 1]."""


def pad(x: Planes, multiple: int) -> Planes:
    """Extend `x` `(N, C, H, W)` at the bottom and the right to multiples of `multiple`.

    The top left corner stays where it is, so the codec's block grid keeps its phase. The picture
    is mirrored about its last row or column; where it is too small for that, the last row or
    column is repeated.

    >>> pad(np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3), 4)[0, 0]
    array([[0., 1., 2., 1.],
           [0., 1., 2., 1.],
           [0., 1., 2., 1.],
           [0., 1., 2., 1.]], dtype=float32)
    """
    for axis in (2, 3):
        size = x.shape[axis]
        missing = -size % multiple
        if missing:
            widths = [(0, missing if a == axis else 0) for a in range(4)]
            x = np.pad(x, widths, mode="reflect" if missing < size else "edge")
    return x


def crop(x: Planes, height: int, width: int) -> Planes:
    """Undo `pad`: the top left `(N, C, height, width)` of `x`."""
    return x[:, :, :height, :width]


def to_planes(images: npt.NDArray[np.uint8]) -> Planes:
    """Stacked images `uint8 (N, H, W, 3)` to `float32 (N, 3, H, W)` in [0, 1]."""
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    planes /= 255  # in place: pictures are large
    return planes


def to_images(planes: Planes) -> npt.NDArray[np.uint8]:
    """Clamp `float32 (N, 3, H, W)` to [0, 1] and round to `uint8 (N, H, W, 3)`."""
    levels = np.rint(np.clip(planes, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
