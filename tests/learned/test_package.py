"""A model directory: what is stored is what runs, and nothing unverified runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tamis.card import CARD, SAFETENSORS, sha256
from tamis.codecs import Image
from tamis.errors import CorruptFileError, RecipeError, TamisError
from tamis.learned import package
from tamis.learned.card import Card
from tamis.learned.complexity import complexity
from tamis.learned.models import create_model, list_models

from .conftest import save, shaken


@pytest.fixture
def copied(tiny_zoo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_zoo / "tiny-1", tmp_path / "tiny-1"))


def rewrite(directory: Path, change: str, value: np.ndarray) -> None:
    """Replace a tensor and make the card vouch for the new file."""
    tensors = load_file(directory / SAFETENSORS)
    tensors[change] = value
    save_file(tensors, directory / SAFETENSORS)
    edit(directory, files={SAFETENSORS: sha256((directory / SAFETENSORS).read_bytes())})


def edit(directory: Path, **changes: object) -> None:
    card = yaml.safe_load((directory / CARD).read_text()) | changes
    (directory / CARD).write_text(yaml.safe_dump(card))


@pytest.mark.parametrize("name", list_models())
def test_every_model_codes_the_same_after_saving(
    name: str, crops: list[Image], tmp_path: Path
) -> None:
    model = shaken(name)
    save(tmp_path / "a", model, crops)
    save(tmp_path / "b", model, crops)
    one, two = package.load(tmp_path / "a"), package.load(tmp_path / "b")
    streams = one.compress(crops)
    assert streams == two.compress(crops)
    for image, decoded, again in zip(
        crops, one.decompress(streams), two.decompress(streams), strict=True
    ):
        assert decoded.shape == image.shape
        assert np.array_equal(decoded, again)
        assert decoded.std() > 0


def test_saving_twice_writes_the_same_bytes(crops: list[Image], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save(tmp_path / folder / "same", shaken("context-adaptive", context_channels=8), crops)
    for name in (CARD, SAFETENSORS):
        assert (tmp_path / "a/same" / name).read_bytes() == (
            tmp_path / "b/same" / name
        ).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a/same").iterdir()) == [CARD, SAFETENSORS]


def test_the_float_model_that_runs_is_the_rounded_one(crops: list[Image], tmp_path: Path) -> None:
    model = shaken("joint")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    save(tmp_path / "joint-1", model, crops)
    loaded = package.load(tmp_path / "joint-1").model.state_dict()
    assert set(loaded) == set(before)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])  # saving leaves the model as it was
        if not key.endswith("medians"):
            assert torch.equal(loaded[key], value.half().float())


def test_the_card_says_what_it_is(tiny_zoo: Path) -> None:
    card = Card.load(tiny_zoo / "tiny-2")
    assert (card.name, card.model, card.n, card.m) == ("tiny-2", "joint", 8, 12)
    assert card.context_channels is None
    assert (card.lambda_, card.metric) == (0.01, "mse")
    cost = complexity(create_model("joint", 8, 12))
    assert card.parameters == cost.parameters
    assert card.macs_per_pixel == round(cost.macs_per_pixel, 1)
    with safe_open(tiny_zoo / "tiny-2" / SAFETENSORS, "np") as file:
        assert '"model": "joint"' in file.metadata()["model"]
        weights = [name for name in file.keys() if name.startswith("weights.")]  # noqa: SIM118
        assert all(file.get_slice(name).get_dtype() == "F16" for name in weights)


def test_streams_carry_the_fingerprint(tiny_zoo: Path, crops: list[Image]) -> None:
    card, codec = Card.load(tiny_zoo / "tiny-1"), package.load(tiny_zoo / "tiny-1")
    assert bytes.fromhex(card.fingerprint)[:8] in codec.compress(crops[:1])[0][:32]


def test_a_hybrid_model_keeps_its_context_channels(crops: list[Image], tmp_path: Path) -> None:
    save(tmp_path / "h", shaken("context-adaptive", context_channels=8), crops)
    assert Card.load(tmp_path / "h").context_channels == 8
    codec = package.load(tmp_path / "h")
    assert codec.decompress(codec.compress(crops[:1]))[0].shape == crops[0].shape


def test_one_changed_byte_is_refused(copied: Path) -> None:
    path = copied / SAFETENSORS
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(TamisError, match="SHA-256 differs") as caught:
        package.load(copied)
    assert "\n" not in str(caught.value)


def test_a_card_of_another_model_is_refused(copied: Path, tiny_zoo: Path) -> None:
    edit(copied, n=9)
    with pytest.raises(TamisError, match="not the model its card describes"):
        package.load(copied)
    edit(copied, n=8, fingerprint=Card.load(tiny_zoo / "tiny-2").fingerprint)
    with pytest.raises(TamisError, match="not the model its card describes"):
        package.load(copied)


@pytest.mark.parametrize("part", ["weights.synthesis.0.weight", "coder.channels.frequencies"])
def test_the_fingerprint_covers_what_the_decoder_needs(copied: Path, part: str) -> None:
    value = load_file(copied / SAFETENSORS)[part]
    changed = value.copy()
    changed.flat[0] += 1
    rewrite(copied, part, changed)
    with pytest.raises(TamisError, match="fingerprints differ"):
        package.load(copied)


def test_an_encoder_may_be_improved_without_a_new_fingerprint(
    copied: Path, crops: list[Image]
) -> None:
    part = "weights.analysis.0.bias"
    plain = package.load(copied)
    rewrite(copied, part, load_file(copied / SAFETENSORS)[part] + np.float16(0.5))
    other = package.load(copied)
    (stream,) = other.compress(crops[:1])
    assert [stream] != plain.compress(crops[:1])
    assert np.array_equal(*plain.decompress([stream]), *other.decompress([stream]))


@pytest.mark.parametrize("bits", [np.float32(1e6), np.float32("nan")])
def test_weights_that_float16_cannot_hold_are_refused(
    bits: np.float32, crops: list[Image], tmp_path: Path
) -> None:
    model = shaken("factorized")
    model.synthesis[0].bias.data[0] = float(bits)
    with pytest.raises(TamisError, match=r"synthesis\.0\.bias.*float16"):
        save(tmp_path / "big", model, crops)
    assert not (tmp_path / "big").exists()


def test_damaged_directories_are_one_line(copied: Path) -> None:
    (copied / SAFETENSORS).write_bytes(b"no tensors")
    edit(copied, files={SAFETENSORS: sha256(b"no tensors")})
    with pytest.raises(CorruptFileError, match="no file of safetensors"):
        package.load(copied)
    (copied / SAFETENSORS).unlink()
    with pytest.raises(TamisError, match="lacks its file"):
        package.load(copied)
    edit(copied, lamda=1)
    with pytest.raises(RecipeError, match="did you mean 'lambda'"):
        package.load(copied)
    (copied / CARD).unlink()
    with pytest.raises(TamisError, match="there is no model card"):
        package.load(copied)


def test_what_is_measured_later_goes_on_the_card(copied: Path) -> None:
    assert Card.load(copied).bpp is None
    package.annotate(copied, {"kodak": {"bpp": 0.25, "command": "a command"}})
    card = package.annotate(copied, {"seconds": 3})
    assert card == Card.load(copied)
    assert card.bpp == 0.25
    assert card.metrics["seconds"] == 3
    package.load(copied)


@pytest.mark.parametrize("name", list_models())
def test_the_cost_is_the_sum_over_the_layers(name: str) -> None:
    """Counted by hand: layers of g_a and g_s, positions per pixel times taps times channels."""
    n, m = 8, 12
    transforms = 2 * (
        (3 * n / 4 + n * n / 16 + n * n / 64 + n * m / 256) * 25
        + n * n / 4 + n * n / 16 + n * n / 64
    )  # fmt: skip
    hyper = 25 * (n * n / 1024 + n * n / 4096) + 9 * m * n / 256
    rest = {
        "factorized": 0,
        "reduction": 0,
        "hyperprior": 25 * (n * n / 4096 + n * n / 1024) + 9 * n * m / 256,
    }
    got = complexity(create_model(name, n, m)).macs_per_pixel
    if name in rest:
        assert got == pytest.approx(
            transforms + (hyper if name == "hyperprior" else 0) + rest[name]
        )
    else:
        assert got > transforms + hyper
