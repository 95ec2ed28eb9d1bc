"""The search for latents: never worse by the model's own measure, and nothing for the decoder."""

import pytest
import torch

from tamis.codecs import Image
from tamis.learned.compressor import Compressor
from tamis.learned.gaussian import bits
from tamis.learned.models import LearnedModel, create_model, list_models
from tamis.learned.search import Search, search, soft_round

PRICE = 0.01


def model(name: str) -> LearnedModel:
    torch.manual_seed(1)
    built = create_model(name, 6, 8)
    with torch.no_grad():
        built.analysis[-1].weight *= 30  # type: ignore[index, operator]
    built.latents.density.update_medians()
    return built.eval()


def tensor(photo: Image) -> torch.Tensor:
    return torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def cost(built: LearnedModel, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor | None) -> float:
    latents = built.latents.code(y, z, torch.round)
    height, width = x.shape[2:]
    rate = sum(bits(value).sum() for value in latents.likelihoods.values()) / (height * width)
    error = (built.synthesis(latents.y_hat)[:, :, :height, :width] - x).square().mean()
    return float(rate + PRICE * 255**2 * error)


@pytest.mark.parametrize("name", list_models())
def test_found_latents_cost_less_than_the_models_guess(
    name: str, named_photos: dict[str, Image]
) -> None:
    built, x = model(name), tensor(named_photos["cat"][:90, :70])
    with torch.no_grad():
        y = built.analysis(built.pad(x))
        guess = cost(built, x, y, built.latents.hyper(y))
    assert cost(built, x, *search(built, x, Search(12, PRICE))) < guess


def test_weights_are_left_alone(named_photos: dict[str, Image]) -> None:
    built, x = model("joint"), tensor(named_photos["cat"][:64, :64])
    before = [value.clone() for value in built.state_dict().values()]
    search(built, x, Search(2, PRICE))
    assert all(map(torch.equal, before, built.state_dict().values()))
    assert all(p.grad is None for p in built.parameters())


@pytest.mark.parametrize("name", ["context-adaptive", "mean-scale", "factorized"])
def test_its_streams_are_ordinary_streams(name: str, named_photos: dict[str, Image]) -> None:
    photo = named_photos["cat"][:90, :70]
    compressor = Compressor.build(model(name), [tensor(photo)])
    plain, searched = compressor.compress([photo]), compressor.compress([photo], Search(8, PRICE))
    assert plain != searched
    (decoded,) = compressor.decompress(searched)
    assert decoded.shape == photo.shape


def test_soft_rounding_hardens_and_keeps_integers() -> None:
    x = torch.tensor([-1.2, 0.0, 0.4, 0.6, 2.0], requires_grad=True)
    warm, cold = soft_round(1.0)(x), soft_round(0.01)(x)
    assert torch.allclose(cold, x.round(), atol=1e-3)
    assert 0.4 < float(warm[2].detach()) + 0.2 < 0.7
    warm.sum().backward()
    assert torch.isfinite(x.grad).all()
