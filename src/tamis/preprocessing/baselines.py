"""What an engineer tries first: none, blur, downscale; and `lowpass`, which the default uses."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

from tamis.codecs import Codec, Image
from tamis.errors import TamisError


class Baseline(ABC):
    """A filter that looks at one image and at nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def apply(self, image: Image) -> Image:
        """Filter one image `uint8 (H, W, 3)`."""

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Filter one image; the codec and its quality make no difference."""
        return self.apply(image)

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """Filter several images, one after the other."""
        return [self.apply(image) for image in images]


class Unchanged(Baseline):
    """`none`: the codec alone."""

    def __init__(self) -> None:
        super().__init__("none")

    def apply(self, image: Image) -> Image:
        """Return `image` itself."""
        return image


class Blur(Baseline):
    """`blur:S`: a Gaussian of standard deviation `sigma` pixels.

    Computed in numpy, a row pass and a column pass with the sampled kernel (to 4 sigma, the
    picture mirrored at its border). Pillow's blur is three box filters, which at the small sigmas
    of interest are not a Gaussian.
    """

    def __init__(self, sigma: float) -> None:
        if not 0 < sigma <= 100:
            raise TamisError(f"blur takes a sigma above 0 and at most 100, not {sigma:g}")
        super().__init__(f"blur:{sigma:g}")
        self.sigma = sigma

    def apply(self, image: Image) -> Image:
        """Blur one image."""
        radius = math.ceil(4 * self.sigma)
        offsets = np.arange(-radius, radius + 1, dtype=np.float32)
        kernel = np.exp(-0.5 * (offsets / self.sigma) ** 2)
        kernel /= kernel.sum()
        blurred = image.astype(np.float32)
        for axis in (0, 1):
            widths = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
            source = np.pad(blurred, widths, mode="symmetric")
            size = image.shape[axis]
            blurred = np.zeros_like(blurred)
            for start, weight in enumerate(kernel):
                blurred += weight * source.take(range(start, start + size), axis)
        return np.rint(np.clip(blurred, 0, 255)).astype(np.uint8)


class Downscale(Baseline):
    """`downscale:F`: both sides times `factor` (at least one pixel), Pillow's Lanczos filter.

    The file then stores a smaller picture.
    """

    def __init__(self, factor: float) -> None:
        if not 0 < factor < 1:
            raise TamisError(f"downscale takes a factor between 0 and 1, not {factor:g}")
        super().__init__(f"downscale:{factor:g}")
        self.factor = factor

    def apply(self, image: Image) -> Image:
        """Shrink one image."""
        height, width = image.shape[:2]
        size = max(1, round(width * self.factor)), max(1, round(height * self.factor))
        small = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.LANCZOS)
        return np.asarray(small)


class Lowpass(Baseline):
    """`lowpass:F`: removes what lies above the fraction F of the Nyquist frequency; same size.

    Down to `factor` of both sides and up again, by Pillow's Lanczos filter both ways: a low pass
    with a passband that is flat and a cutoff that is steep, unlike a Gaussian's. Machines that
    shrink what they get never see those frequencies, the encoder pays for them.
    """

    def __init__(self, factor: float) -> None:
        if not 0 < factor < 1:
            raise TamisError(f"lowpass takes a fraction between 0 and 1, not {factor:g}")
        super().__init__(f"lowpass:{factor:g}")
        self.factor = factor

    def apply(self, image: Image) -> Image:
        """Filter one image."""
        height, width = image.shape[:2]
        small = PillowImage.fromarray(Downscale(self.factor).apply(image))
        return np.asarray(small.resize((width, height), PillowImage.Resampling.LANCZOS))
