"""Training a learned codec end to end: real photos, real kills."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tamis.learned.models import create_model
from tamis.training.checkpoint import read_state
from tamis.training.codec import train_codec
from tamis.training.codec_recipe import CodecRecipe, parse_codec_recipe


def small(**changes: Any) -> CodecRecipe:
    return parse_codec_recipe(
        {
            "name": "small",
            "model": {"name": "context-adaptive", "n": 4, "m": 6},
            "lambda": 0.01,
            "data": {"folders": ["sample"], "crop": 64, "held_out": 1, "cache_side": 128},
            "steps": 6,
            "batch": 2,
            "optimiser": {"learning_rate": 0.003, "warm_up": 1},
            "ladder": [{"lambda": 0.002, "steps": 3, "learning_rate": 0.001}],
            "accelerator": "cpu",
            "checkpoint": {"steps": 1},
            "validation": {"every": 4},
            "log_every": 2,
            "out": "unused",
        }
        | changes
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def weights(recipe: CodecRecipe, folder: Path) -> list[dict[str, torch.Tensor]]:
    """The trained weights of every rung."""
    states = [read_state(folder / rung.folder, rung.fingerprint()) for rung in recipe.rungs()]
    return [state["state_dict"] for state in states if state is not None]


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train_codec(small(), folder)
    return folder


def test_every_lambda_leaves_logs_and_a_state(whole: Path) -> None:
    first, second = (whole / rung.folder for rung in small().rungs())
    assert [row["step"] for row in rows(first / "steps.csv")] == ["2", "4", "6"]
    assert [row["step"] for row in rows(second / "steps.csv")] == ["2", "3"]
    assert [row["step"] for row in rows(first / "validation.csv")] == ["4", "6"]
    assert [row["step"] for row in rows(second / "validation.csv")] == ["3"]
    assert float(rows(first / "steps.csv")[-1]["bpp"]) > 0
    assert yaml.safe_load((whole / "recipe.yaml").read_text())["lambda"] == 0.01


def test_the_state_holds_the_model_and_nothing_else(whole: Path) -> None:
    model = create_model("context-adaptive", 4, 6)
    for state in weights(small(), whole):
        assert {name.removeprefix("model.") for name in state} == set(model.state_dict())


def test_a_killed_run_continues_to_the_same_end(whole: Path, tmp_path: Path) -> None:
    path, folder = tmp_path / "small.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump(small().document()))
    program = f"from tamis.training.codec import train_codec as t;t({str(path)!r}, {str(folder)!r})"
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = folder / "lambda-0.01" / "steps.csv"
    while process.poll() is None and not (log.exists() and rows(log)):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(rows(log)) < 3 or not (folder / "lambda-0.002").exists()
    train_codec(path, folder)
    for ours, theirs in zip(weights(small(), folder), weights(small(), whole), strict=True):
        assert same(ours, theirs)
    for rung in small().rungs():
        for ours, theirs in zip(
            rows(folder / rung.folder / "steps.csv"),
            rows(whole / rung.folder / "steps.csv"),
            strict=True,
        ):
            assert ours | {"seconds": ""} == theirs | {"seconds": ""}
