"""One photo inside a learned codec: what each part of the model says, position by position.

The figure is for teaching: the photo, where its bits go, and for the most expensive channels the
latent, the mean and scale that were predicted for it, and the residual that remains to be coded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from tamis.bench.figures import save_figure
from tamis.bench.metrics import psnr
from tamis.codecs import Image
from tamis.errors import TamisError
from tamis.learned.models import LearnedModel
from tamis.tasks.pixels import to_images, to_tensor

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Anatomy:
    """What a model makes of one photo.

    Attributes:
        photo: `uint8 (H, W, 3)`.
        reconstruction: `uint8 (H, W, 3)`.
        y_hat: quantized latent, `(M, h, w)`.
        mean: predicted means, `(M, h, w)`; zeros where the model predicts none.
        scale: predicted scales, `(M, h, w)`; None where the model predicts none.
        bits: of each element of y, `(M, h, w)`, by its likelihood.
        hyper_bits: of all of z.
    """

    photo: Image
    reconstruction: Image
    y_hat: Array
    mean: Array
    scale: Array | None
    bits: Array
    hyper_bits: float

    @property
    def channels(self) -> npt.NDArray[np.intp]:
        """Channels of y, the most expensive first."""
        return np.argsort(-self.bits.sum((1, 2)), kind="stable")

    @property
    def bpp(self) -> float:
        """Rate of y and z by their likelihoods, in bits per pixel."""
        height, width = self.photo.shape[:2]
        return float(self.bits.sum() + self.hyper_bits) / float(height * width)

    @property
    def psnr(self) -> float:
        """Of the reconstruction, in dB; infinite if it is the photo."""
        return psnr(self.reconstruction, self.photo)


@torch.inference_mode()
def dissect(model: LearnedModel, photo: Image) -> Anatomy:
    """Run `model` in evaluation mode on `photo`, `uint8 (H, W, 3)`, and keep what it computed."""
    model = model.eval()
    x_hat, latents, _ = model(to_tensor([photo]))
    bits = {name: -torch.log2(value[0]) for name, value in latents.likelihoods.items()}
    y_hat = latents.y_hat[0]
    mean = torch.zeros_like(y_hat) if latents.mean is None else latents.mean[0]
    return Anatomy(
        photo=photo,
        reconstruction=to_images(x_hat)[0],
        y_hat=y_hat.numpy(),
        mean=mean.numpy(),
        scale=None if latents.scale is None else latents.scale[0].numpy(),
        bits=bits["y"].numpy(),
        hyper_bits=float(bits["z"].sum()) if "z" in bits else 0.0,
    )


def anatomy_figure(anatomy: Anatomy, channels: int = 3) -> Figure:
    """The photo, its reconstruction and its bits above; a row for each expensive channel below.

    Args:
        anatomy: from `dissect`.
        channels: how many channels to show.

    Raises:
        TamisError: the model has fewer channels than asked for.
    """
    if not 1 <= channels <= len(anatomy.y_hat):
        raise TamisError(f"cannot show {channels} channels; expected 1 to {len(anatomy.y_hat)}")
    chosen = anatomy.channels[:channels]
    height, width = anatomy.photo.shape[:2]
    with mpl.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "tamis"}):
        figure = Figure(
            figsize=(12, (2.4 * height / width + 0.35) * (channels + 1)), layout="constrained"
        )
        grid = figure.subplots(channels + 1, 4, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        bits = anatomy.bits.sum(0)
        shares = np.sort(anatomy.bits.sum((1, 2)))[::-1]
        share = shares[:channels].sum() / shares.sum()
        top = f"{channels} of {len(shares)} channels hold {share:.0%}"
        grid[0, 0].imshow(anatomy.photo)
        grid[0, 0].set_title("photo")
        grid[0, 1].imshow(anatomy.reconstruction)
        grid[0, 1].set_title(f"{anatomy.bpp:.3f} bpp, {anatomy.psnr:.2f} dB")
        _map(figure, grid[0, 2], bits, "bits of y at each position", cmap="magma", vmin=0)
        _rates(grid[0, 3], shares, top)
        for row, channel in zip(grid[1:], chosen, strict=True):
            residual = anatomy.y_hat[channel] - anatomy.mean[channel]
            limit = max(1.0, float(np.abs(anatomy.y_hat[channel]).max()))
            signed: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
            _map(figure, row[0], anatomy.y_hat[channel], f"channel {channel}: y_hat", **signed)
            _map(figure, row[1], anatomy.mean[channel], "predicted mean", **signed)
            if anatomy.scale is not None:
                _map(figure, row[2], anatomy.scale[channel], "predicted scale", cmap="viridis")
            _map(figure, row[3], residual, "y_hat - mean", **signed)
    return figure


def draw_anatomy(
    model: LearnedModel, photo: Image, folder: Path, name: str = "latents", channels: int = 3
) -> list[Path]:
    """Dissect `photo` and write the figure as `name.png` and `name.svg` into `folder`."""
    return save_figure(anatomy_figure(dissect(model, photo), channels), folder, name)


def _map(figure: Figure, axes: Any, values: Array, title: str, **style: Any) -> None:
    shown = axes.imshow(values, interpolation="nearest", **style)
    axes.set_title(title)
    figure.colorbar(shown, ax=axes, shrink=0.8)


def _rates(axes: Any, shares: Array, title: str) -> None:
    axes.set_axis_on()
    axes.bar(np.arange(len(shares)), shares / shares.sum(), width=1.0, color="#2f6fed")
    axes.set_title(title)
    axes.set_xlabel("channel, most expensive first")
    axes.set_ylabel("share of the bits of y")
