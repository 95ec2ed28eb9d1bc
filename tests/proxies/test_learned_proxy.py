"""A learned codec as a proxy: what it starts as, what it refuses, how it travels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.card import CARD, SAFETENSORS
from tamis.codecs import Image, get_codec
from tamis.errors import TamisError
from tamis.learned.models import create_model
from tamis.proxies import Coupling, RealCodec, get_proxy
from tamis.proxies.learned import ConditionedModel, LearnedProxy
from tamis.proxies.package import ZOO, header_bits, load, save
from tamis.tasks.pixels import to_tensor

BPG = get_codec("bpg")


@pytest.fixture
def proxy() -> LearnedProxy:
    """Random weights, for QP 28 to 40."""
    torch.manual_seed(3)
    network = ConditionedModel(create_model("joint", 8, 12))
    return LearnedProxy(BPG, network, (28, 40), 264.0, {28: 1.5, 40: 0.5})


@pytest.fixture
def directory(proxy: LearnedProxy, tmp_path: Path) -> Path:
    """The same, saved."""
    save(tmp_path / "mine", proxy, "bpg", steps=0, recipe="r", data="none", licence="Apache-2.0")
    return tmp_path / "mine"


def test_untrained_gains_leave_the_model_as_it_is_where_it_came_from() -> None:
    torch.manual_seed(0)
    model = create_model("joint", 8, 12).eval()
    x = torch.rand(2, 3, 64, 80)
    told = ConditionedModel(model).eval()(x, torch.zeros(2))
    plain = model(x)
    assert torch.equal(told.bpp, plain.bpp)
    assert torch.equal(told.x_hat, plain.x_hat)


def test_a_coarser_codec_costs_fewer_bits_before_any_training() -> None:
    torch.manual_seed(0)
    network = ConditionedModel(create_model("joint", 8, 12)).eval()
    with torch.no_grad():  # random weights give latents that round to nothing
        network.model.analysis[-1].weight.mul_(300)
        bpp = network(torch.rand(3, 3, 64, 64), torch.tensor([-1.0, 0.0, 1.0])).bpp
    assert bpp[0] > bpp[1] > bpp[2]


def test_both_values_have_a_gradient_and_the_weights_are_frozen(proxy: LearnedProxy) -> None:
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    x_hat, bpp = proxy(x, 34)
    assert x_hat.shape == x.shape
    assert bpp.shape == (1,)
    for value in (x_hat.sum(), bpp.sum()):
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        assert float(gradient.abs().max()) > 0
    assert not any(parameter.requires_grad for parameter in proxy.parameters())


def test_the_rate_is_that_of_the_file_with_its_header_times_the_factor(proxy: LearnedProxy) -> None:
    x = torch.rand(1, 3, 64, 64)
    raw = LearnedProxy(BPG, proxy.network, proxy.qualities)(x, 28)[1]
    assert float(proxy(x, 28)[1]) == pytest.approx(1.5 * (float(raw) + 264 / 64**2))


def test_factors_lie_between_those_of_the_neighbouring_qualities(proxy: LearnedProxy) -> None:
    assert proxy.factor(34) == pytest.approx(1.0)
    assert proxy.factor(31) == pytest.approx(1.25)


def test_a_quality_it_was_not_trained_for_is_refused(proxy: LearnedProxy) -> None:
    with pytest.raises(TamisError, match=r"trained for QP 28\.\.40, not 41"):
        proxy(torch.rand(1, 3, 64, 64), 41)


def test_what_is_saved_is_what_is_loaded(proxy: LearnedProxy, directory: Path) -> None:
    x = torch.rand(1, 3, 70, 90)
    loaded = load(directory, BPG)
    for ours, theirs in zip(proxy(x, 34), loaded(x, 34), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-3)  # float16
    again = get_proxy(BPG, name=f"learned:{directory}")
    assert torch.equal(again(x, 34)[1], loaded(x, 34)[1])


def test_a_file_that_is_not_the_cards_is_refused(directory: Path) -> None:
    (directory / SAFETENSORS).write_bytes(b"something else")
    with pytest.raises(TamisError, match="SHA-256"):
        load(directory, BPG)


def test_a_proxy_of_another_codec_is_refused(directory: Path) -> None:
    with pytest.raises(TamisError, match="one of bpg, not of vvc"):
        load(directory, get_codec("vvc"))


def test_a_directory_without_a_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match=CARD):
        get_proxy(BPG, name=f"learned:{tmp_path}")


def test_names_that_do_not_exist_say_what_does() -> None:
    with pytest.raises(TamisError, match="unknown proxy 'dtc'; known: dct, learned"):
        get_proxy(BPG, name="dtc")
    with pytest.raises(TamisError, match=r"no learned proxy of jpeg .* tamis train proxy"):
        get_proxy(get_codec("jpeg"), name="learned")


def test_a_coupling_moves_its_proxy(proxy: LearnedProxy) -> None:
    coupling = Coupling(BPG, proxy)
    coupling.to(torch.device("meta"))
    assert {parameter.device.type for parameter in proxy.parameters()} == {"meta"}


def test_a_file_of_nothing_is_what_every_file_has() -> None:
    assert header_bits(BPG, 28) == pytest.approx(header_bits(BPG, 41), abs=16)
    assert 200 < header_bits(BPG, 34) < 400


@pytest.mark.skipif(not (ZOO / "bpg" / CARD).is_file(), reason="no learned proxy of BPG is shipped")
@pytest.mark.parametrize("quality", [28, 34, 41])
def test_the_shipped_proxy_ranks_crops_by_the_size_of_their_files(
    crops: list[Image], quality: int
) -> None:
    x = to_tensor(crops[::2])
    with torch.no_grad():
        _, predicted = get_proxy(BPG, name="learned")(x, quality)
    _, rate = RealCodec(BPG, threads=1)(x, quality)
    assert np.corrcoef(predicted, rate)[0, 1] > 0.95
    assert float(predicted.mean() / rate.mean()) == pytest.approx(1, abs=0.3)
