"""Training a learned codec end to end: real photos, real kills, real bitstreams."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tamis.card import CARD
from tamis.cli import main
from tamis.data import sample_photos
from tamis.errors import RecipeError
from tamis.learned import package
from tamis.learned.models import create_model
from tamis.training.checkpoint import STATE, read_state
from tamis.training.codec import train_codec
from tamis.training.codec_recipe import CodecRecipe, parse_codec_recipe


def small(**changes: Any) -> CodecRecipe:
    return parse_codec_recipe(
        {
            "name": "small",
            "model": {"name": "joint", "n": 4, "m": 6},
            "lambda": 0.01,
            "data": {"folders": ["sample"], "crop": 64, "held_out": 1, "cache_side": 128},
            "steps": 12,
            "batch": 2,
            "optimiser": {"learning_rate": 0.003, "warm_up": 1},
            "ladder": [{"lambda": 0.002, "steps": 3, "learning_rate": 0.001}],
            "accelerator": "cpu",
            "checkpoint": {"steps": 1},
            "validation": {"every": 8},
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
    assert train_codec(small(), folder) == [
        folder / "lambda-0.01" / "small-2",
        folder / "lambda-0.002" / "small-1",
    ]
    return folder


def test_every_lambda_leaves_logs_and_a_state(whole: Path) -> None:
    first, second = (whole / rung.folder for rung in small().rungs())
    assert [int(row["step"]) for row in rows(first / "steps.csv")] == [2, 4, 6, 8, 10, 12]
    assert [int(row["step"]) for row in rows(second / "steps.csv")] == [2, 3]
    assert [int(row["step"]) for row in rows(first / "validation.csv")] == [8, 12]
    assert [int(row["step"]) for row in rows(second / "validation.csv")] == [3]
    assert yaml.safe_load((whole / "recipe.yaml").read_text())["lambda"] == 0.01


def test_the_state_holds_the_model_and_nothing_else(whole: Path) -> None:
    model = create_model("joint", 4, 6)
    for state in weights(small(), whole):
        assert {name.removeprefix("model.") for name in state} == set(model.state_dict())


def test_the_package_codes_photos_and_says_what_it_is(whole: Path) -> None:
    directory = whole / "lambda-0.002" / "small-1"
    card = yaml.safe_load((directory / CARD).read_text())
    assert (card["lambda"], card["steps"], card["model"]) == (0.002, 15, "joint")
    row = rows(whole / "lambda-0.002" / "validation.csv")[-1]
    assert card["metrics"]["held_out"]["stream_bpp"] == round(float(row["stream_bpp"]), 4)
    # At most the header and the coder's last bytes more, on a photo of 128 by 85 or more pixels.
    assert 0 < float(row["stream_bpp"]) - float(row["bpp"]) < 8 * 32 / (128 * 85)
    assert float(row["stream_psnr"]) == pytest.approx(float(row["psnr"]), abs=0.05)
    compressor = package.load(directory)
    photo = next(iter(sample_photos().values()))[:90, :70]
    (decoded,) = compressor.decompress(compressor.compress([photo]))
    assert decoded.shape == photo.shape


@pytest.mark.slow
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
    rungs = small().rungs()
    state = read_state(log.parent, rungs[0].fingerprint())
    assert state is not None and 0 < state["global_step"] < 12
    train_codec(path, folder)
    for ours, theirs in zip(weights(small(), folder), weights(small(), whole), strict=True):
        assert same(ours, theirs)
    for rung in rungs:
        ours, theirs = (rows(run / rung.folder / "steps.csv") for run in (folder, whole))
        assert [row | {"seconds": ""} for row in ours] == [row | {"seconds": ""} for row in theirs]


def test_a_finished_run_is_left_alone_and_its_ladder_may_grow(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    train_codec(small(), folder)
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"recipe.yaml"}
    lower = {"lambda": 0.001, "steps": 2, "learning_rate": 0.001, "from": "previous"}
    grown = small(ladder=[*small().document()["ladder"], lower])
    assert [path.name for path in train_codec(grown, folder)] == ["small-3", "small-2", "small-1"]
    assert [p.name for p in (folder / "lambda-0.01").glob("small-*")] == ["small-3"]
    ours, theirs = weights(grown, folder), weights(small(), whole)
    assert same(ours[0], theirs[0]) and same(ours[1], theirs[1])
    assert package.load(folder / "lambda-0.001" / "small-1").model.name == "joint"


def test_the_command_trains_and_names_the_packages(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small(out=str(whole)).document()))
    with pytest.raises(SystemExit) as caught:
        main(["train", "codec", str(path)])
    assert caught.value.code == 0
    written = [line for line in capsys.readouterr().out.splitlines() if line.startswith("written")]
    assert [Path(line.split()[-1]).name for line in written] == ["small-2", "small-1"]


def test_a_wrong_recipe_is_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small().document() | {"stepz": 3}))
    with pytest.raises(SystemExit) as caught:
        main(["train", "codec", str(path)])
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "unknown key 'stepz'; did you mean 'steps'" in line


def test_a_rung_starts_from_the_one_that_the_recipe_names(tmp_path: Path) -> None:
    entry = {"steps": 1, "learning_rate": 1e-12}
    ladder = [{"lambda": 0.02, "from": "first"}, {"lambda": 0.03, "from": "previous"}]
    recipe = small(steps=3, ladder=[entry | rung for rung in ladder])
    train_codec(recipe, tmp_path)
    first, second, third = weights(recipe, tmp_path)
    kernel = "model.analysis.0.weight"
    assert torch.equal(first[kernel], second[kernel]) and torch.equal(second[kernel], third[kernel])
    assert not torch.equal(first[kernel], create_model("joint", 4, 6).state_dict()[kernel[6:]])


def test_another_recipe_in_the_folder_is_refused(whole: Path) -> None:
    with pytest.raises(RecipeError, match="another recipe"):
        train_codec(small(seed=1), whole)


@pytest.mark.parametrize("source", ["lambda-0.01", "lambda-0.01/small-2"])
def test_init_takes_what_fits_and_says_how_much(
    whole: Path, tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"name": "context-adaptive", "n": 4, "m": 6}
    optimiser = {"learning_rate": 1e-12}
    recipe = small(model=model, steps=1, ladder=[], init=str(whole / source), optimiser=optimiser)
    train_codec(recipe, tmp_path)
    line = next(line for line in capsys.readouterr().err.splitlines() if "tensors taken" in line)
    taken, of = (int(word) for word in line.split() if word.isdecimal())
    assert 28 <= taken < of == len(create_model(**model).state_dict())
    (ours,), theirs = weights(recipe, tmp_path), weights(small(), whole)[0]
    torch.testing.assert_close(
        ours["model.synthesis.6.weight"], theirs["model.synthesis.6.weight"], atol=1e-3, rtol=1e-3
    )


def test_init_with_nothing_that_fits_is_one_line(whole: Path, tmp_path: Path) -> None:
    other = {"name": "joint", "n": 5, "m": 7}
    with pytest.raises(RecipeError, match=r"no weight of .* has name and shape") as caught:
        train_codec(small(model=other, init=str(whole / "lambda-0.01")), tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RecipeError, match="there is no"):
        train_codec(small(init=str(tmp_path / "nowhere")), tmp_path)
    with pytest.raises(RecipeError, match=f"holds neither model.safetensors nor {STATE}"):
        train_codec(small(init=str(tmp_path)), tmp_path / "run")


def test_a_loss_that_overflows_is_one_line(tmp_path: Path) -> None:
    optimiser = {"method": "adam", "learning_rate": 1e30, "warm_up": 0}
    with pytest.raises(RecipeError, match=r"not finite at step .*optimiser\.learning_rate"):
        train_codec(small(optimiser=optimiser), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="accelerator is gpu, but torch finds none"):
        train_codec(small(accelerator="gpu"), tmp_path)


def test_ms_ssim_and_bfloat16_train_too(tmp_path: Path) -> None:
    data = {"folders": ["sample"], "crop": 176, "held_out": 1, "cache_side": 128}
    recipe = small(
        metric="ms-ssim", precision="bf16", data=data, ladder=[], steps=2, **{"lambda": 10}
    )
    (directory,) = train_codec(recipe, tmp_path)
    assert yaml.safe_load((directory / CARD).read_text())["metric"] == "ms-ssim"


def test_streams_are_made_as_often_as_the_recipe_says(tmp_path: Path) -> None:
    recipe = small(ladder=[], steps=9, validation={"every": 2, "streams": 2})
    train_codec(recipe, tmp_path)
    measured = rows(tmp_path / "lambda-0.01" / "validation.csv")
    with_streams = [int(row["step"]) for row in measured if row["stream_bpp"]]
    assert with_streams == [4, 8, 9]
