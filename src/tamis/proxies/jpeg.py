"""JPEG as a function with a gradient: its own transform and tables, and a soft rate."""

import torch
import torch.nn.functional as F

from tamis.codecs.jpeg import Jpeg
from tamis.proxies.transforms import (
    block_dct,
    index_bits,
    inverse_block_dct,
    pad_to_multiple,
    rgb_to_ycbcr,
    soft_index,
    upsample,
    ycbcr_to_rgb,
)

# ITU-T T.81, tables K.1 and K.2, in row order.
_LUMA = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 "
    "14 17 22 29 51 87 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 "
    "49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)
_CHROMA = (
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 "
    "24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99" + " 99" * 32
)


def quantization_table(quality: int, chroma: bool) -> torch.Tensor:
    """The 64 steps that libjpeg derives from the standard's tables at `quality`, `(64,)`."""
    table = torch.tensor([int(step) for step in (_CHROMA if chroma else _LUMA).split()])
    percent = int(5000 / quality) if quality < 50 else 200 - 2 * quality
    return ((table * percent + 50) // 100).clamp(1, 255).to(torch.float32)


class JpegProxy:
    """Analytic proxy of JPEG: exact but for the entropy coder, whose bits are a soft log-magnitude.

    ```
    x -> YCbCr -> (4:2:0: 2x2 means) -> 8x8 DCT -> / table -> round -> * table -> inverse -> x_hat
                                                      |
                                                      +-> sum of log-magnitudes -> bpp
    ```

    Rounding has the gradient of rounding under a dither. The rate needs calibration against the real
    files (`tamis.proxies.coupling`): its slope differs by quality and by photo content.
    """

    KNEE, BITS_PER_LOG = 0.3, 2.1
    BITS_PER_BLOCK = 3.0

    def __init__(self, codec: Jpeg, leak: float = 0.0) -> None:
        self.codec = codec
        self._leak = leak

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `x`, `(N, 3, H, W)` in [0, 1]; rate `(N,)` in bits per pixel."""
        height, width = x.shape[-2:]
        halved = self.codec.subsampling == "420"
        planes = rgb_to_ycbcr(pad_to_multiple(x, 16 if halved else 8) * 255)
        luma, chroma = planes[:, :1] - 128, planes[:, 1:]
        if halved:
            chroma = F.avg_pool2d(chroma, 2)
        bits = x.new_zeros(len(x))
        parts = []
        for plane, is_chroma in ((luma, False), (chroma[:, :1], True), (chroma[:, 1:], True)):
            table = quantization_table(quality, is_chroma).to(x)[:, None, None]
            indices = block_dct(plane, 8) / table
            bits = bits + self._bits(indices)
            parts.append(inverse_block_dct(soft_index(indices, leak=self._leak) * table, 8))
        rebuilt = torch.cat(parts[1:], dim=1)
        rebuilt = torch.cat([parts[0] + 128, upsample(rebuilt) if halved else rebuilt], dim=1)
        x_hat = (ycbcr_to_rgb(rebuilt) / 255).clamp(0, 1)[..., :height, :width]
        return x_hat, bits / (height * width)

    def _bits(self, indices: torch.Tensor) -> torch.Tensor:
        # DC is coded as the difference to the block before, in raster order.
        flat = indices[:, 0].flatten(1)
        dc = flat - F.pad(flat[:, :-1], (1, 0))
        size = index_bits(indices[:, 1:], self.KNEE).flatten(1).sum(dim=1)
        size = size + index_bits(dc, self.KNEE).sum(dim=1)
        return self.BITS_PER_LOG * size + self.BITS_PER_BLOCK * flat.shape[1]
