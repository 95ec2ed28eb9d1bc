"""`tamis ablate` and `tamis train task`: what they print, and one line for each mistake."""

from pathlib import Path

import pytest

from tamis.cli import main

RECIPES = str(Path(__file__).resolve().parents[1] / "recipes" / "ablations")
Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    return int(end.value.code or 0)


def test_the_list_says_what_each_ablation_asks(capsys: Capture) -> None:
    assert run("ablate", "--list", "--recipes", RECIPES) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == sorted(
        path.stem for path in Path(RECIPES).glob("*.yaml") if path.stem != "setup"
    )
    assert all(line.endswith("?") for line in lines)


def test_a_report_of_nothing_is_its_conditions(capsys: Capture, tmp_path: Path) -> None:
    assert run("ablate", "report", "--recipes", RECIPES, "--out", str(tmp_path)) == 0
    assert capsys.readouterr().out.startswith("Base: `npp-dct`")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "--recipes", RECIPES], "name an ablation; tamis ablate --list shows them"),
        (["ablate", "adaptiv", "--recipes", RECIPES], "did you mean 'adaptive'?"),
        (["ablate", "adaptive", "--recipes", "missing"], "no recipe to read at missing/setup.yaml"),
        (["train", "task", "missing.yaml"], "no recipe to read at missing.yaml"),
    ],
)
def test_a_mistake_is_one_line(capsys: Capture, arguments: list[str], message: str) -> None:
    assert run(*arguments) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
