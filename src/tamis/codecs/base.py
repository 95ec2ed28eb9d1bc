"""The codec contract: an image in, a standard file out, and back."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tamis.errors import CodecError, CorruptFileError, LimitError

Image = npt.NDArray[np.uint8]
"""RGB picture, `uint8 (H, W, 3)`."""

MAX_PIXELS = 2**28
"""Pictures with more pixels are refused before anything is allocated (268 megapixels)."""


@dataclass(frozen=True)
class QualityScale:
    """A codec's own quality knob.

    Attributes:
        unit: what the format calls it, `"quality"` or `"QP"`.
        low: smallest value allowed.
        high: largest value allowed.
        ascending: whether a larger number means a higher rate.
        ladder: default qualities of a sweep, from the lowest rate to the highest.
        default: the quality used when none is asked for.
    """

    unit: str
    low: int
    high: int
    ascending: bool
    ladder: tuple[int, ...]
    default: int

    def check(self, codec: str, quality: int) -> int:
        """Return `quality`, or raise `CodecError` naming the range."""
        if isinstance(quality, bool) or int(quality) != quality:
            raise CodecError(f"{codec} {self.unit} must be a whole number, not {quality!r}")
        if not self.low <= quality <= self.high:
            raise CodecError(f"{codec} {self.unit} {quality} is outside {self.low}..{self.high}")
        return int(quality)


class Codec(ABC):
    """Base of every codec; subclasses are frozen dataclasses whose fields are encoder settings.

    Subclasses implement `_encode` and `_decode`; the public methods check what goes in and
    what comes out, so that every codec refuses bad input with the same words.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    quality: ClassVar[QualityScale]
    max_side: ClassVar[int]
    """Longest side the format or its encoder takes, in pixels."""

    @classmethod
    def missing(cls) -> str | None:
        """The package to install before this codec works here, or None when it works."""
        return None

    @classmethod
    @abstractmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether a file that begins with `head` (at least 32 bytes where it has them) is ours."""

    @abstractmethod
    def _encode(self, image: Image, quality: int) -> bytes: ...

    @abstractmethod
    def _decode(self, data: bytes) -> Image: ...

    def step(self, quality: int) -> float | None:
        """Nominal luma quantization step in grey levels at `quality`; None where unknown.

        Preprocessors and proxies are conditioned on its logarithm, which makes the knobs of
        different codecs comparable.
        """
        return None

    def draft(self) -> "Codec":
        """The same codec at settings fit for coding a picture dozens of times, as training does.

        Another encoder effort at the same quality setting; its rates may differ, so compare them
        only with each other.
        """
        return self

    def encode(self, image: Image, quality: int | None = None) -> bytes:
        """Encode `image` (`uint8 (H, W, 3)`, or `(H, W)` for grey) to a standard file.

        Raises:
            CodecError: wrong type or shape, or a quality outside the codec's range.
            LimitError: a side longer than `max_side`, or more than `MAX_PIXELS` pixels.
        """
        image = check_image(image)
        height, width = image.shape[:2]
        check_size(self.name, width, height, self.max_side)
        scale = type(self).quality
        return self._encode(
            image, scale.check(self.name, scale.default if quality is None else quality)
        )

    def decode(self, data: bytes) -> Image:
        """Decode a file of this format to `uint8 (H, W, 3)`.

        Raises:
            CorruptFileError: not a whole, valid file of this format.
            LimitError: the header announces a picture over the limit.
        """
        if not self.recognizes(data[:64]):
            raise CorruptFileError(f"these {len(data)} bytes do not begin like a {self.name} file")
        return np.ascontiguousarray(self._decode(data))


def check_image(image: Any) -> Image:
    """Return `image` as contiguous `uint8 (H, W, 3)`; grey `(H, W)` or `(H, W, 1)` is repeated."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = f"{image.dtype} array" if isinstance(image, np.ndarray) else type(image).__name__
        raise CodecError(f"an image is a uint8 array (H, W, 3); this is a {kind}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise CodecError(f"an image is a uint8 array (H, W, 3); this one has shape {image.shape}")
    return np.ascontiguousarray(image)


def check_size(codec: str, width: int, height: int, max_side: int) -> None:
    """Raise `LimitError` for a picture that `codec` does not take."""
    if width < 1 or height < 1:
        raise CorruptFileError(f"{codec} picture of {width}x{height} pixels has no pixels")
    if max(width, height) > max_side:
        raise LimitError(f"{codec} takes sides up to {max_side} pixels; this is {width}x{height}")
    if width * height > MAX_PIXELS:
        raise LimitError(f"pictures are limited to {MAX_PIXELS} pixels; this is {width}x{height}")


def bpp(data: bytes, image: Image) -> float:
    """Rate in bits per pixel of the source `image`, from the length of the whole file."""
    height, width = image.shape[:2]
    return 8 * len(data) / float(height * width)
