"""What a learned codec is trained for, by its gradients."""

import pytest
import torch

from tamis.learned.models import create_model
from tamis.training.codec_objective import CodecObjective, ms_ssim
from tamis.training.codec_precision import train_in_bfloat16


def test_the_loss_is_rate_and_lambda_times_squared_grey_levels() -> None:
    model, x = create_model("joint", 4, 6).eval(), torch.rand(2, 3, 64, 64)
    output = model(x)
    cost = CodecObjective("mse", 0.01)(output, x)
    squared = (255 * output.x_hat - 255 * x).square().mean()
    torch.testing.assert_close(cost.loss, output.bpp.mean() + 0.01 * squared)


def test_the_rate_teaches_reduction_its_densities_only() -> None:
    model, x = create_model("reduction", 4, 6), torch.rand(1, 3, 32, 32)
    torch.manual_seed(0)
    cost = CodecObjective("mse", 0.01)(model(x), x)
    cost.loss.backward()
    taught = [weight.grad.clone() for weight in model.analysis.parameters()]
    assert all(weight.grad.abs().sum() > 0 for weight in model.latents.parameters())
    model.zero_grad()
    (0.01 * 255**2 * (model(x).x_hat - x).square().mean()).backward()
    for grad, weight in zip(taught, model.analysis.parameters(), strict=True):
        torch.testing.assert_close(grad, weight.grad)


def test_ms_ssim_is_one_for_equal_pictures_and_has_a_gradient_for_hopeless_ones() -> None:
    x = torch.rand(1, 3, 176, 176)
    assert float(ms_ssim(x, x)) == pytest.approx(1, abs=1e-4)
    hopeless = (1 - x).requires_grad_()
    value = ms_ssim(hopeless, x)
    value.backward()
    assert 0 <= float(value.detach()) < 0.5
    assert torch.isfinite(hopeless.grad).all()


def test_bfloat16_is_for_training_alone() -> None:
    model, x = create_model("joint", 4, 6), torch.rand(1, 3, 64, 64)
    full = model.analysis(x)
    train_in_bfloat16(model.analysis)
    low = model.analysis(x)
    assert low.dtype == torch.float32
    assert not torch.equal(low, full)
    torch.testing.assert_close(low, full, atol=0.1, rtol=0.1)
    assert torch.equal(model.eval().analysis(x), full)
