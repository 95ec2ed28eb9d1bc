"""Damaged streams of learned codecs are refused, or give a picture; the fuzzer can tell."""

import importlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tamis.codecs import get_codec
from tamis.errors import CorruptFileError
from tamis.learned import container, package

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = ["learned:tiny", "learned:plain"]


@pytest.fixture
def fuzz(tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The benchmark as a module; on the path, so that its worker process finds it too."""
    monkeypatch.setenv("TAMIS_MODELS", str(tiny_zoo))
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("learned_fuzz")


def test_mutated_streams_give_a_picture_or_one_error(fuzz: ModuleType) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for _, kind, outcome, message, _ in fuzz.fuzz(NAMES, 120, seed=1):
        assert outcome not in fuzz.FAILURES, (kind, message)
        counts[kind, outcome] += 1
    assert counts["damaged", "refused"] == 40
    assert counts["absurd", "decoded"] == 40
    assert counts["repaired", "refused"] > 20


def test_a_picture_from_a_damaged_stream_is_counted_as_wrong(fuzz: ModuleType) -> None:
    assert fuzz.judged("damaged", "decoded", "")[0] == "wrong picture" in fuzz.FAILURES
    assert fuzz.judged("repaired", "decoded", "") == ("decoded", "")
    assert fuzz.judged("damaged", "refused", "") == ("refused", "")


def test_repaired_streams_pass_the_container_and_damaged_ones_do_not(fuzz: ModuleType) -> None:
    files = fuzz.streams(get_codec("learned:tiny"))
    rng = random.Random(3)
    for _ in range(200):
        stream = fuzz.mutated("damaged", files, files, rng)
        with pytest.raises(CorruptFileError):
            container.unpack(stream)
        stream = fuzz.mutated("repaired", files, files, rng)
        if len(stream) >= container.HEADER.size:
            container.unpack(stream)
        assert stream not in files


def test_absurd_streams_are_whole(fuzz: ModuleType, tiny_zoo: Path) -> None:
    for name in ("tiny-1", "plain-1"):
        compressor = package.load(tiny_zoo / name)
        for seed in range(5):
            (image,) = compressor.decompress([fuzz.absurd(compressor, random.Random(seed))])
            assert min(image.shape[:2]) >= compressor.model.multiple
