"""One self-contained HTML file: table, curves, image strips and the conditions of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from tamis.bench.results import Results
from tamis.bench.strips import AMPLIFIED, Strip, data_uri
from tamis.codecs import Codec


def write_report(
    results: Results,
    fingerprint: str,
    codecs: Mapping[str, Codec],
    plots: Sequence[tuple[str, str]],
    strips: Sequence[Strip],
) -> None:
    """Write `results.report`.

    Args:
        results: what was found.
        fingerprint: of the plan.
        codecs: by spec, for their settings.
        plots: spec of a codec and its curves as an SVG element.
        strips: photos to show.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=False,
        undefined=jinja2.StrictUndefined,
    )
    height, width = strips[0].original.shape[:2] if strips else (1, 1)
    page = environment.get_template("report.html.j2").render(
        sentence=results.sentence(),
        plan=results.noted,
        fingerprint=fingerprint,
        coded=results.rows.select(*_ITEM).n_unique(),
        codecs=list(codecs),
        headline=_by_task(results.headline),
        table=list(results.table.iter_rows(named=True)),
        plots=plots,
        strips=[_shown(strip, codecs[strip.codec]) for strip in strips],
        amplified=AMPLIFIED,
        aspect=f"{width} / {height}",
        settings=[_settings(name, codec, results.noted) for name, codec in codecs.items()],
        seconds=dict(
            results.rows.group_by("preprocessor")
            .agg(pl.col("seconds_preprocess").mean())
            .iter_rows()
        ),
    )
    results.report.write_text(page, encoding="utf-8")


_ITEM = ("image_id", "codec", "quality", "preprocessor")


def _by_task(rows: pl.DataFrame) -> list[dict[str, Any]]:
    tasks = []
    for (name, label), group in rows.group_by("task", "label", maintain_order=True):
        lines = []
        about = group.sort(pl.col("anchor") != "none", maintain_order=True)
        for (anchor, preprocessor), line in about.group_by(
            "anchor", "preprocessor", maintain_order=True
        ):
            cells = {row["codec"]: row for row in line.iter_rows(named=True)}
            lines.append(
                {
                    "anchor": anchor,
                    "preprocessor": preprocessor,
                    "cells": {codec: cells.get(codec) for codec in rows["codec"].unique()},
                }
            )
        tasks.append({"name": name, "label": label, "lines": lines})
    return tasks


def _settings(name: str, codec: Codec, noted: Mapping[str, Any]) -> dict[str, Any]:
    options = [f"{f.name} {getattr(codec, f.name)}" for f in fields(codec)]  # type: ignore[arg-type]
    return {
        "name": name,
        "unit": type(codec).quality.unit,
        "ladder": noted["codecs"][name],
        "options": ", ".join(options),
    }


def _shown(strip: Strip, codec: Codec) -> dict[str, Any]:
    """A strip with its pictures as data URIs."""
    cells = [
        {
            "preprocessor": cell.preprocessor,
            "filtered": data_uri(cell.filtered),
            "difference": None if cell.difference is None else data_uri(cell.difference),
            "decoded": data_uri(cell.decoded),
            "bits": cell.bits,
            "bpp": cell.bpp,
            "says": cell.says,
        }
        for cell in strip.cells
    ]
    return {
        "name": strip.name,
        "codec": strip.codec,
        "unit": type(codec).quality.unit,
        "quality": strip.quality,
        "original": data_uri(strip.original),
        "says": strip.says,
        "cells": cells,
    }
