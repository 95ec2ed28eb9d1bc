"""Preprocessor networks on pixels: `npp`, the published one, `npp-lite`, ours for CPUs (torch).

Both take `x`, `float32 (N, 3, H, W)` in [0, 1] with sides that are multiples of `multiple`, and
`strength`, `float32 (N,)` (see `tamis.preprocessing.conditioning`), and return a picture of the
same shape, not clamped. Both return `x` itself, bit for bit, until they are trained.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module, ABC):
    """Base of the networks: what padding and tiling need to know about them.

    Attributes:
        name: how recipes and model cards call it.
        multiple: height and width must be multiples of this.
        halo: an output pixel depends on input pixels at most this far away; a multiple of 16.
    """

    name: ClassVar[str]
    multiple: ClassVar[int]
    halo: int

    def forward(self, x: Tensor, strength: Tensor) -> Tensor:
        """Filter `x` `(N, 3, H, W)` for the quantization `strength` `(N,)`."""
        return x + self.residual(x, strength)

    @abstractmethod
    def residual(self, x: Tensor, strength: Tensor) -> Tensor:
        """What is added to `x`; exactly zero until trained."""
        ...


class QuantizationAdaptive(nn.Module):
    """Scales channels by a vector that a two-layer MLP makes of the quantization scalar.

    One set of weights then serves every quality (Lu et al. 2024, section III). The MLP's last
    layer starts at zero and 1 is added, so training begins with every scale at 1.
    """

    def __init__(self, channels: int, hidden: int = 288) -> None:
        super().__init__()
        self.inner = nn.Linear(1, hidden)
        self.outer = nn.Linear(hidden, channels)
        zero_(self.outer)

    def forward(self, x: Tensor, strength: Tensor) -> Tensor:
        """Scale `x` `(N, C, H, W)` for `strength` `(N,)`."""
        scale: Tensor = 1 + self.outer(F.relu(self.inner(strength[:, None])))
        return x * scale[:, :, None, None]


class ConvPair(nn.Module):
    """Twice: 3x3 convolution, batch norm, ReLU, quantization-adaptive layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = (inputs, outputs)
        self.convs = nn.ModuleList(nn.Conv2d(w, outputs, 3, padding=1, bias=False) for w in widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in widths)
        self.adapt = nn.ModuleList(QuantizationAdaptive(outputs) for _ in widths)

    def forward(self, x: Tensor, strength: Tensor) -> Tensor:
        """Map `(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        for conv, norm, adapt in zip(self.convs, self.norms, self.adapt, strict=True):
            x = adapt(F.relu(norm(conv(x))), strength)
        return x


class Npp(Network):
    """The neural preprocessing module of Lu et al. 2024 (arXiv 2206.05650), about 9.4 M parameters.

    ```
    x ─┬─ 1x1 3→3 ─ ReLU ─ 1x1 3→3 ──────────────────────────────────┐
       ├──────────────────────────────────────────────────────────── + ─ y
       └─ pair 32 ──────────────────────────── cat ─ pair 32 ─ 1x1 ──┘
            ↓                                   ↑
            pair 64 ────────────────── cat ─ pair 64       ↓ 3x3 convolution, stride 2
              ↓                         ↑                  ↑ 2x2 transposed, stride 2
              pair 128 ─────── cat ─ pair 128
                ↓               ↑                    pair: 2 x (3x3 conv, batch norm,
                pair 256 ─ cat ─ pair 256                   ReLU, adaptive layer)
                  ↓         ↑
                  pair 512 ─┘
    ```

    Read from the paper: the two branches, the widths 32/64/128/256, the pairs, the ways down and
    up, the concatenations, the adaptive layers, the parameter count. Chosen here, to meet that
    count: a bottleneck of 512 channels below the four levels (5.0 M parameters hang on it), 3x3
    downsampling that keeps the width, an adaptive layer of 288 hidden units after every
    convolution of a pair (0.9 M).

    Departure: the paper's output is the sum of the branches. Here `x` is added and the last layer
    of both branches starts at zero, so an untrained preprocessor returns its input exactly.
    Whatever the paper's network computes this one can too: the branches lose nothing by an
    addend, which the pixel branch (affine where its ReLU is open) can cancel.
    """

    name: ClassVar[str] = "npp"
    multiple: ClassVar[int] = 16
    # Pairs reach 2 pixels of their scale, 2 x (1+2+4+8) + 2 x 16 + 2 x (8+4+2+1) = 92; the ways
    # down 1+2+4+8 = 15; alignment to the 16-pixel grid of the bottleneck 15 more: 122.
    halo = 128

    def __init__(
        self, widths: tuple[int, int, int, int] = (32, 64, 128, 256), bottleneck: int = 512
    ) -> None:
        super().__init__()
        below = (*widths[1:], bottleneck)
        self.encoder = nn.ModuleList(
            ConvPair(w, v) for w, v in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(w, w, 3, stride=2, padding=1) for w in widths)
        self.bottleneck = ConvPair(widths[-1], bottleneck)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, w, 2, stride=2) for w, b in zip(widths, below, strict=True)
        )
        self.decoder = nn.ModuleList(ConvPair(2 * w, w) for w in widths)
        self.last = nn.Conv2d(widths[0], 3, 1)
        self.pixel_first = nn.Conv2d(3, 3, 1)
        self.pixel_last = nn.Conv2d(3, 3, 1)
        nn.init.dirac_(self.pixel_first.weight)  # drawn at random, its three ReLUs may begin dead
        nn.init.zeros_(cast(Tensor, self.pixel_first.bias))
        zero_(self.last)
        zero_(self.pixel_last)

    def residual(self, x: Tensor, strength: Tensor) -> Tensor:
        """U-Net plus pixel branch, `(N, 3, H, W)`."""
        pixel = self.pixel_last(F.relu(self.pixel_first(x)))
        skips = []
        h = x
        for encode, down in zip(self.encoder, self.down, strict=True):
            skips.append(encode(h, strength))
            h = down(skips[-1])
        h = self.bottleneck(h, strength)
        for level in reversed(range(len(skips))):
            h = torch.cat((skips[level], self.up[level](h)), dim=1)
            h = self.decoder[level](h, strength)
        return cast(Tensor, self.last(h) + pixel)


class FilmBlock(nn.Module):
    """Residual block: depthwise 3x3, scale and shift given from outside, 1x1 up, ReLU, 1x1 down.

    ```
    h ─┬─ dw 3x3 ─ · (1 + scale) + shift ─ 1x1 C→2C ─ ReLU ─ 1x1 2C→C ─ + ─ h
       └────────────────────────────────────────────────────────────────┘
    ```

    Scale and shift stand before the expansion: there the feature is narrow, and the wide part
    is convolution and ReLU only, which inference engines fuse.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.project = nn.Conv2d(2 * width, width, 1)
        # A quiet start: the sum over blocks stays of the size of its first term.
        nn.init.normal_(self.project.weight, std=0.02)
        nn.init.zeros_(cast(Tensor, self.project.bias))

    def forward(self, h: Tensor, film: Tensor) -> Tensor:
        """Refine `h` `(N, C, H, W)`; `film` `(N, 2C)` holds scale, then shift."""
        scale, shift = film[:, :, None, None].chunk(2, dim=1)
        modulated = self.depthwise(h) * (1 + scale) + shift
        return cast(Tensor, h + self.project(F.relu(self.expand(modulated))))


class NppLite(Network):
    """Our preprocessor for CPUs: two paths that both keep the phase of the codec's 8x8 grid.

    ```
    strength ─ MLP ─ scale, shift of every block
                           │
    x ─┬─ ▽8 ─ 1x1 ─ blocks at 1/8 ─┬───────────────── 1x1 ─ △8 ─┐
       │                            └─ 1x1 ─ △4 ─┐               │
       ├─ ▽2 ─ 3x3 ───────────────────────────── + ─ blocks ─ 3x3 ─ △2 ─ + ─ y
       │                                            at 1/2               │
       └─────────────────────────────────────────────────────────────────┘
                           (▽k, △k: pixel-unshuffle and pixel-shuffle by k; block: FilmBlock)
    ```

    The block path sees whole 8x8 blocks as vectors of 192 values, at 1/64 of the positions, where
    arithmetic is cheap; it is meant for what trellis quantization does to coefficients. The
    half-resolution path draws edges and texture across block borders, told by the block path what
    is around. No normalisation, so training and use compute the same thing. The last layers of
    both paths start at zero: an untrained network is the identity.
    """

    name: ClassVar[str] = "npp-lite"
    multiple: ClassVar[int] = 16

    def __init__(
        self, width: int = 24, depth: int = 3, block_width: int = 128, block_depth: int = 4
    ) -> None:
        super().__init__()
        # Each 3x3 reaches one position of its scale, the last one too; alignment to the 8-pixel
        # grid adds 7. By default 47, in whole 16s 48.
        reach = 8 * block_depth + 2 * (depth + 1) + 7
        self.halo = -(-reach // 16) * 16
        # ▽8 then 1x1 is one 8x8 convolution of stride 8, ▽2 then 3x3 one of 6x6 and stride 2:
        # the same weights in another order, without the copy.
        self.block_first = nn.Conv2d(3, block_width, 8, stride=8)
        self.half_first = nn.Conv2d(3, width, 6, stride=2, padding=2)
        self.block_blocks = nn.ModuleList(FilmBlock(block_width) for _ in range(block_depth))
        self.half_blocks = nn.ModuleList(FilmBlock(width) for _ in range(depth))
        self.context = nn.Conv2d(block_width, 16 * width, 1)
        self.block_last = nn.Conv2d(block_width, 192, 1)
        self.half_last = nn.Conv2d(width, 12, 3, padding=1)
        self.film_sizes = [2 * block_width] * block_depth + [2 * width] * depth
        self.film = nn.Sequential(
            nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(),
            nn.Linear(64, sum(self.film_sizes)),
        )  # fmt: skip
        zero_(cast(nn.Linear, self.film[-1]))
        zero_(self.block_last)
        zero_(self.half_last)

    def residual(self, x: Tensor, strength: Tensor) -> Tensor:
        """Sum of both paths, `(N, 3, H, W)`."""
        films = self.film(strength[:, None]).split(self.film_sizes, dim=1)
        centred = x - 0.5
        block = F.relu(self.block_first(centred))
        for layer, film in zip(self.block_blocks, films, strict=False):
            block = layer(block, film)
        half = F.relu(self.half_first(centred)) + F.pixel_shuffle(self.context(block), 4)
        for layer, film in zip(self.half_blocks, films[len(self.block_blocks) :], strict=True):
            half = layer(half, film)
        return F.pixel_shuffle(self.block_last(block), 8) + F.pixel_shuffle(self.half_last(half), 2)


def zero_(layer: nn.Conv2d | nn.Linear) -> None:
    """Set the weight and bias of `layer` to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
