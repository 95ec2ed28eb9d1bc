"""`refine`: photos optimised on the encoder's side, with real codecs and real networks."""

import numpy as np
import pytest

from tamis.codecs import Image, bpp, get_codec
from tamis.errors import TamisError, UnknownNameError
from tamis.preprocessing.base import Preprocessor
from tamis.preprocessing.chain import Chain
from tamis.preprocessing.registry import get_preprocessor
from tamis.tasks import Classify
from tamis.training.refine import Refine

JPEG = get_codec("jpeg")
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def short() -> Refine:
    return Refine([LITE], steps=2)


@pytest.fixture(scope="module")
def crops(named_photos: dict[str, Image]) -> list[Image]:
    return [
        np.ascontiguousarray(named_photos[name][top : top + 160, left : left + 160])
        for name, top, left in (("cat", 40, 120), ("coffee", 100, 200))
    ]


def test_it_is_a_preprocessor(short: Refine) -> None:
    assert isinstance(short, Preprocessor)


@pytest.mark.parametrize("size", [(61, 90), (96, 96), (7, 40)])
def test_the_result_is_an_image_of_the_size_of_the_photo(
    short: Refine, crops: list[Image], size: tuple[int, int]
) -> None:
    photo = crops[0][: size[0], : size[1]]
    refined = short(photo, JPEG, 20)
    assert refined.shape == photo.shape
    assert refined.dtype == np.uint8
    assert not np.array_equal(refined, photo)


def test_a_seed_decides_the_result(crops: list[Image]) -> None:
    photo = crops[0][:96, :96]
    first, again, other = (Refine([LITE], 3, seed)(photo, JPEG, 20) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_photos_of_several_sizes_come_back_in_order(short: Refine, crops: list[Image]) -> None:
    photos = [crops[0][:64, :96], crops[1][:96, :64], crops[1][:64, :96]]
    refined = short.batch(photos, JPEG, 20)
    for before, after in zip(photos, refined, strict=True):
        assert before.shape == after.shape
        nearest = [p for p in photos if p.shape == after.shape]
        errors = [np.square(after.astype(float) - p).mean() for p in nearest]
        assert nearest[int(np.argmin(errors))] is before


def test_the_photo_that_was_given_is_not_written_to(short: Refine, crops: list[Image]) -> None:
    photo = crops[0][:64, :64].copy()
    before = photo.copy()
    short(photo, JPEG, 20)
    assert np.array_equal(photo, before)


def test_the_network_it_was_refined_for_is_less_disturbed_at_nearly_the_rate(
    crops: list[Image],
) -> None:
    task = Classify(LITE)
    refined = Refine([LITE], steps=8).batch(crops, JPEG, 16)
    reference = task.predict(crops)
    rates, distances = [], []
    for images in (crops, refined):
        files = [JPEG.encode(image, 16) for image in images]
        decoded = task.predict([JPEG.decode(file) for file in files])
        distances.append(float(task.score(decoded, reference)["kl"].mean()))
        rates.append(np.mean([bpp(file, image) for file, image in zip(files, images, strict=True)]))
    assert distances[1] < 0.7 * distances[0]
    assert rates[1] < 1.08 * rates[0]


def test_a_spec_gives_steps_models_and_seed() -> None:
    made = get_preprocessor("refine:steps=2:models=a+b:seed=7")
    assert isinstance(made, Refine)
    assert (made.steps, made.models, made.seed) == (2, ("a", "b"), 7)
    assert made.name == "refine:steps=2:models=a+b:seed=7"
    assert get_preprocessor(made.name).name == made.name


def test_a_spec_without_options_is_the_default() -> None:
    made = get_preprocessor("refine")
    assert isinstance(made, Refine)
    assert made.models == ("efficientnet_lite0", "efficientnet_lite1")


def test_models_in_a_chain_stay_with_refine() -> None:
    made = get_preprocessor("downscale:0.6+refine:steps=2:models=a+b")
    assert isinstance(made, Chain)
    assert [part.name for part in made.parts] == ["downscale:0.6", "refine:steps=2:models=a+b"]


def test_what_follows_the_models_in_a_chain_is_a_part_again() -> None:
    made = get_preprocessor("refine:models=a+b+blur:1")
    assert isinstance(made, Chain)
    assert [part.name.split(":")[0] for part in made.parts] == ["refine", "blur"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("refine:stps=2", "does not take 'stps'"),
        ("refine:8", "does not take '8'"),
        ("refine:steps=0", "at least one step, not 0"),
        ("refine:steps=-3", "steps is a whole number, not '-3'"),
        ("refine:steps=many", "steps is a whole number, not 'many'"),
        ("refine:models=", "needs models, for instance efficientnet_lite0"),
    ],
)
def test_a_spec_written_wrongly_is_one_clear_line(spec: str, message: str) -> None:
    with pytest.raises(TamisError, match=message) as caught:
        get_preprocessor(spec)
    assert "\n" not in str(caught.value)


def test_a_codec_without_a_proxy_is_refused(short: Refine, crops: list[Image]) -> None:
    with pytest.raises(TamisError, match="no proxy for avif"):
        short(crops[0], get_codec("avif"), get_codec("avif").quality.default)


def test_a_model_that_does_not_exist_is_named_when_it_is_needed(crops: list[Image]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'efficientnet_lite0'"):
        Refine(["efficientnet_lit0"])(crops[0], JPEG, 20)
