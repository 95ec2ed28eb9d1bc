"""What every test may ask for: photos that need no download, and the shared development data."""

import os
from pathlib import Path

import matplotlib
import pytest

from tamis.codecs import Image
from tamis.data import sample_photos

matplotlib.use("Agg")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    # One thread a process: pytest-xdist brings the parallelism, and sums keep their order.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data and models (photos, COCO, Kodak), or a skip that says why."""
    folder = Path(os.environ.get("TAMIS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no development data in {folder}; point TAMIS_SHARED at it")
    return folder


@pytest.fixture(scope="session")
def named_photos() -> dict[str, Image]:
    """Seven real photos by name, sides 300 to 741, read-only."""
    photos = sample_photos()
    for photo in photos.values():
        photo.flags.writeable = False
    return photos


@pytest.fixture(scope="session")
def photos(named_photos: dict[str, Image]) -> list[Image]:
    """The same photos as a list: RGB `uint8 (H, W, 3)`, several sizes, read-only."""
    return list(named_photos.values())
