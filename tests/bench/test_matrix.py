"""The matrix: one preprocessor, every task with every codec, and who loses by it."""

import re
from types import MappingProxyType

import numpy as np
import polars as pl
import pytest
from colours import colour_task
from matplotlib.colors import to_rgb
from PIL import Image

from tamis.bench.matrix import Cell, Matrix, Row
from tamis.bench.matrix_figure import matrix_figure
from tamis.bench.matrix_recipe import CODECS, LADDERS, MatrixRecipe, load_matrix_recipe
from tamis.bench.matrix_run import bench_matrix
from tamis.bench.matrix_words import markdown, reasons, verdict
from tamis.codecs import get_codec
from tamis.errors import RecipeError, TamisError
from tamis.tasks import Measure
from tamis.training.recipe_file import parse

LADDER = {"jpeg": (5, 10, 20, 40), "webp": (2, 10, 30, 60)}


class Faces:
    """A task that finds nothing in any photo: it looks for faces of a kind none has."""

    name = "faces"
    measures = MappingProxyType({"overlap": Measure(True, True, "overlap")})

    def prepare(self, image):
        return image

    def predict(self, images):
        return np.zeros((len(images), 1), np.float32)

    def score(self, predictions, reference, labels=None):
        return {"overlap": np.full(len(predictions), np.nan)}


class Count:
    """A task whose only measure moves in steps."""

    name = "count"
    measures = MappingProxyType({"right": Measure(True, False, "right")})
    prepare, predict = Faces.prepare, Faces.predict

    def score(self, predictions, reference, labels=None):
        return {"right": np.ones(len(predictions))}


@pytest.fixture(scope="module")
def results(paths, tmp_path_factory):
    groups = {
        "all": (paths, [colour_task(), Faces(), Count()]),
        "three": (paths[:3], [colour_task("other")]),
    }
    return bench_matrix(
        groups,
        ["jpeg", "webp"],
        ["default", "blur:3.0"],
        "native",
        tmp_path_factory.mktemp("matrix"),
        qualities=LADDER,
        strips=0,
        resamples=50,
    )


def cell(value, half=2.0, reason=None):
    return Cell(value, value - half, value + half, 50, reason)


NOTHING = Cell(None, None, None, 0, "it covers no webp")


def made(*rows, codecs=("jpeg", "webp")):
    """A matrix of rows of cells; tasks a, b, ..."""
    return Matrix(
        "mine",
        codecs,
        tuple(
            Row(f"task:{'abc'[i]}", "some", "kl", "KL", dict(zip(codecs, cells, strict=True)))
            for i, cells in enumerate(rows)
        ),
    )


def test_every_task_of_every_group_is_a_row_and_every_preprocessor_a_matrix(results):
    default, blur = results.matrices
    assert (default.preprocessor, blur.preprocessor) == ("default", "blur:3.0")
    for matrix in results.matrices:
        assert matrix.codecs == ("jpeg", "webp")
        assert [(row.photos, row.task) for row in matrix.rows] == [
            ("all", "classify:colours"), ("all", "faces"), ("all", "count"),
            ("three", "classify:other"),
        ]  # fmt: skip


def test_a_cell_is_the_headline_of_the_bench_on_the_photos_of_its_group(results):
    for row in (results.matrices[0].rows[0], results.matrices[0].rows[3]):
        line = results.parts[row.photos].headline.row(
            by_predicate=(pl.col("preprocessor") == "default")
            & (pl.col("codec") == "jpeg")
            & (pl.col("task") == row.task),
            named=True,
        )
        found = row.cells["jpeg"]
        assert row.measure == "kl"
        assert (found.bd_rate, found.low, found.high) == (
            line["bd_rate"], line["low"], line["high"],
        )  # fmt: skip
        assert found.n_images == {"all": 5, "three": 3}[row.photos]


def test_a_cell_without_a_number_says_why_in_words(results):
    default, blur = results.matrices
    colours, faces, count = default.rows[:3]
    assert "covers codec webp" in colours.cells["webp"].reason
    assert colours.cells["webp"].n_images == 0
    assert faces.cells["jpeg"].reason == "no photo has a value of overlap"
    assert count.cells["jpeg"].reason == "the task has no smooth measure"
    for matrix in (default, blur):
        for _, _, one in matrix.cells():
            assert (one.bd_rate is None) <= bool(one.reason)


def test_the_folder_holds_numbers_figures_tables_and_a_page(results):
    folder = results.report.parent
    names = {path.name for path in results.files}
    assert names == {"matrix.csv", "matrix.md"} | {
        f"matrix-{slug}.{end}" for slug in ("default", "blur-3-0") for end in ("png", "svg")
    }
    table = pl.read_csv(folder / "matrix.csv")
    assert table.height == 2 * 4 * 2
    assert table["verdict"].to_list() == [
        one.verdict for matrix in results.matrices for _, _, one in matrix.cells()
    ]
    assert np.asarray(Image.open(folder / "matrix-default.png").convert("L")).std() > 5
    text = (folder / "matrix.md").read_text()
    for matrix, line in zip(results.matrices, results.verdicts(), strict=True):
        assert line in text and markdown(matrix) in text


def test_the_page_stands_alone_and_leads_to_the_report_of_every_group(results):
    page = results.report.read_text()
    targets = re.findall(r'(?:src|href)="(?!data:)([^"#]+)"', page)
    assert targets == ["all/report.html", "three/report.html"]
    assert all((results.report.parent / target).exists() for target in targets)
    assert "@import" not in page and "<script" not in page
    for line in results.verdicts():
        assert line.replace("'", "&#39;") in page
    assert page.count("<svg") == 2 and "no photo has a value of overlap" in page


def test_a_matrix_that_was_measured_is_not_coded_again(paths, tmp_path):
    groups = {"three": (paths[:3], [colour_task()])}
    settings = {"qualities": LADDER, "strips": 0, "resamples": 20, "out": tmp_path}
    first = bench_matrix(groups, ["jpeg"], ["blur:3.0"], **settings)
    parts = sorted((tmp_path / "three" / "parts").iterdir())
    again = bench_matrix(groups, ["jpeg"], ["blur:3.0"], **settings)
    assert parts == sorted((tmp_path / "three" / "parts").iterdir())
    assert again.matrices == first.matrices


def test_the_verdict_says_whether_any_cell_loses_and_names_all_that_do_not_save():
    fine = made((cell(-9.0), cell(-8.0)), (cell(-5.0), cell(-4.0)))
    assert verdict(fine) == (
        "'mine': no cell of 4 loses. 4 below 0 with the whole 95 % interval; "
        "0 contain 0; 0 above 0."
    )
    mixed = made((cell(-9.0), cell(1.0)), (cell(5.0), NOTHING))
    assert verdict(mixed) == (
        "'mine': 1 of 3 cells loses. 1 below 0 with the whole 95 % interval; "
        "1 contain 0 (webp: task:a); 1 above 0 (jpeg: task:b); "
        "1 without an interval (webp: task:b)."
    )
    none = made((NOTHING, NOTHING), (NOTHING, NOTHING))
    assert "no cell has an interval" in verdict(none)
    assert "(jpeg: every task; webp: every task)" in verdict(none)


def test_an_interval_that_touches_nothing_but_one_side_decides():
    assert Cell(-1.0, -2.0, -0.1, 9, None).verdict == "saves"
    assert Cell(-1.0, -2.0, 0.0, 9, None).verdict == "open"
    assert Cell(1.0, 0.0, 2.0, 9, None).verdict == "open"
    assert Cell(1.0, 0.1, 2.0, 9, None).verdict == "loses"
    assert Cell(1.0, None, None, 9, "few").verdict == "none"


def test_markdown_has_a_column_for_each_codec_and_the_reasons_beneath():
    table = markdown(made((cell(-9.0), cell(1.0)), (cell(5.0), NOTHING)))
    head, rule, first, second, *rest = table.splitlines()
    assert head == "| task | photos | at equal | jpeg | webp |"
    assert rule.count("|") == head.count("|") == first.count("|") == second.count("|")
    assert "**-9.0 %** (-11.0 to -7.0) | +1.0 % (-1.0 to +3.0) |" in first
    assert "some, 50" in first and "none [1]" in second
    assert rest == ["", "[1] it covers no webp."]
    assert reasons(made((cell(-9.0), NOTHING))) == [("it covers no webp", "webp: task:a")]


def test_the_figure_writes_every_number_and_interval_and_hatches_what_has_none():
    matrix = made((cell(-30.0), cell(1.0)), (cell(15.0), NOTHING))
    axes = matrix_figure(matrix).axes[0]
    words = [text.get_text() for text in axes.texts]
    for expected in ("-30.0 %", "-32.0 to -28.0", "+1.0 %", "+15.0 %", "it covers no webp"):
        assert expected in words
    left, right, below, hatched = (axes.patches[i] for i in (0, 1, 2, 3))
    assert hatched.get_hatch() and not left.get_hatch()
    assert below.get_linewidth() > 0 == left.get_linewidth()
    # Saving is purple, more blue than red; costing is orange; next to 0 is light.
    red, _, blue = to_rgb(left.get_facecolor())
    assert blue > red
    red, _, blue = to_rgb(below.get_facecolor())
    assert red > blue
    assert min(to_rgb(right.get_facecolor())) > 0.85


def test_colours_are_centred_at_zero_whatever_the_values():
    (patch,) = matrix_figure(made((cell(-0.001),), codecs=("jpeg",))).axes[0].patches
    assert min(to_rgb(patch.get_facecolor())) > 0.95


def test_a_path_in_a_spec_is_shown_without_its_folders():
    row = Row("detect:/a/b/net.onnx:decoder=fastestdet", "x", "kl", "KL", {})
    assert row.name == "detect:net.onnx:decoder=fastestdet"


def test_a_recipe_knows_its_photos_and_every_which_of_them(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOS", str(folder))
    path = tmp_path / "matrix.yaml"
    path.write_text("groups:\n  mine:\n    photos: [$PHOTOS]\n    every: 2\n    tasks: [count]\n")
    recipe = load_matrix_recipe(path)
    assert [photo.source.name for photo in recipe.groups["mine"].found()] == [
        "astronaut.png", "china.png", "rocket.png",
    ]  # fmt: skip
    assert recipe.codecs == CODECS and recipe.preprocessors == ("default",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"groups": {}}, "groups"),
        ({"groups": {"a/b": {"photos": ["x"]}}}, "pattern"),
        ({"groups": {"a": {"photos": ["x"], "task": ["count"]}}}, "task"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(document, message):
    with pytest.raises(RecipeError, match=message):
        parse(document, MatrixRecipe)


@pytest.mark.parametrize("name", LADDERS)
def test_the_ladders_are_in_range_and_by_rising_rate(name):
    scale = type(get_codec(name)).quality
    ladder = LADDERS[name]
    assert len(ladder) == 6 and all(scale.low <= quality <= scale.high for quality in ladder)
    assert list(ladder) == sorted(ladder, reverse=not scale.ascending)


def test_the_anchor_alone_is_no_matrix(paths, tmp_path):
    with pytest.raises(TamisError, match="judges a preprocessor"):
        bench_matrix({"a": (paths, [Count()])}, ["jpeg"], ["none"], out=tmp_path)
