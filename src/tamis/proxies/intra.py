"""HEVC and VVC intra pictures as a function with a gradient: large blocks, a soft rate."""

import torch
import torch.nn.functional as F

from tamis.codecs import Codec
from tamis.errors import TamisError
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


class IntraProxy:
    """Analytic proxy of BPG, HEIC and VVC: block transforms at the QP's step size.

    ```
    x -> YCbCr -> 2x2 means -> 8x8 and 16x16 DCT -> / step -> round -> * step -> inverse -> x_hat
                                        |            (8x8 rebuilds; both count)
                                        +-> log-magnitudes, the smaller of both sizes -> bpp
    ```

    What intra prediction finds is the smooth part: a block's DC is counted as the difference to
    the mean of its left and upper neighbours. The encoder's choice of block size is a minimum
    over two sizes, region by region. The rate needs calibration against the real files.
    """

    KNEE, BITS_PER_LOG = 0.2, 1.3
    ROUND_UP = 0.57
    """Fraction above which an index is rounded up: encoders that weigh the rate favour zero."""

    def __init__(self, codec: Codec, leak: float = 0.0) -> None:
        if codec.step(codec.quality.default) is None:
            raise TamisError(f"there is no quantization step known for {codec.name}, so no proxy")
        self.codec = codec
        self._leak = leak
        self._halved = getattr(codec, "chroma", "420") == "420"

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct `x`, `(N, 3, H, W)` in [0, 1]; rate `(N,)` in bits per pixel."""
        height, width = x.shape[-2:]
        step = self.codec.step(quality)
        assert step is not None
        planes = rgb_to_ycbcr(pad_to_multiple(x, 32 if self._halved else 16) * 255)
        luma, chroma = planes[:, :1] - 128, planes[:, 1:]
        if self._halved:
            chroma = F.avg_pool2d(chroma, 2)
        bits = x.new_zeros(len(x))
        parts = []
        for plane in (luma, chroma[:, :1], chroma[:, 1:]):
            small, large = block_dct(plane, 8) / step, block_dct(plane, 16) / step
            bits = bits + self._bits(small, large)
            parts.append(
                inverse_block_dct(soft_index(small, self.ROUND_UP, leak=self._leak) * step, 8)
            )
        rebuilt = torch.cat(parts[1:], dim=1)
        rebuilt = torch.cat([parts[0] + 128, upsample(rebuilt) if self._halved else rebuilt], dim=1)
        x_hat = (ycbcr_to_rgb(rebuilt) / 255).clamp(0, 1)[..., :height, :width]
        return x_hat, bits / (height * width)

    def _bits(self, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
        cost = torch.minimum(4 * F.avg_pool2d(self._block_bits(small), 2), self._block_bits(large))
        return self.BITS_PER_LOG * cost.flatten(1).sum(dim=1)

    def _block_bits(self, indices: torch.Tensor) -> torch.Tensor:
        """Soft bits of every block, `(N, 1, h, w)`, from indices `(N, size^2, h, w)`."""
        dc = indices[:, :1]
        left = F.pad(dc, (1, 0, 0, 0), mode="replicate")[..., :-1]
        above = F.pad(dc, (0, 0, 1, 0), mode="replicate")[..., :-1, :]
        smooth = index_bits(dc - (left + above) / 2, self.KNEE, self.ROUND_UP)
        return (
            index_bits(indices[:, 1:], self.KNEE, self.ROUND_UP).sum(dim=1, keepdim=True) + smooth
        )
