"""y, its mean and scale from our models, from modules built like CompressAI's, from functions."""

import pytest
import torch
from torch import nn

from tamis.analysis.sources import LatentSample, identity, open_source
from tamis.analysis.tally import fields_of
from tamis.errors import TamisError
from tamis.learned.models import create_model, list_models


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", list_models())
def test_our_models(name: str, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = create_model(name, 4, 6)
    with torch.inference_mode():
        sample = open_source(model)(images)
        output = model.eval()(images)
    assert sample.y.shape == (2, 6, 8, 8)
    assert sample.y_hat is not None
    assert torch.equal(sample.y_hat, output.latents.y_hat)
    assert (sample.mean is None) == (name in ("factorized", "hyperprior", "reduction"))
    assert ("residual" in fields_of(sample)) == (sample.mean is not None)
    # What was rounded lies half a step at most from what it was.
    if sample.mean is not None or name == "hyperprior":
        assert (sample.y_hat - sample.y).abs().max() <= 0.5 + 1e-5


class Conditional(nn.Module):
    """Takes arguments as CompressAI's GaussianConditional does."""

    def forward(
        self, inputs: torch.Tensor, scales: torch.Tensor, means: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        centre = torch.zeros_like(inputs) if means is None else means
        y_hat = torch.round(inputs - centre) + centre
        return y_hat, torch.exp(-(((y_hat - centre) / scales) ** 2)).clamp(1e-9, 1)


class Peer(nn.Module):
    """A mean-scale hyperprior with CompressAI's names for its parts."""

    def __init__(self, means: bool) -> None:
        super().__init__()
        self.means = means
        self.g_a = nn.Conv2d(3, 4, 16, 16)
        self.g_s = nn.ConvTranspose2d(4, 3, 16, 16)
        self.h_a = nn.Conv2d(4, 4, 1)
        self.h_s = nn.Conv2d(4, 8, 1)
        self.gaussian_conditional = Conditional()

    def forward(self, x: torch.Tensor) -> dict[str, object]:
        y = self.g_a(x)
        scales, means = self.h_s(torch.round(self.h_a(y))).chunk(2, 1)
        scales = scales.abs() + 0.1
        if self.means:
            y_hat, likelihoods = self.gaussian_conditional(y, scales, means=means)
        else:
            y_hat, likelihoods = self.gaussian_conditional(y, scales)
        return {"x_hat": self.g_s(y_hat), "likelihoods": {"y": likelihoods}}


@pytest.mark.parametrize("means", [True, False])
def test_a_module_built_like_compressais(means: bool, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = Peer(means)
    with torch.inference_mode():
        sample = open_source(model)(images)
        assert torch.equal(sample.y, model.g_a(images))
        assert torch.equal(model.g_s(sample.y_hat), model(images)["x_hat"])
    assert sample.scale is not None
    assert sample.likelihoods is not None
    assert (sample.mean is not None) == means
    if means:
        residual = fields_of(sample)["residual"]
        assert abs(residual - residual.round()).max() < 1e-5
    assert not model.g_a._forward_hooks


def test_a_function_is_its_own_source(images: torch.Tensor) -> None:
    def latents(x: torch.Tensor) -> LatentSample:
        return LatentSample(x[:, :2, ::16, ::16] * 10)

    assert open_source(latents) is latents
    fields = fields_of(latents(images))
    assert set(fields) == {"y", "y_hat"}
    assert abs(fields["y_hat"] - fields["y"]).max() <= 0.5


def test_identity_follows_the_weights() -> None:
    torch.manual_seed(0)
    model = create_model("hyperprior", 4, 6)
    before = identity(open_source(model))
    assert identity(open_source(model)) == before
    with torch.no_grad():
        next(model.parameters())[0] += 1e-3
    assert identity(open_source(model)) != before


def test_what_is_no_source() -> None:
    with pytest.raises(TamisError, match="give a model of Tamis"):
        open_source(nn.Conv2d(3, 3, 1))
    with pytest.raises(TamisError, match="no model directory or shipped model 'nothing-7'"):
        open_source("nothing-7")
