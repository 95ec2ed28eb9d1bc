"""Noise photos, and what a source of random fields tallies on them."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tamis.analysis.patches import Patches
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.tally import Tally

# `random_fields` must be importable by name.
sys.path.insert(0, str(Path(__file__).parent))

from random_fields import Draw, source_of


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty small photos of noise."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    paths = []
    for i in range(40):
        pixels = random.integers(0, 256, (144, 160, 3), dtype=np.uint8)
        paths.append(folder / f"{i:02d}.bmp")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def tallied(noise: list[Path]) -> Callable[..., Tally]:
    """Tally what a source draws for random patches of the noise photos."""

    def run(draw: Draw, count: int = 96, pairs: int = 200, seed: int = 0) -> Tally:
        patches = Patches(tuple(noise), count, 128, seed=seed)
        return measure(Protocol(source_of(draw), patches, pairs))

    return run
