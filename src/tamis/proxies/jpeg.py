"""JPEG as a function with a gradient: its own transform and tables, and a soft rate."""

import torch
import torch.nn.functional as F

from tamis.codecs.jpeg import Jpeg
from tamis.proxies.planes import PlaneProxy
from tamis.proxies.transforms import block_dct, index_bits, inverse_block_dct, soft_index

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


class JpegProxy(PlaneProxy):
    """Analytic proxy of JPEG: exact but for the entropy coder, whose bits are a soft logarithm.

    ```
    plane -> 8x8 DCT -> / table -> soft_index -> * table -> inverse DCT
                                       |
                                       +-> index_bits, DC as difference -> bits
    ```

    The rate needs calibration against the real files (`tamis.proxies.coupling`): its slope
    differs by quality and by photo content.
    """

    KNEE, BITS_PER_LOG = 0.3, 2.1
    BITS_PER_BLOCK = 3.0

    def __init__(self, codec: Jpeg, leak: float = 0.0) -> None:
        halved = codec.subsampling == "420"
        super().__init__(halved, multiple=16 if halved else 8)
        self._leak = leak

    def code_plane(
        self, plane: torch.Tensor, quality: int, chroma: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Quantize 8x8 blocks by the table of `quality`."""
        table = quantization_table(quality, chroma).to(plane)[:, None, None]
        indices = block_dct(plane, 8) / table
        rebuilt = inverse_block_dct(soft_index(indices, leak=self._leak) * table, 8)
        return rebuilt, self._bits(indices)

    def _bits(self, indices: torch.Tensor) -> torch.Tensor:
        # DC is coded as the difference to the block before, in raster order.
        flat = indices[:, 0].flatten(1)
        dc = flat - F.pad(flat[:, :-1], (1, 0))
        size = index_bits(indices[:, 1:], self.KNEE).flatten(1).sum(dim=1)
        size = size + index_bits(dc, self.KNEE).sum(dim=1)
        return self.BITS_PER_LOG * size + self.BITS_PER_BLOCK * flat.shape[1]
