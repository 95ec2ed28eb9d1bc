"""`npp-dct`: a preprocessor that edits the coefficients of the codec's own 8x8 blocks (torch)."""

import math
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tamis.preprocessing.network import Network, zero_

BLOCK = 8
_FREQUENCIES = BLOCK * BLOCK

# Full-range BT.601, pixels centred at zero; the rows are Y, Cb, Cr.
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def _basis() -> Tensor:
    """The 64 orthonormal DCT-II pictures of an 8x8 block, `(64, 1, 8, 8)`, row frequency first."""
    k = torch.arange(BLOCK, dtype=torch.float64)
    line = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    line[0] /= math.sqrt(2)
    return torch.kron(line, line).reshape(_FREQUENCIES, 1, BLOCK, BLOCK).float()


class BlockLayer(nn.Module):
    """Residual layer on the grid of blocks: depthwise 3x3, scale and shift, ReLU, 1x1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)
        nn.init.normal_(self.mix.weight, std=0.02)
        nn.init.zeros_(cast(Tensor, self.mix.bias))

    def forward(self, h: Tensor, film: Tensor) -> Tensor:
        """Refine `h` `(N, C, h, w)`; `film` `(N, 2C)` holds scale, then shift."""
        scale, shift = film[:, :, None, None].chunk(2, dim=1)
        return cast(Tensor, h + self.mix(F.relu(self.depthwise(h) * (1 + scale) + shift)))


class Editor(nn.Module):
    """Decides for every coefficient of a plane what it is worth, given the blocks around it.

    A coefficient c with index u = c / step becomes `c (1 + gain - kill * below) + step * offset`:
    `below` is a soft test of |u| against a threshold of its frequency, moved by the context, so
    that killing is what rate-distortion optimised quantization does; `gain` and `offset` come
    from the context. `kill`, `gain` and `offset` start at zero.
    """

    def __init__(self, context: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(context, width, 1)
        self.layers = nn.ModuleList(BlockLayer(width) for _ in range(depth))
        self.last = nn.Conv2d(width, 3 * _FREQUENCIES, 1)
        zero_(self.last)
        k = torch.arange(_FREQUENCIES)
        frequency = ((k // BLOCK) + (k % BLOCK)) / (2 * BLOCK - 2)
        # A start near the deadzone that helps most when one is set by hand.
        self.register_buffer("start", 0.5 + 0.5 * frequency, persistent=False)
        self.threshold = nn.Parameter(torch.zeros(_FREQUENCIES))
        self.slope = nn.Parameter(torch.zeros(_FREQUENCIES))
        self.kill = nn.Parameter(torch.zeros(_FREQUENCIES))
        keeps_dc = torch.ones(_FREQUENCIES)
        keeps_dc[0] = 0
        self.register_buffer("ac", keeps_dc, persistent=False)

    @torch.no_grad()
    def start_as_deadzone(self, base: float, rise: float) -> None:
        """See `NppDct.start_as_deadzone`."""
        self.kill.fill_(1 / self.KILL_SPEED)
        frequency = 2 * cast(Tensor, self.start) - 1
        self.threshold.copy_(
            (base + rise * frequency - cast(Tensor, self.start)) / self.THRESHOLD_SPEED
        )

    KILL_SPEED, THRESHOLD_SPEED = 10.0, 3.0
    """Factors on the parameters of a frequency: at a learning rate fit for convolutions they
    would take thousands of steps to cross their range."""

    def forward(
        self, c: Tensor, step: Tensor, told: Tensor, context: Tensor, films: Tensor
    ) -> Tensor:
        """Change of the coefficients `c` `(N, 64, h, w)`.

        Args:
            c: coefficients, in units of `step`'s unit.
            step: quantization steps `(N, 64, 1, 1)`.
            told: the strength `(N, 1, 1, 1)`.
            context: features of the blocks `(N, context, h, w)`.
            films: scale and shift of every layer `(N, depth * 2 * width)`.
        """
        h = F.relu(self.first(context))
        for layer, film in zip(self.layers, films.chunk(len(self.layers), dim=1), strict=True):
            h = layer(h, film)
        move, gain, offset = self.last(h).chunk(3, dim=1)
        row = (1, _FREQUENCIES, 1, 1)
        learned = self.THRESHOLD_SPEED * (self.threshold.view(row) + self.slope.view(row) * told)
        threshold = cast(Tensor, self.start).view(row) + learned + move
        below = torch.sigmoid(8 * (threshold - (c / step).abs()))
        kill = (self.KILL_SPEED * self.kill * cast(Tensor, self.ac)).view(row)
        return cast(Tensor, c * (gain - kill * below) + step * offset)


class NppDct(Network):
    """Our smallest preprocessor: soft thresholds on the DCT coefficients the codec will quantize.

    ```
    strength ─┬─ step of every frequency ─────────────┬───────────────────┐
              └─ MLP ─ scale, shift of every layer ───┼───────┐           │
    x ─ YCbCr ─┬─ Y ── DCT 8x8 ─────────── tanh, log ─┴─ layers ─ editor ─┴─ inverse DCT ─┐
               │                               ↓ mean 2x2                                 │
               ├─ Cb ─ mean 2x2 ─ DCT 8x8 ─┬─ tanh, log ─ layers ─ editors ─ inverse ─ ▲2 ┤
               ├─ Cr ─ mean 2x2 ─ DCT 8x8 ─┘                                              │
    x ─────────┴───────────────────────────────────────────────────────── + ─ RGB ────────┘
    ```

    JPEG's blocks are these blocks, so here a preprocessor does what an encoder's trellis does,
    but for a machine's eye: it learns which coefficients the tasks do not miss. HEVC and VVC
    transform other blocks, of the residual; there the same edit is a frequency-selective filter.
    No normalisation, fixed transforms, an identity until trained.
    """

    name: ClassVar[str] = "npp-dct"
    multiple: ClassVar[int] = 16
    log_step: Tensor

    def __init__(self, width: int = 96, depth: int = 3) -> None:
        super().__init__()
        # depthwise 3x3 on 16-pixel chroma blocks, and the alignment to their grid
        self.halo = 16 * (depth + 1)
        luma_context, chroma_context = 2 * _FREQUENCIES, 6 * _FREQUENCIES
        self.luma = Editor(luma_context, width, depth)
        self.chroma = Editor(chroma_context, width, depth)
        self.chroma_red = Editor(chroma_context, width, depth)
        self.film = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 3 * depth * 2 * width))
        zero_(cast(nn.Linear, self.film[-1]))
        self.register_buffer("log_step", torch.zeros(3, _FREQUENCIES))
        self.register_buffer("basis", _basis(), persistent=False)
        colour = torch.tensor(_TO_YCBCR, dtype=torch.float64)
        self.register_buffer("to_ycbcr", colour.float()[:, :, None, None], persistent=False)
        back = torch.linalg.inv(colour).float()[:, :, None, None]
        self.register_buffer("to_rgb", back, persistent=False)

    def set_steps(self, relative: Tensor) -> None:
        """Tell the codec's steps, `(3, 64)` for Y, Cb, Cr, relative to its nominal step.

        They are stored with the weights. Until told, every frequency has the nominal step, which
        is right for HEVC and VVC.
        """
        self.log_step = torch.log(relative)

    @torch.no_grad()
    def start_as_deadzone(self, base: float, rise: float) -> None:
        """Begin as a deadzone set by hand: indices below `base + rise * frequency` become zero.

        `frequency` goes from 0 (DC, which is kept) to 1. This alone saves bits, and it is a better
        place to train from than the identity.
        """
        for editor in (self.luma, self.chroma, self.chroma_red):
            editor.start_as_deadzone(base, rise)

    def residual(self, x: Tensor, strength: Tensor) -> Tensor:
        """What the edits change, `(N, 3, H, W)`."""
        told = strength[:, None, None, None]
        # Grey levels in [0, 1], so steps too: 2^(4 + 2 strength) / 255.
        step = torch.exp2(4 + 2 * told) / 255 * torch.exp(self.log_step)[:, None, :, None, None]
        planes = F.conv2d(x - 0.5, cast(Tensor, self.to_ycbcr))
        luma, chroma = planes[:, :1], F.avg_pool2d(planes[:, 1:], 2)
        parts = [self._forward(p) for p in (luma, chroma[:, :1], chroma[:, 1:])]
        seen = [self._features(c / s) for c, s in zip(parts, step, strict=True)]
        around = torch.cat((F.avg_pool2d(seen[0], 2), seen[1], seen[2]), dim=1)
        films = self.film(strength[:, None]).chunk(3, dim=1)
        changed = [
            self._inverse(editor(c, s, told, context, film))
            for editor, c, s, context, film in zip(
                (self.luma, self.chroma, self.chroma_red), parts, step,
                (seen[0], around, around), films, strict=True,
            )
        ]  # fmt: skip
        colour = F.interpolate(torch.cat(changed[1:], dim=1), scale_factor=2.0, mode="nearest")
        return F.conv2d(torch.cat((changed[0], colour), dim=1), cast(Tensor, self.to_rgb))

    def _forward(self, plane: Tensor) -> Tensor:
        return F.conv2d(plane, cast(Tensor, self.basis), stride=BLOCK)

    def _inverse(self, c: Tensor) -> Tensor:
        return F.conv_transpose2d(c, cast(Tensor, self.basis), stride=BLOCK)

    @staticmethod
    def _features(u: Tensor) -> Tensor:
        """Signed and unsigned size of the indices, both compressed: DC reaches hundreds."""
        return torch.cat((torch.tanh(u / 2), torch.log1p(u.abs())), dim=1)
