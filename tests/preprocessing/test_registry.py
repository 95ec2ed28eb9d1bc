"""Preprocessors by spec: names, values, chains, models, and errors that say what would be right."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tamis.codecs import Image, get_codec
from tamis.codecs.jpeg import Jpeg
from tamis.errors import TamisError, UnknownNameError
from tamis.preprocessing import Preprocessor, get_preprocessor, list_preprocessors
from tamis.preprocessing.catalogue import model_rows
from tamis.preprocessing.conditioning import strength
from tamis.preprocessing.default import DefaultPreprocessor
from tamis.preprocessing.runtime import OnnxPreprocessor
from tamis.preprocessing.zoo import list_models, load

JPEG = get_codec("jpeg")


@pytest.fixture(scope="module")
def image(photos: list[Image]) -> Image:
    return photos[0][:60, :90]


def test_names_are_listed() -> None:
    assert {
        "none",
        "blur",
        "downscale",
        "lowpass",
        "npp",
        "npp-lite",
        "npp-dct",
        "default",
        "refine",
    } == set(list_preprocessors())


@pytest.mark.parametrize(
    "spec", ["none", "blur:1.5", "downscale:0.6", "npp", "npp-lite", "downscale:0.75+blur:0.6"]
)
def test_a_preprocessor_is_named_by_its_spec(spec: str, image: Image) -> None:
    preprocessor = get_preprocessor(spec)
    assert isinstance(preprocessor, Preprocessor)
    assert preprocessor.name == spec
    assert preprocessor(image, JPEG, 20).dtype == np.uint8
    assert get_preprocessor(preprocessor) is preprocessor


def test_a_chain_applies_its_parts_in_order(image: Image) -> None:
    chain = get_preprocessor("downscale:0.5+blur:1")
    small = get_preprocessor("downscale:0.5")(image, JPEG, 20)
    expected = get_preprocessor("blur:1")(small, JPEG, 20)
    assert np.array_equal(chain(image, JPEG, 20), expected)
    assert np.array_equal(chain.batch([image, image], JPEG, 20)[1], expected)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("blurr:1", "did you mean 'blur'"),
        ("blur", "takes a number, as in blur:1.0, not no value"),
        ("blur:much", "not 'much'"),
        ("blur:nan", "a sigma above 0"),
        ("blur:0", "a sigma above 0"),
        ("downscale:1", "between 0 and 1"),
        ("downscale:0.5:filter=box", "has no options"),
        ("none:1", "takes no value"),
        ("none+", "empty part"),
        ("npp-lite:weight=x", "did you mean 'weights'"),
        ("npp-lite:weights=absent", "no weights file absent"),
        ("default:threads=many", "whole number"),
        ("default:scale=half", "one of model, keep"),
        ("absent/model.onnx", "there is no file absent/model.onnx"),
    ],
)
def test_a_wrong_spec_is_answered_in_one_line(spec: str, words: str) -> None:
    with pytest.raises(TamisError, match=words) as caught:
        get_preprocessor(spec)
    assert "\n" not in str(caught.value)


def test_a_model_directory_or_its_file_is_a_spec(zoo: Path, image: Image) -> None:
    directory = str(zoo / "default-jpeg")
    results = [
        get_preprocessor(spec)(image, JPEG, 20)
        for spec in (directory, f"{directory}/model.onnx", f"none+{directory}")
    ]
    weights = f"npp-lite:weights={directory}/model.safetensors"
    by_torch = get_preprocessor(weights)(image, JPEG, 20)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    assert np.abs(results[0].astype(int) - by_torch.astype(int)).max() <= 1


def test_default_takes_the_model_of_the_codec(zoo: Path, image: Image) -> None:
    default = DefaultPreprocessor(threads=1, zoo=zoo)
    expected = OnnxPreprocessor(zoo / "default-jpeg", threads=1)(image, JPEG, 20)
    assert np.array_equal(default(image, JPEG, 20), expected)
    assert np.array_equal(default.batch([image], JPEG, 20)[0], expected)


def test_default_names_the_codecs_it_covers(zoo: Path, image: Image) -> None:
    class Other(Jpeg):
        name = "other"

    with pytest.raises(TamisError, match="covers codec other; they cover jpeg"):
        DefaultPreprocessor(zoo=zoo)(image, Other(), 20)


def test_a_zoo_lists_and_loads_its_models(zoo: Path) -> None:
    assert list_models(zoo) == ["default-jpeg"]
    assert load("default-jpeg", zoo=zoo).card.network == "npp-lite"
    with pytest.raises(UnknownNameError, match="did you mean 'default-jpeg'"):
        load("default-jpg", zoo=zoo)


def test_every_shipped_model_is_what_its_card_says_and_covers_what_it_claims() -> None:
    for name in list_models():
        model = load(name, threads=1)
        assert model.card.name == name
        image = np.full((20, 30, 3), 128, np.uint8)
        for codec, (low, high) in model.card.codecs.items():
            for quality in (low, high):
                result = load(name, keep_size=True)(image, get_codec(codec), quality)
                assert result.shape == image.shape


def test_the_table_of_models_shows_cost_and_coverage(zoo: Path) -> None:
    rows = {row.name: row for row in model_rows(zoo)}
    assert set(rows) == {"default-jpeg", "npp", "npp-lite", "npp-dct"}
    assert rows["default-jpeg"].codecs == {"jpeg": (5, 80)}
    assert rows["default-jpeg"].macs_per_pixel == pytest.approx(
        rows["npp-lite"].macs_per_pixel, abs=0.1
    )


def test_strength_is_the_normalised_logarithm_of_the_step() -> None:
    assert strength(JPEG, 50) == pytest.approx((np.log2(12) - 4) / 2)
    assert strength(JPEG, 25) == pytest.approx(strength(JPEG, 50) + 0.5)


def test_a_codec_without_a_step_cannot_be_adapted_to(image: Image) -> None:
    class Stepless(Jpeg):
        name = "stepless"

        def step(self, quality: int) -> None:  # type: ignore[override]
            return None

    with pytest.raises(TamisError, match="codec stepless does not tell its quantization step"):
        get_preprocessor("npp-lite")(image, Stepless(), 20)


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_filtering_with_a_model_imports_no_torch(zoo: Path) -> None:
    code = """
import sys
import numpy as np
from tamis.codecs import get_codec
from tamis.preprocessing import get_preprocessor
from tamis.preprocessing.default import DefaultPreprocessor
from pathlib import Path
assert "onnxruntime" not in sys.modules
image = np.zeros((40, 50, 3), np.uint8)
for spec in ("none", "blur:1", "downscale:0.5", sys.argv[1] + "/default-jpeg"):
    get_preprocessor(spec)(image, get_codec("jpeg"), 20)
DefaultPreprocessor(zoo=Path(sys.argv[1]))(image, get_codec("jpeg"), 20)
print(sorted(m for m in sys.modules if m.split(".")[0] in ("torch", "safetensors", "timm")))
"""
    assert run(code, str(zoo)).strip() == "[]"


def test_without_torch_models_are_listed_and_the_rest_says_what_to_install(zoo: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["torch"] = None  # what the interpreter takes for "not installed"
from tamis.errors import MissingPackageError
from tamis.preprocessing import get_preprocessor
from tamis.preprocessing.catalogue import model_rows
print([row.name for row in model_rows(Path(sys.argv[1]))])
for spec in ("npp", "npp-lite"):
    try:
        get_preprocessor(spec)
    except MissingPackageError as error:
        print(error)
"""
    assert run(code, str(zoo)).splitlines() == [
        "['default-jpeg']",
        "preprocessor npp needs torch: pip install 'tamis[lab]'",
        "preprocessor npp-lite needs torch: pip install 'tamis[lab]'",
    ]
