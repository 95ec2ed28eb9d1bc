"""The analysis and synthesis transforms of the models: four 5x5 convolutions of stride 2 with GDN.

Source: Ballé et al. 2018 (arXiv 1802.01436), figure 4; shared by Minnen 2018 and Lee 2019.
"""

from torch import nn

from tamis.learned.gdn import GDN


def down(inputs: int, outputs: int) -> nn.Conv2d:
    """5x5 convolution of stride 2: `(N, inputs, H, W)` to `(N, outputs, H/2, W/2)`."""
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """5x5 transposed convolution of stride 2: `(N, inputs, H, W)` to `(N, outputs, 2H, 2W)`."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def analysis(n: int, m: int) -> nn.Sequential:
    """g_a: an image `(N, 3, H, W)` to its latent y, `(N, m, H/16, W/16)`."""
    return nn.Sequential(
        down(3, n), GDN(n), down(n, n), GDN(n), down(n, n), GDN(n), down(n, m)
    )  # fmt: skip


def synthesis(n: int, m: int) -> nn.Sequential:
    """g_s: a latent `(N, m, H/16, W/16)` to the reconstruction, `(N, 3, H, W)`."""
    return nn.Sequential(
        up(m, n), GDN(n, inverse=True), up(n, n), GDN(n, inverse=True),
        up(n, n), GDN(n, inverse=True), up(n, 3),
    )  # fmt: skip


def hyper_analysis(n: int, m: int, slope: float) -> nn.Sequential:
    """h_a: y `(N, m, H/16, W/16)` to z, `(N, n, H/64, W/64)`; `slope` of the leaky ReLUs."""
    return nn.Sequential(
        nn.Conv2d(m, n, 3, padding=1), _rectifier(slope),
        down(n, n), _rectifier(slope),
        down(n, n),
    )  # fmt: skip


def hyper_synthesis(n: int, widths: tuple[int, int], outputs: int, slope: float) -> nn.Sequential:
    """h_s: z_hat `(N, n, H/64, W/64)` to features `(N, outputs, H/16, W/16)`."""
    return nn.Sequential(
        up(n, widths[0]), _rectifier(slope),
        up(widths[0], widths[1]), _rectifier(slope),
        nn.Conv2d(widths[1], outputs, 3, padding=1),
    )  # fmt: skip


def _rectifier(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope) if slope else nn.ReLU()
