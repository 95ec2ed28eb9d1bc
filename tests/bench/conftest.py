"""Photos on disk for the sweeps."""

import sys
from pathlib import Path

import pytest
from PIL import Image

# `colours` must be importable by name, here and in spawned workers.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def folder(named_photos, tmp_path_factory):
    """Four crops of 200x180 and one of another size, as PNG files."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "cat", "coffee", "china"):
        Image.fromarray(named_photos[name][:180, 50:250]).save(folder / f"{name}.png")
    Image.fromarray(named_photos["rocket"][:170, :230]).save(folder / "rocket.png")
    return folder


@pytest.fixture(scope="session")
def paths(folder):
    return sorted(folder.iterdir())
