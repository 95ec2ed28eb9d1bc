"""The speed benchmark gives its peer our weights, and ratios that belong to one turn."""

import pytest
import torch
from learned_speed import ratio, take_turns, to_mbt2018

from tamis.codecs import Image
from tamis.errors import TamisError
from tamis.learned.compressai import load_compressai
from tamis.learned.models import create_model


def test_weights_given_to_the_peer_load_back_as_they_were() -> None:
    torch.manual_seed(0)
    model = create_model("joint", 6, 9)
    model.latents.density.update_medians()
    given = {name: torch.from_numpy(array) for name, array in to_mbt2018(model).items()}
    back = load_compressai(given, "mbt2018").state_dict()
    expected = model.state_dict()
    context = "latents.context.weight"
    expected[context] = expected[context] * model.latents.context.mask
    assert back.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(back[key], tensor), key


def test_the_peer_is_that_of_joint_alone() -> None:
    with pytest.raises(TamisError, match="not of 'context-adaptive'"):
        to_mbt2018(create_model("context-adaptive", 6, 9))


def test_a_ratio_is_taken_within_each_turn() -> None:
    # Machine noise that hits both sides of a turn alike leaves the ratio alone.
    assert ratio([20.0, 200.0, 40.0], [1.0, 10.0, 2.0]) == (20.0, 20.0, 20.0)


class Recorder:
    """A side that writes down when it was asked for what."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def encode(self, image: Image) -> tuple[float, int]:
        self.image = image
        self.calls.append(f"{self.name} encodes")
        return 2.0, 100

    def decode(self) -> tuple[float, Image]:
        self.calls.append(f"{self.name} decodes")
        return 1.0, self.image // 2


def test_sides_take_turns_after_one_turn_that_does_not_count(photos: list[Image]) -> None:
    calls: list[str] = []
    turns = take_turns({n: Recorder(n, calls) for n in "ab"}, photos[:1], rounds=2)
    assert calls == ["a encodes", "a decodes", "b encodes", "b decodes"] * 3
    assert turns["a"].encode == [2.0, 2.0]
    assert turns["a"].decode == [1.0, 1.0]
    assert turns["a"].size == [100, 100]
