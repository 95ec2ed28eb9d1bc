"""Validation on held-out photos, coded for real."""

import csv
from pathlib import Path

import pytest

from tamis.codecs import Image
from tamis.preprocessing.module import load_network
from tamis.tasks import Classify
from tamis.training.ensemble import Ensemble
from tamis.training.lagrangian import PlainCurve
from tamis.training.monitor import Validation
from tamis.training.photos import central
from tamis.training.recipe import parse_recipe


def test_a_distance_off_the_plain_curve_leaves_saved_empty(
    photos: list[Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = parse_recipe(
        {
            "name": "a",
            "data": {"folders": ["sample"], "crop": 64, "held_out": 1},
            "codecs": [{"spec": "jpeg", "qualities": [10], "lambda": {10: 1.0}}],
            "tasks": [{"spec": "classify:efficientnet_lite0:size=64"}],
            "validation": {"samples": 0},
            "steps": 1,
            "out": "unused",
        }
    )
    ensemble = Ensemble([Classify("efficientnet_lite0", size=64)], [1.0])
    reached = PlainCurve((10, 30), (0.5, 1.0), (1e-7, 1e-8))
    validation = Validation(
        tmp_path, recipe, [central(photos[0], 64)], ensemble, {"jpeg": reached}, 0
    )
    validation.run(load_network("npp-dct"), 1)
    with (tmp_path / "validation.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["distance"]) > 1e-7
    assert row["saved"] == ""
    assert "saves unknown, outside its curve" in " ".join(capsys.readouterr().err.split())
