"""A classifier fine-tuned on what real JPEG leaves of photos."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import load_file

from tamis.codecs import Image
from tamis.errors import RecipeError
from tamis.tasks import Classify, get_task
from tamis.training.finetune import CodedBatches, finetune
from tamis.training.finetune_recipe import FinetuneRecipe, parse_finetune_recipe
from tamis.training.photos import Photos

LITE = "classify:efficientnet_lite0:size=64"


def recipe(steps: int = 4, **changes: Any) -> FinetuneRecipe:
    document = {
        "name": "tuned",
        "task": LITE,
        "codec": "jpeg",
        "qualities": [5],
        "layers": ["blocks.6", "conv_head", "classifier"],
        "data": {"folders": ["sample"], "crop": 64, "cropping": ["whole"], "held_out": 2},
        "steps": steps,
        "batch": 4,
        "optimiser": {"learning_rate": 0.003, "warm_up": 0},
        "checkpoint": {"steps": 1},
        "out": "unused",
    }
    return parse_finetune_recipe(document | changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("tuned")
    assert finetune(recipe(12), folder) == folder / "tuned.safetensors"
    return folder


def rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_it_comes_closer_to_its_view_of_the_originals(run: Path) -> None:
    losses = [row["loss"] for row in rows(run / "steps.csv")]
    assert len(losses) == 12
    # Five photos, again and again: this only shows that it learns what it is told.
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    (held_out,) = rows(run / "validation.csv")
    assert held_out["before"] > 0
    assert held_out["after"] != held_out["before"]


def test_only_the_layers_named_have_changed_and_no_batch_norm_is_left(run: Path) -> None:
    before, after = (
        Classify("efficientnet_lite0").net.state_dict(),
        load_file(run / "tuned.safetensors"),
    )
    changed = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"blocks", "conv_head", "classifier"}
    assert torch.equal(before["blocks.5.0.conv_pw.weight"], after["blocks.5.0.conv_pw.weight"])
    assert not any("running" in name for name in after)


def test_the_file_is_a_task(run: Path, photos: list[Image]) -> None:
    task = get_task(f"{LITE}:tuned={run / 'tuned.safetensors'}")
    clean = get_task(LITE)
    assert abs(task.predict(photos[:1]) - clean.predict(photos[:1])).max() > 0.01


def test_a_run_that_stopped_ends_like_one_that_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(finetune(recipe(), tmp_path / "whole"))
    code, coded = CodedBatches.at, []

    def stop(self: CodedBatches, step: int) -> Any:
        if step == 2 and not coded:
            coded.append(step)
            raise KeyboardInterrupt
        return code(self, step)

    monkeypatch.setattr(CodedBatches, "at", stop)
    with pytest.raises(BaseException, match=""):
        finetune(recipe(), tmp_path / "stopped")
    resumed = load_file(finetune(recipe(), tmp_path / "stopped"))
    assert coded == [2]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_labels_come_from_the_names(photos: list[Image], tmp_path: Path) -> None:
    for i in range(3):
        PillowImage.fromarray(photos[i]).save(tmp_path / f"n07920052_{i}.png")
    data = {"folders": [str(tmp_path)], "crop": 64, "held_out": 1}
    of = recipe(loss="labels", data=data)
    assert CodedBatches(of, Photos(of.data, 0)).at(0).labels == (967,) * 4


def test_a_preprocessor_stands_before_the_codec() -> None:
    photos = Photos(recipe().data, 0)
    plain, blurred = (
        CodedBatches(recipe(preprocessor=spec), photos).at(0) for spec in ("none", "blur:3")
    )
    assert torch.equal(plain.original, blurred.original)
    assert not torch.equal(plain.decoded, blurred.decoded)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no parameter's name begins with 'blocks_9'"):
        finetune(recipe(layers=["blocks_9"]), tmp_path / "a")
    with pytest.raises(RecipeError, match="jpeg quality 200"):
        recipe(qualities=[200])
