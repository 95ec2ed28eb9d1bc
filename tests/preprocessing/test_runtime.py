"""Exported models: ONNX Runtime gives what torch gives, and nothing unverified runs."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from tamis.card import CARD, SAFETENSORS
from tamis.codecs import Image, get_codec
from tamis.errors import RecipeError, TamisError
from tamis.preprocessing import Preprocessor
from tamis.preprocessing.architectures import create_network
from tamis.preprocessing.baselines import Lowpass
from tamis.preprocessing.card import ONNX, Card
from tamis.preprocessing.complexity import complexity
from tamis.preprocessing.conditioning import strength
from tamis.preprocessing.export import to_onnx
from tamis.preprocessing.module import TorchPreprocessor, load_network
from tamis.preprocessing.network import Network
from tamis.preprocessing.runtime import OnnxPreprocessor

JPEG = get_codec("jpeg")


@pytest.fixture(scope="module")
def model(zoo: Path) -> OnnxPreprocessor:
    return OnnxPreprocessor(zoo / "default-jpeg", threads=1)


@pytest.fixture
def copied(zoo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(zoo / "default-jpeg", tmp_path / "default-jpeg"))


def edit(directory: Path, **changes: object) -> Path:
    card = yaml.safe_load((directory / CARD).read_text()) | changes
    (directory / CARD).write_text(yaml.safe_dump(card))
    return directory


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (61, 37), (96, 64)])
@pytest.mark.parametrize("quality", [5, 30, 80])
def test_onnx_runtime_gives_what_torch_gives(
    model: OnnxPreprocessor, lite: Network, size: tuple[int, int], quality: int
) -> None:
    x = np.random.default_rng(2).random((2, 3, *size), np.float32)
    value = strength(JPEG, quality)
    expected = TorchPreprocessor(lite).filter(x, value)
    assert np.abs(expected - x).max() > 1 / 255
    assert np.abs(model.filter(x, value) - expected).max() < 1e-4


@pytest.mark.slow
def test_the_published_network_runs_in_onnx_runtime_too(shaken, tmp_path: Path) -> None:
    import onnxruntime

    network = shaken("npp")
    session = onnxruntime.InferenceSession(to_onnx(network), providers=["CPUExecutionProvider"])
    x, s = torch.rand(3, 3, 48, 80), torch.tensor([-1.0, 0.0, 1.0])
    with torch.no_grad():
        expected = network(x, s).numpy()
    result = session.run(["filtered"], {"image": x.numpy(), "strength": s.numpy()})[0]
    assert np.abs(result - expected).max() < 1e-4


def test_a_batch_gives_what_single_images_give(
    model: OnnxPreprocessor, photos: list[Image]
) -> None:
    images = [photos[0][:50, :70], photos[1][:64, :64], photos[2][:50, :70]]
    batch = model.batch(images, JPEG, 20)
    assert [b.shape for b in batch] == [i.shape for i in images]
    for image, filtered in zip(images, batch, strict=True):
        single = model(image, JPEG, 20)
        assert np.abs(single.astype(int) - filtered.astype(int)).max() <= 1
        assert not np.array_equal(filtered, image)
    assert model.batch([], JPEG, 20) == []


def test_models_keep_the_preprocessor_contract(model: OnnxPreprocessor, lite: Network) -> None:
    assert isinstance(model, Preprocessor)
    assert isinstance(TorchPreprocessor(lite), Preprocessor)
    assert model.name == "default-jpeg"


def test_filtering_leaves_a_training_network_in_training(lite: Network) -> None:
    network = create_network("npp").train()
    TorchPreprocessor(network)(np.zeros((16, 16, 3), np.uint8), JPEG, 20)
    assert network.training


def test_the_card_says_what_was_measured(model: OnnxPreprocessor, lite: Network) -> None:
    card, cost = model.card, complexity(lite)
    assert card.parameters == cost.parameters
    assert card.macs_per_pixel == pytest.approx(cost.macs_per_pixel, abs=0.1)
    assert (card.multiple, card.halo) == (lite.multiple, lite.halo)
    assert set(card.files) == {ONNX, SAFETENSORS}


def test_safetensors_give_the_network_back(zoo: Path, lite: Network) -> None:
    loaded = load_network("npp-lite", zoo / "default-jpeg" / SAFETENSORS)
    for key, value in lite.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


def test_weights_of_another_network_are_refused(zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(TamisError, match="does not hold the weights of npp"):
        load_network("npp", zoo / "default-jpeg" / SAFETENSORS)
    (tmp_path / "bad").write_bytes(b"not weights")
    with pytest.raises(TamisError, match="not a safetensors file"):
        load_network("npp", tmp_path / "bad")
    with pytest.raises(TamisError, match="no weights file"):
        load_network("npp", tmp_path / "absent")


def test_the_directory_holds_three_files_and_no_path_of_this_machine(zoo: Path) -> None:
    directory = zoo / "default-jpeg"
    assert {p.name for p in directory.iterdir()} == {ONNX, SAFETENSORS, CARD}
    onnx.checker.check_model(onnx.load(directory / ONNX))
    assert b"site-packages" not in (directory / ONNX).read_bytes()
    assert b"network.py" not in (directory / ONNX).read_bytes()


def test_a_changed_model_file_is_refused(copied: Path) -> None:
    data = bytearray((copied / ONNX).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / ONNX).write_bytes(data)
    with pytest.raises(TamisError, match="SHA-256 differs"):
        OnnxPreprocessor(copied)


def test_a_missing_model_file_is_named(copied: Path) -> None:
    (copied / ONNX).unlink()
    with pytest.raises(TamisError, match=r"lacks its file .*model\.onnx"):
        OnnxPreprocessor(copied)


def test_a_verified_file_that_is_no_model_is_refused(copied: Path) -> None:
    import hashlib

    (copied / ONNX).write_bytes(b"no model")
    edit(copied, files={ONNX: hashlib.sha256(b"no model").hexdigest()})
    with pytest.raises(TamisError, match="cannot load model"):
        OnnxPreprocessor(copied)


def test_an_unknown_key_on_a_card_is_answered_by_the_nearest(copied: Path) -> None:
    with pytest.raises(RecipeError, match="unknown key 'license'; did you mean 'licence'"):
        Card.load(edit(copied, license="MIT"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("- a\n- b", "holds no keys"), ("{", "not YAML"), ("name: x", "field required")],
)
def test_a_card_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(RecipeError, match=words):
        Card.load(tmp_path)


def test_a_directory_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match="no model card"):
        Card.load(tmp_path)


def test_a_codec_or_quality_not_trained_for_is_refused(copied: Path, photos: list[Image]) -> None:
    model = OnnxPreprocessor(edit(copied, codecs={"vvc": [22, 47]}))
    with pytest.raises(TamisError, match="does not cover codec jpeg, only vvc"):
        model(photos[0], JPEG, 20)
    model = OnnxPreprocessor(edit(copied, codecs={"jpeg": [5, 50]}))
    with pytest.raises(TamisError, match="covers jpeg quality 5 to 50, not 80"):
        model(photos[0], JPEG, 80)


def test_a_model_may_pick_the_resolution(copied: Path, photos: list[Image]) -> None:
    edit(copied, scale={"jpeg": {10: 0.5, 30: 1.0}})
    image = photos[0][:80, :120]
    model = OnnxPreprocessor(copied)
    sizes = {q: model(image, JPEG, q).shape[:2] for q in (5, 20, 40)}
    assert sizes == {5: (40, 60), 20: (60, 90), 40: (80, 120)}
    keep = OnnxPreprocessor(copied, keep_size=True)
    assert keep(image, JPEG, 5).shape == image.shape


def test_a_model_may_empty_the_highest_frequencies(copied: Path, photos: list[Image]) -> None:
    edit(copied, cutoff={"jpeg": {10: 0.5, 30: 1.0}})
    image = photos[0][:80, :120]
    model, plain = OnnxPreprocessor(copied), OnnxPreprocessor(copied)
    plain.card.cutoff.clear()
    assert np.array_equal(model(image, JPEG, 10), plain(Lowpass(0.5).apply(image), JPEG, 10))
    assert np.array_equal(model(image, JPEG, 30), plain(image, JPEG, 30))


def test_a_photo_is_not_scaled_below_the_smallest_side(copied: Path, photos: list[Image]) -> None:
    edit(copied, scale={"jpeg": {10: 0.5}}, smallest_side=60)
    model = OnnxPreprocessor(copied)
    shapes = [
        model(photos[0][:h, :w], JPEG, 10).shape[:2] for h, w in [(160, 200), (80, 120), (40, 90)]
    ]
    assert shapes == [(80, 100), (60, 90), (40, 90)]
