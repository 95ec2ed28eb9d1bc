"""From images to what a network takes: resizing whole photos, cropping, batches of tensors."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage

from tamis.codecs import Image


def resize(image: Image, width: int, height: int) -> Image:
    """Resize the whole `image` by Pillow's bicubic filter, without keeping the aspect ratio."""
    if image.shape[:2] == (height, width):
        return image
    picture = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BICUBIC)
    return np.asarray(picture)


def centre_crop(image: Image, size: int, crop_pct: float) -> Image:
    """Resize the shorter side to `size / crop_pct` and cut the central `size` square."""
    height, width = image.shape[:2]
    scale = round(size / crop_pct) / min(height, width)
    resized = resize(image, max(size, round(width * scale)), max(size, round(height * scale)))
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def to_tensor(images: Sequence[Image]) -> torch.Tensor:
    """Images of one size as `float32 (N, 3, H, W)` in [0, 1], channels last in memory."""
    stacked = torch.from_numpy(np.stack(images))
    return stacked.permute(0, 3, 1, 2).to(torch.float32) / 255


def to_images(x: torch.Tensor) -> list[Image]:
    """`(N, 3, H, W)` in [0, 1] as images, rounded to the nearest grey level and clipped."""
    rounded = (x.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return list(rounded.permute(0, 2, 3, 1).contiguous().numpy())


def batches(
    images: Sequence[Image], width: int, height: int, most: int = 16
) -> Iterator[torch.Tensor]:
    """The images, each resized whole to `width` by `height`, as tensors of at most `most`."""
    for start in range(0, len(images), most):
        yield to_tensor([resize(image, width, height) for image in images[start : start + most]])


def fit(x: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Differentiable counterpart of `resize`: `(N, 3, H, W)` to the size a network takes."""
    if x.shape[-2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bicubic", antialias=True, align_corners=False)
