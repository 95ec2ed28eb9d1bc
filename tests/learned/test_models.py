"""The models: any size, what they promise in training and in evaluation, and who trains what."""

import pytest
import torch

from tamis.errors import TamisError
from tamis.learned.models import LearnedModel, create_model, list_models

N, M = 6, 8
CONTEXT = [("joint", None), ("context-adaptive", None), ("context-adaptive", 5)]


def model(name: str, context_channels: int | None = None) -> LearnedModel:
    """A seeded model whose latents are large enough not to be all zero."""
    torch.manual_seed(3)
    built = create_model(name, N, M, context_channels)
    with torch.no_grad():
        built.analysis[-1].weight *= 40  # type: ignore[index, operator]
    return built.eval()


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 30)])
@torch.no_grad()
def test_any_size_comes_back_the_same_size(name: str, size: tuple[int, int]) -> None:
    output = model(name)(torch.rand(2, 3, *size))
    assert output.x_hat.shape == (2, 3, *size)
    assert output.bpp.shape == (2,)
    assert (output.bpp > 0).all()


@pytest.mark.parametrize("name", list_models())
def test_padding_is_minimal(name: str) -> None:
    built = model(name)
    assert built.pad(torch.rand(1, 3, 64, 128)).shape == (1, 3, 64, 128)
    height, width = built.pad(torch.rand(1, 3, 65, 1)).shape[2:]
    assert height - 65 < built.multiple and width - 1 < built.multiple
    assert height % built.multiple == width % built.multiple == 0


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_learns(name: str) -> None:
    built = model(name).train()
    output = built(torch.rand(2, 3, 64, 64))
    (output.bpp.mean() + 100 * output.x_hat.square().mean()).backward()
    still = [n for n, p in built.named_parameters() if p.grad is None or not p.grad.any()]
    # In a random model every scale may lie on its bound on both sides of z's influence.
    assert not [n for n in still if "hyper" not in n and "bit_consuming" not in n]


def test_reduction_learns_its_transforms_from_distortion_alone() -> None:
    built = model("reduction").train()
    built(torch.rand(1, 3, 32, 32)).bpp.sum().backward()
    assert all(p.grad is None for p in built.analysis.parameters())
    assert all(p.grad is not None for p in built.latents.parameters())


@pytest.mark.parametrize(("name", "context_channels"), CONTEXT)
@torch.no_grad()
def test_context_sees_only_what_the_decoder_knows(name: str, context_channels: int | None) -> None:
    built = model(name, context_channels)
    latents = built(torch.rand(1, 3, 128, 128)).latents
    changed = latents.y_hat.clone()
    changed[:, :, 3, 4:] += 5
    changed[:, :, 4:] += 5
    before = built.latents.estimate(latents.z_hat, latents.y_hat)
    after = built.latents.estimate(latents.z_hat, changed)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one[:, :, :3], other[:, :, :3])
        assert torch.equal(one[:, :, 3, :5], other[:, :, 3, :5])
    assert not torch.equal(before[0][:, :, 4:], after[0][:, :, 4:])


@pytest.mark.parametrize(("name", "context_channels"), CONTEXT)
def test_no_two_positions_of_a_wavefront_see_each_other(
    name: str, context_channels: int | None
) -> None:
    window = model(name, context_channels).latents.context.window
    assert all(column + window.slope * row < 0 for row, column in window.offsets)


@torch.no_grad()
def test_hybrid_channels_have_zero_mean_and_no_context() -> None:
    built = model("context-adaptive", 5)
    latents = built(torch.rand(1, 3, 128, 128)).latents
    assert not latents.mean[:, 5:].any()
    _, scale = built.latents.estimate(latents.z_hat, latents.y_hat + 3)
    assert torch.equal(scale[:, 5:], latents.scale[:, 5:])


@pytest.mark.parametrize("name", ["joint", "context-adaptive", "hyperprior"])
@torch.no_grad()
def test_latents_without_a_centre_are_integers(name: str) -> None:
    y_hat = model(name)(torch.rand(1, 3, 64, 64)).latents.y_hat
    assert torch.equal(y_hat, y_hat.round())
    assert y_hat.any()


@torch.no_grad()
def test_mean_scale_rounds_around_its_means() -> None:
    latents = model("mean-scale")(torch.rand(1, 3, 64, 64)).latents
    distance = latents.y_hat - latents.mean
    assert torch.allclose(distance, distance.round(), atol=1e-4)
    assert not torch.equal(latents.y_hat, latents.y_hat.round())


@torch.no_grad()
def test_evaluation_repeats_and_training_draws_noise() -> None:
    built, x = model("joint"), torch.rand(1, 3, 64, 64)
    assert torch.equal(built(x).bpp, built(x).bpp)
    assert not torch.equal(built.train()(x).bpp, built(x).bpp)


def test_unknown_models_and_sizes_are_refused_in_one_line() -> None:
    with pytest.raises(TamisError, match="did you mean 'joint'"):
        create_model("jiont", 8, 8)
    with pytest.raises(TamisError, match="at least 1"):
        create_model("joint", 0, 8)
    with pytest.raises(TamisError, match="1 to m, which is 8"):
        create_model("context-adaptive", 8, 8, 9)
    with pytest.raises(TamisError, match="not for joint"):
        create_model("joint", 8, 8, 4)
