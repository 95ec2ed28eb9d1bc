"""The bench in one call: table, sentence, figures, CSV, and an HTML file that stands alone."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from colours import colour_task
from PIL import Image
from rich.console import Console

from tamis.bench import bench
from tamis.bench.results import headline, rich_table, sentence
from tamis.bench.strips import AMPLIFIED, difference, make_strips
from tamis.bench.table import BEST_DOWNSCALE, SCHEMA
from tamis.codecs import get_codec
from tamis.preprocessing import get_preprocessor
from tamis.tasks import ClassifyWith

MEASURES = {"classify:colours": ClassifyWith.measures}


class Colours(ClassifyWith):
    """The colour task, which can also tell what it sees."""

    def describe(self, row):
        return f"photo {int(row.argmax())} <sure>"


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    plain = colour_task()
    task = Colours(plain._function, size=176, name="colours")
    return bench(
        folder,
        [task],
        ["jpeg", "jpeg:subsampling=444"],
        ["blur:2.0", "downscale:0.5"],
        "model",
        tmp_path_factory.mktemp("run"),
        qualities={"jpeg": (5, 10, 20, 40)},
        strips=2,
        resamples=50,
    )


def lines(**columns):
    """Rows of a BD-rate table for the headline measure of the colour task."""
    row = dict.fromkeys(SCHEMA) | {
        "protocol": "native", "prepared_for": "", "codec": "jpeg", "task": "classify:colours",
        "measure": "kl", "label": "KL", "smooth": True, "anchor": "none", "n_images": 9,
        "overlap": 1.0, "pooled": 0,
    }  # fmt: skip
    count = max(len(values) for values in columns.values())
    made = [row | {k: v[i] for k, v in columns.items()} for i in range(count)]
    return pl.DataFrame(made, schema=SCHEMA)


def test_none_is_added_because_every_table_compares_with_it(results):
    assert set(results.rows["preprocessor"]) == {"none", "blur:2.0", "downscale:0.5"}
    assert set(results.headline["preprocessor"]) == {"blur:2.0", "downscale:0.5", BEST_DOWNSCALE}


def test_every_file_is_there_and_opens(results):
    names = sorted(path.name for path in results.files)
    stems = ("jpeg", "jpeg-subsampling-444")
    assert names == sorted(
        ["bd_rate.csv", "curves.csv", *(f"{s}.{e}" for s in stems for e in ("png", "svg"))]
    )
    for path in results.files:
        if path.suffix == ".png":
            assert np.asarray(Image.open(path).convert("L")).std() > 5
        elif path.suffix == ".svg":
            assert path.read_text().rstrip().endswith("</svg>")
    assert pl.read_csv(results.run / "bd_rate.csv").height == results.table.height
    assert pl.read_csv(results.run / "curves.csv").height == results.curves.height


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.images, self.open = set(), [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                (self.images if value.startswith("data:") else self.loads).append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_file_that_loads_nothing(results):
    text = results.report.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert all(target.startswith("#") for target in page.loads)
    assert not re.search(r"url\((?!#|data:)", text) and "@import" not in text
    assert not page.tags & {"script", "link", "iframe", "object"}
    # Two photos: an original, and for each of three preprocessors filtered and decoded, and the
    # difference where there is one.
    assert len(page.images) == 2 * (1 + 3 * 2 + 2)
    for uri in page.images:
        Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).load()


def test_the_report_says_what_was_measured_and_how(results):
    text = results.report.read_text()
    for fact in ("protocol <b>model</b>", "<b>5</b> photos", "<b>120</b> files", "subsampling 444",
                 "quality 5, 10, 20, 40", "pillow 1", "classify:colours", "best downscale",
                 f"difference × {AMPLIFIED}", "&lt;sure&gt;"):  # fmt: skip
        assert fact in text
    for row in results.headline.drop_nulls("bd_rate").iter_rows(named=True):
        assert f"{row['bd_rate']:+.1f}" in text
    for row in results.table.drop_nulls("reason").iter_rows(named=True):
        assert row["reason"].replace("'", "&#39;") in text


def test_strips_hold_the_files_they_tell_of(named_photos):
    photo = named_photos["cat"][:90, :120]
    jpeg = get_codec("jpeg")
    chosen = [(spec, get_preprocessor(spec)) for spec in ("none", "blur:1.0", "downscale:0.5")]
    (strip,) = make_strips([("cat", photo)], ("jpeg", jpeg), 20, chosen, colour_task())
    plain, blurred, small = strip.cells
    assert plain.bits == 8 * len(jpeg.encode(photo, 20))
    assert plain.bpp == plain.bits / photo[..., 0].size
    assert plain.difference is None and blurred.difference.shape == photo.shape
    assert (blurred.filtered == chosen[1][1](photo, jpeg, 20)).all()
    assert small.decoded.shape == (45, 60, 3) and small.difference.shape == photo.shape
    # A task that cannot describe says nothing; it is not made up.
    assert type(strip.says) is str


def test_the_difference_is_amplified_around_grey():
    original = np.full((2, 2, 3), 100, np.uint8)
    assert (difference(original + 3, original) == 128 + 3 * AMPLIFIED).all()
    assert difference(original, original) is None


def test_the_sentence_judges_by_the_task_that_gains_least():
    table = lines(
        task=["classify:colours", "classify:other"], preprocessor=["default"] * 2,
        bd_rate=[-30.0, -12.0], low=[-35.0, -15.0], high=[-25.0, -9.0],
    )  # fmt: skip
    measures = {**MEASURES, "classify:other": ClassifyWith.measures}
    assert "saves 12 % of the bits of jpeg (95 % interval 9 to 15 %)" in sentence(table, measures)


def test_no_saving_is_claimed_when_the_interval_holds_zero():
    table = lines(preprocessor=["default"], bd_rate=[-4.0], low=[-9.0], high=[1.0])
    assert "no proven saving with jpeg (-4 %" in sentence(table, MEASURES)
    assert "saves" not in sentence(table, MEASURES).replace("saving", "")


def test_a_cost_is_called_a_cost():
    table = lines(preprocessor=["default"], bd_rate=[4.0], low=[1.0], high=[9.0])
    assert "costs 4 % more bits with jpeg" in sentence(table, MEASURES)


def test_the_sentence_is_about_the_preprocessor_not_about_a_better_baseline():
    table = lines(
        preprocessor=["downscale:0.5", "default"], bd_rate=[-40.0, -10.0], low=[-50.0, -12.0],
        high=[-30.0, -8.0],
    )  # fmt: skip
    assert "'default' saves 10 %" in sentence(table, MEASURES)


def test_a_refused_task_is_not_passed_over_in_the_sentence():
    table = lines(
        task=["classify:colours", "classify:other"], preprocessor=["default"] * 2,
        bd_rate=[-30.0, None], low=[-35.0, None], high=[-25.0, None], reason=[None, "too little"],
    )  # fmt: skip
    measures = {**MEASURES, "classify:other": ClassifyWith.measures}
    assert sentence(table, measures) == "No saving could be computed: too little."


def test_the_terminal_table_shows_every_codec_and_interval(results):
    console = Console(width=180, record=True, file=io.StringIO())
    console.print(results.rich_table())
    shown = console.export_text()
    assert "jpeg:subsampling=444" in shown and "protocol model" in shown and "5 photos" in shown
    one = lines(preprocessor=["default"], bd_rate=[-4.0], low=[-9.0], high=[1.0])
    console.print(rich_table(one))
    assert "-4.0 % (-9.0 to +1.0)" in console.export_text()


def test_the_headline_is_the_first_smooth_measure_of_each_task(results):
    assert set(headline(results.table, results.measures)["measure"]) == {"kl"}
