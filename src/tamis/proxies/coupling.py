"""Values from the real codec, gradients from a proxy (Lu et al. 2024, Algorithm 1)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch

from tamis.codecs import Codec, Image, bpp
from tamis.proxies.base import Proxy
from tamis.proxies.registry import get_proxy


class RateSlope:
    """Running least-squares slope of real against predicted rate differences.

    A filter is driven by how the rate *changes*, and the ratio of the rates themselves
    over-states that by 15 to 20 % (pixels hidden below a quantization step cost nothing).
    So real differences between two versions of one photo are regressed on the proxy's.

    Attributes:
        value: bits per pixel of the real codec per bit per pixel of the proxy.
    """

    def __init__(self, value: float = 1.0, memory: float = 0.9) -> None:
        self._memory = memory
        self._xx = 1e-3
        self._xy = value * self._xx

    @property
    def value(self) -> float:
        """The slope, kept inside [0.2, 2]: outside that few, tiny differences are speaking."""
        return min(max(self._xy / self._xx, 0.2), 2.0)

    def update(self, predicted: torch.Tensor, real: torch.Tensor) -> None:
        """Take in differences of the same pairs of images, `(N,)` each, in bits per pixel."""
        self._xx = self._memory * self._xx + float(predicted.square().mean())
        self._xy = self._memory * self._xy + float((predicted * real).mean())

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"xx": self._xx, "xy": self._xy}

    def load(self, state: dict[str, float]) -> None:
        """Continue from a checkpoint."""
        self._xx, self._xy = state["xx"], state["xy"]


class RealCodec:
    """A codec over batches: encode and decode in threads (the encoders release the GIL)."""

    def __init__(self, codec: Codec, threads: int = 2) -> None:
        self.codec = codec
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"tamis-{codec.name}")

    def _one(self, image: Image, quality: int) -> tuple[Image, float]:
        data = self.codec.encode(image, quality)
        return self.codec.decode(data), bpp(data, image)

    def code(self, images: list[Image], quality: int) -> tuple[list[Image], list[float]]:
        """Reconstructions and rates in bits per pixel."""
        done = list(self._pool.map(lambda image: self._one(image, quality), images))
        return [image for image, _ in done], [rate for _, rate in done]

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Code `x`, `(N, 3, H, W)` in [0, 1], rounded to 8 bits: reconstruction and rate `(N,)`."""
        pixels = (x.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        images, rates = self.code(list(pixels.contiguous().cpu().numpy()), quality)
        x_hat = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(x) / 255
        return x_hat, torch.tensor(rates, dtype=x.dtype, device=x.device)


class Coupling:
    """`(x, quality) -> (x_hat, bpp)` whose values are the codec's and gradients the proxy's.

    Args:
        codec: the real codec.
        proxy: its stand-in; the analytic one by default.
        forward: `"codec"`, or `"proxy"` for the ablation in which the codec takes no part
            (Lu et al., "NPP+Minnen").
        threads: images coded at once.
    """

    def __init__(
        self,
        codec: Codec,
        proxy: Proxy | None = None,
        forward: Literal["codec", "proxy"] = "codec",
        threads: int = 2,
    ) -> None:
        self.codec = codec
        self.proxy = proxy if proxy is not None else get_proxy(codec)
        self.real = RealCodec(codec, threads)
        self.slopes: dict[int, RateSlope] = {}
        self._forward = forward

    def slope(self, quality: int) -> RateSlope:
        """The rate slope at `quality`; starts at a typical value."""
        return self.slopes.setdefault(quality, RateSlope())

    def to(self, device: torch.device) -> None:
        """Move a proxy that has weights; the codec works on the processor."""
        if isinstance(self.proxy, torch.nn.Module):
            self.proxy.to(device)

    def __call__(self, x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Code `x`, `(N, 3, H, W)` in [0, 1]; rate `(N,)` in bits per pixel."""
        x_proxy, rate_proxy = self.proxy(x, quality)
        if self._forward == "proxy":
            return x_proxy, rate_proxy * self.slope(quality).value
        with torch.no_grad():
            x_real, rate_real = self.real(x, quality)
        scaled = self.slope(quality).value * rate_proxy
        return (
            x_proxy + (x_real - x_proxy).detach(),
            scaled + (rate_real - scaled).detach(),
        )

    def state_dict(self) -> dict[str, dict[str, float]]:
        """The calibration, by quality, for a checkpoint."""
        return {str(quality): slope.state() for quality, slope in self.slopes.items()}

    def load_state_dict(self, state: dict[str, dict[str, float]]) -> None:
        """Continue with a checkpoint's calibration."""
        for quality, slope in state.items():
            self.slope(int(quality)).load(slope)

    @torch.no_grad()
    def calibrate(
        self, before: torch.Tensor, after: torch.Tensor, quality: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Learn the rate slope from two versions of the same photos; both real rates."""
        (_, real_before), (_, real_after) = self.real(before, quality), self.real(after, quality)
        self.learn(before, after, real_after - real_before, quality)
        return real_before, real_after

    @torch.no_grad()
    def learn(
        self, before: torch.Tensor, after: torch.Tensor, difference: torch.Tensor, quality: int
    ) -> None:
        """Learn the rate slope from the real `difference` in bpp, `(N,)`, of two versions."""
        predicted = self.proxy(after, quality)[1] - self.proxy(before, quality)[1]
        self.slope(quality).update(predicted, difference)
