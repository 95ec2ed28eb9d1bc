"""Where learned codecs are found: the shipped zoo and the folders of TAMIS_MODELS."""

import os
import shutil
from pathlib import Path

import pytest

from tamis.card import CARD
from tamis.errors import RecipeError, TamisError
from tamis.learned import package
from tamis.learned.card import Card
from tamis.learned.zoo import ZOO, find, shipped_codecs, shipped_models, zoos


@pytest.fixture
def two(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two zoos: `tiny` at qualities 2 and 10, and `tiny` and `plain` at quality 1."""
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(tiny_zoo / "tiny-1", first / "tiny-2")
    shutil.copytree(tiny_zoo / "tiny-3", first / "tiny-10")
    shutil.copytree(tiny_zoo / "tiny-2", second / "tiny-1")
    shutil.copytree(tiny_zoo / "plain-1", second / "plain-1")
    monkeypatch.setenv("TAMIS_MODELS", os.pathsep.join([str(first), "", str(second)]))
    return first, second


def test_the_shipped_zoo_comes_first(two: tuple[Path, Path]) -> None:
    assert zoos() == [ZOO, *two]


def test_qualities_are_numbers_and_names_are_not_mixed(two: tuple[Path, Path]) -> None:
    first, second = two
    codecs = shipped_codecs()
    assert codecs["tiny"] == [first / "tiny-2", first / "tiny-10"]
    assert codecs["plain"] == [second / "plain-1"]
    models = [(m.quality, m.card.name) for m in shipped_models() if m.codec == "tiny"]
    assert models == [(1, "tiny-1"), (2, "tiny-3")]


def test_every_model_of_every_folder_decodes(two: tuple[Path, Path]) -> None:
    for directory in (two[0] / "tiny-10", two[1] / "tiny-1", two[1] / "plain-1"):
        assert find(bytes.fromhex(Card.load(directory).fingerprint)[:8]) == directory


def test_without_a_match_the_fingerprint_is_told() -> None:
    with pytest.raises(TamisError, match=r"fingerprint 0102030405060708 .*TAMIS_MODELS lists"):
        find(bytes(range(1, 9)))


def test_a_card_changed_on_disk_is_read_again(two: tuple[Path, Path]) -> None:
    package.annotate(two[0] / "tiny-2", {"kodak": {"bpp": 0.5}})
    (model, _) = (m for m in shipped_models() if m.codec == "tiny")
    assert model.card.bpp == 0.5


def test_a_broken_card_is_named(two: tuple[Path, Path]) -> None:
    (two[1] / "plain-1" / CARD).write_text("name: [")
    with pytest.raises(RecipeError, match=r"plain-1.card\.yaml is not YAML"):
        find(bytes(8))


def test_every_shipped_model_loads_and_says_its_licence() -> None:
    """The fingerprint is recomputed on loading, so what is shipped is what was measured."""
    for codec, directories in shipped_codecs().items():
        for quality, directory in enumerate(directories, 1):
            card = Card.load(directory)
            assert card.name == directory.name == f"{codec}-{quality}"
            assert card.licence != "NOASSERTION"
            assert card.bpp is not None
            assert package.load(directory).fingerprint.hex() == card.fingerprint[:16]
