"""`tamis explain` from end to end, and what was removed on differences that are known."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.analysis.removed import removed
from tamis.cli import main
from tamis.codecs import Image

TASK = "classify:efficientnet_lite0"
SMALL = "classify:efficientnet_lite0:size=64:weights=random"


@pytest.fixture
def folder(named_photos: dict[str, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a crop of the cat."""
    monkeypatch.chdir(tmp_path)
    PillowImage.fromarray(named_photos["cat"][40:240, 80:330]).save(tmp_path / "cat.png")
    return tmp_path


def run(command: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(command.split())
    return int(end.value.code or 0)


def test_a_photo_is_explained_in_panels_a_table_and_a_page(folder: Path) -> None:
    options = "--codec jpeg --quality 20 --preprocessor downscale:0.6 --out why"
    assert run(f"explain cat.png --task {TASK} --task {SMALL} {options}") == 0
    names = {"cat-focus.png", "cat-bits.png", "cat-removed.png", "explain.csv", "explain.html"}
    assert {p.name for p in (folder / "why").iterdir()} == names
    page = (folder / "why" / "explain.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
    assert f"{SMALL} at bn2" in page
    rows = list(csv.DictReader((folder / "why" / "explain.csv").open()))
    value = {(r["of"], r["against"], r["measure"]): float(r["value"]) for r in rows}
    assert value["filtered and compressed", "", "bpp"] < value["compressed", "", "bpp"]
    for version in ("compressed", "filtered and compressed"):
        bits = value[version, "", "block bits"] + value[version, "", "overhead bits"]
        assert bits / (200 * 250) == pytest.approx(value[version, "", "bpp"], rel=1e-4)
        assert 0.2 < value[f"{TASK}, {version}", "original", "iou"] <= 1
        assert -1 <= value[f"{TASK}, {version}", f"{SMALL}, {version}", "rank"] <= 1


def test_a_codec_without_a_map_still_has_the_other_panels(folder: Path) -> None:
    options = "--codec webp --quality 20 --preprocessor blur:2 --out why"
    assert run(f"explain cat.png --task {SMALL} {options}") == 0
    names = {"cat-focus.png", "cat-removed.png", "explain.csv", "explain.html"}
    assert {p.name for p in (folder / "why").iterdir()} == names


def test_fastestdet_is_explained(folder: Path, shared: Path) -> None:
    task = f"detect:{shared}/models/fastestdet_coco.onnx:decoder=fastestdet"
    options = "--codec bpg --quality 34 --preprocessor blur:1 --out why"
    assert run(f"explain cat.png --task {task} {options}") == 0
    rows = list(csv.DictReader((folder / "why" / "explain.csv").open()))
    found = [float(r["value"]) for r in rows if r["about"] == "focus" and r["measure"] == "iou"]
    assert len(found) == 2
    assert all(0 <= iou <= 1 for iou in found)
    assert "Relu" in (folder / "why" / "explain.html").read_text()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("explain nowhere.png --out x", "nowhere.png does not exist"),
        ("explain cat.png cat.png --out x --preprocessor none", "two photos are called cat"),
        ("explain cat.png --out x --preprocessor none --quality 400", "outside 1..95"),
        (f"explain cat.png --out x --preprocessor none --task {SMALL}:layer=blokcs.5", "blocks.5"),
        ("explain cat.png --out x --preprocessor none --task classify:resnet5", "resnet5"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, line: str
) -> None:
    assert run(command) == 1
    written = capsys.readouterr()
    assert line in written.err
    assert written.err.count("\n") == 1
    assert not (folder / "x" / "explain.html").exists()


def test_nothing_removed_is_zero_everywhere() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    found = removed(photo, photo)
    assert not found.absolute.any()
    assert not found.luma.any()
    assert set(found.shares.values()) == {0.0}


def test_removed_stripes_are_in_their_band_and_place() -> None:
    photo = np.full((32, 48, 3), 100, np.uint8)
    photo[8:16, 16:24:2] += 20
    filtered = np.full((32, 48, 3), 110, np.uint8)
    filtered[:8] = 100
    found = removed(photo, filtered)
    assert found.luma[20, 5] == pytest.approx(10)
    assert found.absolute[:8].max() == 0
    block = (1, 2)
    assert found.bands["high"][block] == found.bands["high"].max() > 5 * found.bands["low"][block]
    assert found.shares["high"] == pytest.approx(1)
