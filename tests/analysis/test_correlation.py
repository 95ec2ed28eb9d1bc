"""From a model and photos to figures, numbers and a page in words."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.analysis.correlation import Correlation, analyze_correlation
from tamis.analysis.features import analyze_features
from tamis.analysis.figures import figures
from tamis.analysis.patches import Patches
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.report import sentences
from tamis.analysis.sources import open_source
from tamis.cli import main
from tamis.errors import TamisError
from tamis.learned.models import LearnedModel, create_model
from tamis.learned.package import save

FIGURES = ("spatial-before", "spatial-after", "inter-channel", "distance", "information", "rate")


def model(name: str = "context-adaptive") -> LearnedModel:
    """Random weights whose latents are wide enough that most channels are active."""
    torch.manual_seed(0)
    made = create_model(name, 4, 6)
    with torch.no_grad():
        list(made.analysis.parameters())[-2].mul_(300)
    return made.eval()


@pytest.fixture(scope="module")
def made(noise: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Correlation, Path]:
    folder = tmp_path_factory.mktemp("analysis")
    return analyze_correlation(model(), noise, folder, patches=64, size=128, pairs=40), folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_figures_are_written_as_png_and_svg(made: tuple[Correlation, Path]) -> None:
    for name in (*FIGURES, "saving"):
        assert (made[1] / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (made[1] / f"{name}.svg").read_text()


def test_words_and_files_say_the_same(made: tuple[Correlation, Path]) -> None:
    result, folder = made
    rows = table(folder / "channels.csv")
    before = sum(abs(float(row["r_y"])) > 0.3 for row in rows)
    after = sum(abs(float(row["r_residual"])) > 0.3 for row in rows)
    sentence = f"{before} of 6 channels above 0.3 before prediction, {after} after"
    assert sentences(result)[0].startswith(sentence)
    page = (folder / "report.html").read_text()
    assert sentence in page
    for finding in result.findings:
        assert finding.claim in page
    assert [row["verdict"] for row in table(folder / "findings.csv")] == [
        finding.verdict for finding in result.findings
    ]
    assert "http" not in page.replace("http://www.w3.org", "")


def test_rate_by_channel_adds_up_to_the_models_own(made: tuple[Correlation, Path]) -> None:
    result, folder = made
    rows = table(folder / "channels.csv")
    bpp = sum(float(row["rate"]) for row in rows) / 256
    assert bpp == pytest.approx(float(result.estimates["bpp"].value), rel=1e-9)
    stored = np.load(folder / "numbers.npz", allow_pickle=False)
    assert stored["bpp:value"] == result.estimates["bpp"].value
    assert stored["cross/y:value"].shape == (6, 6)
    assert stored["offsets/residual:value"].shape == (6, 4 * 7)
    assert len(table(folder / "offsets.csv")) == 3 * 6 * 4 * 7
    between = table(folder / "inter-channel.csv")
    assert len(between) == 15
    assert float(between[0]["r_y"]) == pytest.approx(stored["cross/y:value"][0, 1])


def test_the_rate_is_that_of_the_patches(noise: list[Path]) -> None:
    codec = model()
    patches = Patches(tuple(noise), 8, 128)
    tally = measure(Protocol(open_source(codec), patches))
    result = Correlation("", tally, {"patches": 8, "size": 128})
    rates = []
    for patch in patches.block(0):
        x = torch.from_numpy(patch.image).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            likelihoods = codec(x).latents.likelihoods["y"]
        rates.append(float(-torch.log2(likelihoods).sum()) / 128**2)
    assert float(result.estimates["bpp"].value) == pytest.approx(np.mean(rates), rel=1e-5)


def test_a_model_without_mean_has_the_before_part(noise: list[Path]) -> None:
    tally = measure(Protocol(open_source(model("factorized")), Patches(tuple(noise), 16, 128)))
    result = Correlation("factorized", tally, {"patches": 16, "size": 128})
    assert "spatial-after" not in figures(result)
    assert "predicts no mean" in sentences(result)[0]
    assert {f.verdict for f in result.findings if f.number in (2, 4)} == {"not testable"}


def test_features_side_by_side(noise: list[Path], tmp_path: Path) -> None:
    quiet, loud = model("hyperprior"), model("reduction")
    with torch.no_grad():
        list(loud.analysis.parameters())[-2].mul_(20)
    models = {"hyperprior": quiet, "reduction": loud}
    found = analyze_features(models, noise, tmp_path, patches=16, size=128)
    rows = {row["model"]: row for row in found.iter_rows(named=True)}
    assert rows["reduction"]["entropy"] > rows["hyperprior"]["entropy"] + 1
    assert rows["reduction"]["zeros"] < rows["hyperprior"]["zeros"]
    assert [row["model"] for row in table(tmp_path / "features.csv")] == list(models)
    assert (tmp_path / "features.svg").exists()
    with pytest.raises(TamisError, match="one name"):
        analyze_features([quiet, quiet], noise, tmp_path, patches=8, size=128)


def test_the_command(noise: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codec = tmp_path / "small-1"
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    facts = {"recipe": "none", "data": "noise", "licence": "Apache-2.0"}
    save(codec, model(), [image], lambda_=None, metric=None, steps=None, **facts)
    arguments = ["analyze", "correlation", str(noise[0].parent), "--model", str(codec), "--out"]
    options = ["--patches", "16", "--size", "128", "--pairs", "10", "--workers", "1"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, str(tmp_path / "out"), *options])
    assert not end.value.code
    assert "of 6 channels above 0.3 before prediction" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()
    with pytest.raises(SystemExit) as end:
        main([*arguments, str(tmp_path / "out"), *options, "--seed", "1"])
    assert end.value.code == 1
    assert "choose another folder" in capsys.readouterr().err
    arguments = ["analyze", "features", str(noise[0].parent), "--model", str(codec)]
    options = ["--out", str(tmp_path / "features"), "--patches", "8", "--size", "128"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *options, "--workers", "1"])
    assert not end.value.code
    assert "small-1" in capsys.readouterr().out
