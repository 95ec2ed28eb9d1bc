"""An ablation end to end: runs trained once, scored on real files, a table at the end."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.training import ablation_runs
from tamis.training.ablation import ablate, report

pytestmark = pytest.mark.slow

LITE = "classify:efficientnet_lite0:size=32"
SIDES = {
    "one": [
        {"name": "base"},
        {"name": "alone", "preprocessor": False},
        {"name": "each", "each_quality": True, "seeds": 1},
    ],
    "two": [
        {"name": "codec alone", "preprocessor": False},
        {"name": "filtered"},
        {"name": "tuned", "preprocessor": False, "tuned": True},
    ],
}


@pytest.fixture(scope="module")
def folder(named_photos: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Definitions of two ablations, and two photos to judge by."""
    folder = tmp_path_factory.mktemp("ablations")
    (folder / "photos").mkdir()
    for name in ("coffee", "cat"):
        PillowImage.fromarray(named_photos[name]).save(folder / "photos" / f"n07920052_{name}.png")
    setup: dict[str, Any] = {
        "recipe": {
            "name": "p",
            "data": {"folders": ["sample"], "crop": 32, "held_out": 2},
            "codecs": [
                {"spec": "jpeg", "qualities": [10, 30, 60], "lambda": {10: 1, 30: 1, 60: 1}}
            ],
            "tasks": [{"spec": LITE}],
            "steps": 3,
            "batch": 2,
            "threads": 1,
            "validation": {"every": 1000, "samples": 0},
        },
        "tuning": {"steps": 1, "layers": ["classifier"]},
        "seeds": [0, 1],
        "evaluation": {
            "folder": str(folder / "photos"),
            "photos": 2,
            "judges": [
                {"title": "Lite0", "spec": LITE},
                {"title": "labels", "spec": LITE, "loss": "labels"},
            ],
            "resamples": 10,
        },
    }
    (folder / "setup.yaml").write_text(yaml.safe_dump(setup))
    for name, sides in SIDES.items():
        document = {"question": f"{name}?", "sides": sides, "by_quality": name == "one"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> Iterator[tuple[list[str], Path]]:
    """What was said while both ablations ran with one seed, and their folder."""
    said: list[str] = []
    ablate(["one", "two"], folder / "out", folder, 1, said.append)
    yield said, folder / "out"


def test_a_run_is_made_once_for_all_ablations_that_need_it(made: tuple[list[str], Path]) -> None:
    said, out = made
    trained = [line.split(",")[0].removeprefix("training: ") for line in said]
    assert trained == ["base", "each", "each", "each", "fine-tuning the network: tuned"]
    assert len(list((out / "runs").iterdir())) == 4
    assert len(list((out / "tuned").iterdir())) == 1


def test_what_is_there_is_not_made_again(
    made: tuple[list[str], Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("trained again")

    for name in ("train_preprocessor", "finetune"):
        monkeypatch.setattr(ablation_runs, name, refuse)
    _, out = made
    before = {path: path.stat().st_mtime_ns for path in (out / "scores").iterdir()}
    text = ablate(["one", "two"], out, folder, 1)
    assert {path: path.stat().st_mtime_ns for path in (out / "scores").iterdir()} == before
    assert text == (out / "one.md").read_text() + "\n" + (out / "two.md").read_text()


def test_the_table_has_a_row_a_side_and_one_a_quality(made: tuple[list[str], Path]) -> None:
    text = (made[1] / "one.md").read_text()
    assert "one?" in text
    assert "BD-rate, Lite0 | BD-rate, labels" in text
    rows = [line.split(" | ")[0] for line in text.splitlines() if re.match(r"\| \w", line)]
    assert rows[:3] == ["| base", "| alone", "| each"]
    qualities = re.findall(r"^\| (10|30|60) \|", text, re.MULTILINE)
    assert qualities == ["10", "30", "60"] * 2
    (alone,) = [line for line in text.splitlines() if line.startswith("| alone")]
    assert alone.split(" | ")[3:5] == ["0", "0"]
    tuned = (made[1] / "two.md").read_text().splitlines()[-2]
    # Another network on the same files: the rate cannot have changed.
    assert "+0.0 % (+0.0 to +0.0)" in tuned


def test_the_report_puts_the_tables_under_their_conditions(
    made: tuple[list[str], Path], folder: Path
) -> None:
    text = report(made[1], folder)
    assert text.startswith("Base: `npp-dct`, 3 steps of 2 pictures of 32x32, `jpeg`")
    assert text.index("### `one`") < text.index("### `two`")
