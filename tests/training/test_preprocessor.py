"""Training a preprocessor end to end: real JPEG, a real classifier, real kills."""

import csv
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tamis.errors import RecipeError
from tamis.preprocessing.module import load_network
from tamis.training.checkpoint import STATE, read_state
from tamis.training.preprocessor import train_preprocessor
from tamis.training.recipe import Recipe, parse_recipe

pytestmark = pytest.mark.slow


def small(steps: int = 6, **changes: Any) -> Recipe:
    return parse_recipe(
        {
            "name": "small",
            "data": {"folders": ["sample"], "crop": 64, "held_out": 2},
            "codecs": [{"spec": "jpeg", "qualities": [12, 30], "lambda": {12: 0.3, 30: 2.0}}],
            "tasks": [{"spec": "classify:efficientnet_lite0"}],
            "beta": 20,
            "steps": steps,
            "batch": 2,
            "threads": 1,
            "compare_every": 2,
            "optimiser": {"learning_rate": 0.001, "warm_up": 1},
            "checkpoint": {"steps": 1},
            "validation": {"every": 100, "samples": 1},
            "out": "unused",
        }
        | changes
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train_preprocessor(small(), folder)
    return folder


def test_a_run_leaves_logs_samples_state_and_a_model(whole: Path) -> None:
    steps = rows(whole / "steps.csv")
    assert [int(row["step"]) for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [bool(row["saved"]) for row in steps] == [True, False] * 3
    # Before the first update the preprocessor is the identity: nothing is saved, nothing lost.
    assert abs(float(steps[0]["saved"])) < 1e-4
    assert float(steps[0]["psnr"]) == 100
    assert float(steps[-1]["psnr"]) < 100
    assert [row["quality"] for row in rows(whole / "validation.csv")] == ["12", "30"]
    assert len(list((whole / "samples").glob("step-0000006-jpeg-*.png"))) == 2
    card = yaml.safe_load((whole / "small" / "card.yaml").read_text())
    assert card["codecs"] == {"jpeg": [12, 30]}
    assert card["metrics"]["steps"] == 6


def test_the_exported_onnx_equals_the_trained_network(whole: Path) -> None:
    state = read_state(whole, small().fingerprint())
    assert state is not None
    network = load_network(small().network)
    trained = {k.removeprefix("network."): v for k, v in state["state_dict"].items()}
    assert set(trained) == set(network.state_dict())  # nothing of the task networks is stored
    network.load_state_dict(trained)
    exported = load_file(whole / "small" / "model.safetensors")
    assert all(torch.equal(exported[key], value) for key, value in trained.items())
    x, told = torch.rand(1, 3, 64, 96), torch.tensor([0.7])
    session = onnxruntime.InferenceSession(whole / "small" / "model.onnx")
    (filtered,) = session.run(None, {"image": x.numpy(), "strength": told.numpy()})
    with torch.no_grad():
        expected = network.eval()(x, told).numpy()
    assert np.abs(filtered - expected).max() < 1e-4
    assert np.abs(expected - x.numpy()).max() > 1e-3  # it did learn something


def test_a_killed_run_continues_to_the_same_end(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small().model_dump(mode="json", by_alias=True)))
    folder = tmp_path / "run"
    program = (
        "from tamis.training.preprocessor import train_preprocessor as train;"
        f"train({str(path)!r}, {str(folder)!r})"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = folder / "steps.csv"
    while process.poll() is None and not (log.exists() and len(rows(log)) >= 3):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "small").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=500)
    ours, theirs = rows(log), rows(whole / "steps.csv")
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for column in ("quality", "learning_rate", "loss", "bpp", "psnr"):
        np.testing.assert_allclose(
            [float(row[column]) for row in ours],
            [float(row[column]) for row in theirs],
            rtol=0.02,
        )
    finished = train_preprocessor(path, folder)  # a finished run is only exported again
    assert len(rows(log)) == 6 and (finished / "card.yaml").exists()


def test_another_recipe_in_the_folder_is_refused(whole: Path) -> None:
    with pytest.raises(RecipeError, match="another recipe"):
        train_preprocessor(small(beta=1), whole)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    with (tmp_path / STATE).open("wb") as file:
        pickle.dump(Evil(), file)
    with pytest.raises(RecipeError, match="is not the state of a training run"):
        read_state(tmp_path, small().fingerprint())
    assert not (tmp_path / "ran").exists()
