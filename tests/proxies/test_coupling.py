"""Values of the real codec, gradients of the proxy, and the slope between their rates."""

import numpy as np
import pytest
import torch

from tamis.codecs import Image, bpp
from tamis.codecs.jpeg import Jpeg
from tamis.proxies import Coupling, RateSlope, RealCodec
from tamis.proxies.jpeg import JpegProxy
from tamis.tasks.pixels import to_tensor

QUALITY = 20


class Counted(Jpeg):
    """JPEG that counts its files."""

    files = 0

    def _encode(self, image: Image, quality: int) -> bytes:
        type(self).files += 1
        return super()._encode(image, quality)


@pytest.fixture
def x(crops: list[Image]) -> torch.Tensor:
    return to_tensor(crops[::7]).contiguous()


def blurred(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def test_the_values_are_exactly_the_codecs(x: torch.Tensor, crops: list[Image]) -> None:
    x_hat, rate = Coupling(Jpeg())(x, QUALITY)
    files = [Jpeg().encode(crop, QUALITY) for crop in crops[::7]]
    decoded = to_tensor([Jpeg().decode(file) for file in files])
    assert torch.equal((255 * x_hat).round(), (255 * decoded).round())
    assert torch.allclose(x_hat, decoded, atol=1e-6)
    real = [bpp(file, crop) for file, crop in zip(files, crops[::7], strict=True)]
    assert rate.tolist() == pytest.approx(real, rel=1e-5)


def test_the_gradients_are_the_proxys_finite_and_not_zero(x: torch.Tensor) -> None:
    coupling, proxy = Coupling(Jpeg()), JpegProxy(Jpeg())
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    slope = coupling.slope(QUALITY).value
    gradients = []
    for code, factor in ((coupling, 1.0), (proxy, slope)):
        pixels = x.clone().requires_grad_()
        x_hat, rate = code(pixels, QUALITY)
        ((x_hat * weights).sum() + factor * rate.sum()).backward()
        assert pixels.grad is not None
        gradients.append(pixels.grad)
    assert gradients[0].isfinite().all()
    assert (gradients[0].abs().flatten(1).amax(dim=1) > 0).all()
    assert torch.allclose(*gradients, atol=1e-5)


def test_the_proxy_ablation_never_calls_the_codec(x: torch.Tensor) -> None:
    Counted.files = 0
    coupling = Coupling(Counted(), forward="proxy")
    x_hat, rate = coupling(x, QUALITY)
    assert Counted.files == 0
    proxied, predicted = JpegProxy(Jpeg())(x, QUALITY)
    assert torch.equal(x_hat, proxied)
    assert torch.allclose(rate, coupling.slope(QUALITY).value * predicted)
    Coupling(Counted())(x, QUALITY)
    assert Counted.files == len(x)


def test_the_codec_gets_grey_levels_rounded_and_clipped(x: torch.Tensor) -> None:
    real = RealCodec(Jpeg(), threads=1)
    clean, rate = real(x, QUALITY)
    nearly, same = real(x + 0.4 / 255, QUALITY)
    assert torch.equal(clean, nearly) and torch.equal(rate, same)
    over, _ = real(4 * x - 1, QUALITY)
    clipped, _ = real((4 * x - 1).clamp(0, 1), QUALITY)
    assert torch.equal(over, clipped)


@pytest.mark.parametrize("true", [0.4, 0.8, 1.3])
def test_the_slope_converges_to_the_true_one_through_noise(true: float) -> None:
    slope, rng = RateSlope(), np.random.default_rng(0)
    for _ in range(200):
        predicted = torch.from_numpy(rng.normal(-0.1, 0.05, 8))
        slope.update(predicted, true * predicted + torch.from_numpy(rng.normal(0, 0.01, 8)))
    assert slope.value == pytest.approx(true, rel=0.05)


def test_a_constant_offset_of_the_proxys_rate_does_not_bias_the_slope(x: torch.Tensor) -> None:
    """Differences alone count: a header the proxy does not know of cancels."""
    ours, theirs = Coupling(Jpeg()), Coupling(Jpeg())
    theirs.proxy = lambda pixels, quality: (pixels, JpegProxy(Jpeg())(pixels, quality)[1] + 3)
    for coupling in (ours, theirs):
        coupling.calibrate(x, blurred(x), QUALITY)
    assert ours.slope(QUALITY).value == pytest.approx(theirs.slope(QUALITY).value, rel=1e-3)


def test_the_slope_stays_in_bounds_whatever_it_is_told() -> None:
    slope = RateSlope()
    slope.update(torch.full((4,), 0.1), torch.full((4,), -5.0))
    assert slope.value == 0.2
    slope.update(torch.full((4,), 0.1), torch.full((4,), 50.0))
    assert slope.value == 2.0


def test_calibrating_returns_both_real_rates_and_learns_from_their_difference(
    x: torch.Tensor,
) -> None:
    coupling = Coupling(Jpeg())
    start = coupling.slope(QUALITY).value
    for _ in range(30):
        before, after = coupling.calibrate(x, blurred(x), QUALITY)
    real = RealCodec(Jpeg())
    assert torch.equal(before, real(x, QUALITY)[1])
    assert torch.equal(after, real(blurred(x), QUALITY)[1])
    predicted = coupling.proxy(blurred(x), QUALITY)[1] - coupling.proxy(x, QUALITY)[1]
    fitted = float((predicted * (after - before)).mean() / predicted.square().mean())
    assert coupling.slope(QUALITY).value == pytest.approx(fitted, rel=0.02)
    assert coupling.slope(QUALITY).value != pytest.approx(start, rel=1e-3)
    assert coupling.slope(50).value == start


def test_the_calibration_survives_a_checkpoint(x: torch.Tensor) -> None:
    coupling, restored = Coupling(Jpeg()), Coupling(Jpeg())
    coupling.calibrate(x, blurred(x), QUALITY)
    restored.load_state_dict(coupling.state_dict())
    assert restored.slope(QUALITY).value == coupling.slope(QUALITY).value
    coupling.calibrate(x, x * 0.9, QUALITY)
    restored.calibrate(x, x * 0.9, QUALITY)
    assert restored.state_dict() == coupling.state_dict()
