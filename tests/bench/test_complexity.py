"""What `tamis models --measure` finds: real runs of small pictures, ratios, files."""

import io
import json

import polars as pl
import pytest
from rich.console import Console

from tamis.bench.complexity import SCHEMA, Measured, measure_models, with_ratios
from tamis.cli import main
from tamis.errors import TamisError, UnknownNameError
from tamis.preprocessing.zoo import ZOO
from tamis.probe import Subject, probe, probe_apart

TORCH = Subject("preprocessor", "npp-lite", "npp-lite", "torch")
SHIPPED = Subject("preprocessor", "default-jpeg", str(ZOO / "default-jpeg"), "onnxruntime")
JPEG = Subject("encoder", "jpeg", "jpeg", "")
VVC = Subject("encoder", "vvc", "vvc", "")


@pytest.fixture(scope="module")
def small(named_photos):
    return named_photos["cat"][:48, :64]


@pytest.fixture
def rows():
    head = {"threads": 1, "runs": 3, "low": 16716.0, "high": 16954.0}
    made = [
        ("preprocessor", "small", "torch", 224, 224, 100, 7.5, 6.0, 1.5),
        ("encoder", "jpeg", "", 224, 224, None, None, 2.0, None),
        ("preprocessor", "small", "torch", 1920, 1080, 9408155, 193503.0, 90.0, 2300.0),
        ("encoder", "jpeg", "", 1920, 1080, None, None, 60.0, 12.0),
        ("task", "efficientnet_lite0", "torch", 1920, 1080, 4631000, 7677.0, 16954.0, 8.0),
    ]
    names = ["kind", "name", "runtime", "width", "height", "parameters", "macs_per_pixel"]
    names += ["milliseconds", "peak_megabytes"]
    return pl.DataFrame([head | dict(zip(names, m, strict=True)) for m in made], schema=SCHEMA)


@pytest.mark.parametrize("subject", [TORCH, SHIPPED, JPEG], ids=lambda subject: subject.name)
def test_a_subject_is_timed_as_often_as_asked(subject, small):
    cost = probe(subject, small, runs=3, seconds=60, threads=1)
    assert len(cost.seconds) == 3 and min(cost.seconds) > 0


def test_when_time_is_up_two_runs_are_enough(small):
    assert len(probe(JPEG, small, runs=50, seconds=0, threads=1).seconds) == 2


def test_memory_is_that_of_the_work_alone(named_photos):
    cost = probe_apart(Subject("encoder", "bpg", "bpg", ""), named_photos["astronaut"], 1, 1, 1)
    assert cost.peak_bytes is not None
    # x265 holds several planes of the picture, but no 300 MB of imported libraries.
    assert 1e6 < cost.peak_bytes < 1e8


def test_an_encoder_in_another_process_has_its_time_counted_but_not_its_memory(small):
    cost = probe(VVC, small, 1, 0, 1)
    assert cost.peak_bytes is None
    assert min(cost.seconds) > 0.01


def test_ratios_are_of_the_same_picture(rows):
    made = with_ratios(rows)
    assert made["times_jpeg"].to_list() == [3.0, None, 1.5, None, None]
    assert made.columns == [*SCHEMA, "times_jpeg"]


def test_files_hold_the_rows_and_json_the_conditions(rows, tmp_path):
    measured = Measured(with_ratios(rows), {"processor": "a fast one", "load": 0.1})
    measured.write(tmp_path / "found.csv")
    measured.write(tmp_path / "found.json")
    assert pl.read_csv(tmp_path / "found.csv")["times_jpeg"].to_list() == [
        3.0,
        None,
        1.5,
        None,
        None,
    ]
    read = json.loads((tmp_path / "found.json").read_text())
    assert read["conditions"]["processor"] == "a fast one" and len(read["rows"]) == 5
    with pytest.raises(TamisError, match=r"\.json or \.csv"):
        measured.write(tmp_path / "found.txt")


def test_tables_show_costs_and_ratios_whole_in_80_columns(rows):
    console = Console(width=80, file=io.StringIO())
    for table in Measured(with_ratios(rows), {"processor": "a fast one"}).tables():
        console.print(table)
    shown = console.file.getvalue()
    assert "90.0 (16,716-16,954)" in shown and "1.50" in shown
    assert "…" not in shown and shown.count("small") == 4


def test_unknown_names_are_refused_before_anything_is_measured():
    with pytest.raises(UnknownNameError, match="npp-lite"):
        measure_models(names=["npp-light"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "x.json"], "go with --measure"),
        (["--measure", "--out", "x.xlsx"], ".json or .csv"),
        (["--measure", "--sizes", "big"], "WIDTHxHEIGHT"),
    ],
)
def test_the_command_refuses_in_one_line(capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        main(["models", *arguments])
    assert end.value.code == 1
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_measures_networks_beside_every_encoder(capsys, tmp_path):
    out = tmp_path / "found.json"
    with pytest.raises(SystemExit) as end:
        main(["models", "--measure", "--names", "npp-lite", "--sizes", "64x48", "-o", str(out)])
    assert not end.value.code
    read = json.loads(out.read_text())
    rows = {(row["name"], row["runtime"]): row for row in read["rows"]}
    torch_row, onnx_row = rows["npp-lite", "torch"], rows["npp-lite", "onnxruntime"]
    assert torch_row["parameters"] == onnx_row["parameters"] > 0
    jpeg = rows["jpeg", ""]["milliseconds"]
    assert torch_row["times_jpeg"] == pytest.approx(torch_row["milliseconds"] / jpeg)
    assert {"load", "cores", "processor", "versions"} <= set(read["conditions"])
    assert "npp-lite" in capsys.readouterr().out
