"""What all analytic proxies share: from RGB to the planes that are coded, and back."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F

from tamis.proxies.transforms import pad_to_multiple, rgb_to_ycbcr, upsample, ycbcr_to_rgb


class PlaneProxy(ABC):
    """A proxy that codes Y, Cb and Cr one by one.

    ```
    x -> YCbCr -> (4:2:0: 2x2 means of Cb, Cr) -> code_plane -> (x2) -> RGB -> x_hat
                                                      |
                                                      +-> bits -> bpp
    ```

    Attributes:
        halved: whether chroma is coded at half the size, 4:2:0.
        multiple: sides are padded to this by repeating the edge, as encoders do.
    """

    def __init__(self, halved: bool, multiple: int) -> None:
        self.halved = halved
        self.multiple = multiple

    @abstractmethod
    def code_plane(
        self, plane: torch.Tensor, quality: int, chroma: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `plane`, `(N, 1, H, W)` in grey levels around zero; bits `(N,)`."""
        ...

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `x`, `(N, 3, H, W)` in [0, 1]; rate `(N,)` in bits per pixel."""
        height, width = x.shape[-2:]
        planes = rgb_to_ycbcr(pad_to_multiple(x, self.multiple) * 255)
        luma, chroma = planes[:, :1] - 128, planes[:, 1:]
        if self.halved:
            chroma = F.avg_pool2d(chroma, 2)
        y, bits = self.code_plane(luma, quality, chroma=False)
        cb, cb_bits = self.code_plane(chroma[:, :1], quality, chroma=True)
        cr, cr_bits = self.code_plane(chroma[:, 1:], quality, chroma=True)
        rebuilt = torch.cat([cb, cr], dim=1)
        rebuilt = torch.cat([y + 128, upsample(rebuilt) if self.halved else rebuilt], dim=1)
        x_hat = (ycbcr_to_rgb(rebuilt) / 255).clamp(0, 1)[..., :height, :width]
        return x_hat, (bits + cb_bits + cr_bits) / (height * width)
