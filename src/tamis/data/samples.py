"""Photos that the wheels of scikit-image and scikit-learn carry: something to try things on."""

from collections.abc import Callable

import numpy as np

from tamis.codecs.base import Image
from tamis.errors import MissingPackageError


def sample_photos() -> dict[str, Image]:
    """Seven colour photos by name, `uint8 (H, W, 3)`, read from installed packages, no download.

    Sides are 300 to 741 pixels; the order is fixed.

    Raises:
        MissingPackageError: scikit-image or scikit-learn is not installed.
    """
    try:
        import skimage.data
        import sklearn.datasets
    except ImportError as error:
        raise MissingPackageError("sample photos need: pip install 'tamis[lab]'") from error
    readers: dict[str, Callable[[], Image]] = {
        "astronaut": skimage.data.astronaut,
        "cat": skimage.data.chelsea,
        "china": lambda: sklearn.datasets.load_sample_image("china.jpg"),
        "coffee": skimage.data.coffee,
        "flower": lambda: sklearn.datasets.load_sample_image("flower.jpg"),
        "motorcycle": lambda: skimage.data.stereo_motorcycle()[0],
        "rocket": skimage.data.rocket,
    }
    return {name: np.ascontiguousarray(read()) for name, read in readers.items()}
