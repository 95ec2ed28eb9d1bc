"""HEVC and VVC intra pictures as a function with a gradient: large blocks, a soft rate."""

import torch
import torch.nn.functional as F

from tamis.codecs import Codec
from tamis.errors import TamisError
from tamis.proxies.planes import PlaneProxy
from tamis.proxies.transforms import block_dct, index_bits, inverse_block_dct, soft_index


class IntraProxy(PlaneProxy):
    """Analytic proxy of BPG, HEIC and VVC: block transforms at the QP's step size.

    ```
    plane -> 8x8 DCT ---> / step -> soft_index -> * step -> inverse DCT
         `-> 16x16 DCT -> / step      |
                             `--------+-> index_bits, the smaller of both sizes -> bits
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
        halved = getattr(codec, "chroma", "420") == "420"
        super().__init__(halved, multiple=32 if halved else 16)
        self._step = codec.step
        self._leak = leak

    def code_plane(
        self, plane: torch.Tensor, quality: int, chroma: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Quantize 8x8 blocks by one step; the bits look at 16x16 blocks too."""
        step = self._step(quality)
        assert step is not None
        small, large = block_dct(plane, 8) / step, block_dct(plane, 16) / step
        indices = soft_index(small, self.ROUND_UP, leak=self._leak)
        return inverse_block_dct(indices * step, 8), self._bits(small, large)

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
