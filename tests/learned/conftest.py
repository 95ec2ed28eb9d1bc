"""Small learned codecs with random weights, as directories; enough for everything but beauty."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.codecs import Image
from tamis.learned import package
from tamis.learned.card import Card
from tamis.learned.compressor import Compressor
from tamis.learned.models import LearnedModel, create_model

# Scripts that made the files beside them; one needs CompressAI, which is not installed here.
collect_ignore_glob = ["fixtures/*", "golden/*"]


def shaken(name: str, seed: int = 0, context_channels: int | None = None) -> LearnedModel:
    """A seeded model, n = 8 and m = 12, whose latents spread over several integers."""
    torch.manual_seed(seed)
    model = create_model(name, 8, 12, context_channels)
    for key, value in model.named_parameters():
        if key.endswith("bias"):
            value.data = 0.3 * torch.randn_like(value)
    model.analysis[6].weight.data *= 10 * (1 + seed)
    model.synthesis[6].bias.data = torch.full((3,), 0.5)
    return model.eval()


def save(directory: Path, model: LearnedModel, images: list[Image]) -> Card:
    return package.save(
        directory, model, images, lambda_=0.01, metric="mse", steps=0,
        recipe="tests", data="none", licence="Apache-2.0",
    )  # fmt: skip


@pytest.fixture(scope="session")
def crops(photos: list[Image]) -> list[Image]:
    """Four crops of photos, one with odd sides."""
    sizes = [(64, 64), (64, 96), (48, 80), (37, 61)]
    pairs = zip(photos, sizes, strict=False)
    return [np.ascontiguousarray(photo[100 : 100 + h, 100 : 100 + w]) for photo, (h, w) in pairs]


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory: pytest.TempPathFactory, crops: list[Image]) -> Path:
    """A zoo of `tiny`, a joint model at three rates, and `plain`, a factorized one at one."""
    zoo = tmp_path_factory.mktemp("zoo")
    for k in range(3):
        save(zoo / f"tiny-{k + 1}", shaken("joint", seed=k), crops)
    save(zoo / "plain-1", shaken("factorized"), crops)
    return zoo


KINDS: dict[str, tuple[str, int | None]] = {
    "factorized": ("factorized", None),
    "hyperprior": ("hyperprior", None),
    "mean-scale": ("mean-scale", None),
    "joint": ("joint", None),
    "context-adaptive": ("context-adaptive", None),
    "hybrid": ("context-adaptive", 5),
    "reduction": ("reduction", None),
}


@pytest.fixture(scope="session")
def compressors(crops: list[Image]) -> dict[str, Compressor]:
    """A compressor of every kind of model, whose entropy parameters vary from place to place."""
    built = {}
    for kind, (name, context_channels) in KINDS.items():
        model = shaken(name, context_channels=context_channels)
        for key, value in model.latents.named_parameters():
            if key.endswith("weight"):
                value.data *= 2
        batches = [torch.from_numpy(crop).permute(2, 0, 1)[None] / 255 for crop in crops]
        built[kind] = Compressor.build(model, batches, b"test" + kind.encode()[:4].ljust(4))
    return built
