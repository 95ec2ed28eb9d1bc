"""Damaged files of every codec give a picture or one TamisError, and nothing else."""

import importlib
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.codecs import get_codec
from tamis.codecs.registry import CODECS
from tamis.errors import TamisError

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """The benchmark as a module; on the path, so that its worker processes find it too."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("fuzz")
    sys.path.remove(str(FOLDER))


def decodes_or_refuses(name: str, data: bytes) -> bool:
    try:
        image = get_codec(name).decode(data)
    except TamisError:
        return False
    assert image.dtype == np.uint8
    assert image.ndim == 3
    return True


@pytest.mark.parametrize("name", CODECS)
def test_sixty_mutated_files(name: str, fuzz: ModuleType) -> None:
    files = fuzz.seed_files(get_codec(fuzz.FAST.get(name, name)))
    assert all(decodes_or_refuses(name, file) for file in files)
    rng = random.Random(f"tests {name}")
    refused = sum(not decodes_or_refuses(name, fuzz.mutate(files, rng)) for _ in range(60))
    assert refused >= 10  # else the mutations do not reach the decoder


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=25, deadline=None)
@given(rest=st.binary(max_size=300), keep=st.integers(2, 64))
def test_a_real_beginning_and_any_bytes(name: str, rest: bytes, keep: int) -> None:
    decodes_or_refuses(name, BEGINNINGS[name][:keep] + rest)


PICTURE = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
BEGINNINGS = {name: get_codec(name).encode(PICTURE) for name in CODECS}


def test_mutations_are_the_same_for_the_same_seed(fuzz: ModuleType) -> None:
    files = fuzz.seed_files(get_codec("jpeg"))
    one, two = ([fuzz.mutate(files, rng) for _ in range(20)] for rng in map(random.Random, (7, 7)))
    assert one == two
    assert len(set(one)) > 15


def test_the_worker_tells_a_crash_and_a_hang_from_an_answer(fuzz: ModuleType) -> None:
    """The counters of the benchmark can count: broken limits show as what they are."""
    file = get_codec("jpeg").encode(PICTURE)
    for limits, expected in [
        (fuzz.Limits(resident=1 << 20), "over memory"),
        (fuzz.Limits(seconds=0.0), "hang"),
    ]:
        worker = fuzz.Worker(limits)
        assert worker.decode("jpeg", file)[0] == expected
        worker.stop()
    worker = fuzz.Worker(fuzz.Limits())
    assert worker.decode("jpeg", file) == ("decoded", "")
    os.kill(worker.pid, signal.SIGSEGV)
    assert worker.decode("jpeg", file) == ("crash", f"exit code {-signal.SIGSEGV}")
    assert worker.decode("jpeg", file[:50]) == ("refused", "")
    worker.stop()
