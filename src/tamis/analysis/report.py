"""The page of an analysis: findings in words, computed from the numbers, beside the figures."""

from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tamis.analysis.correlation import Correlation
from tamis.analysis.figures import figures
from tamis.analysis.findings import CLAIMS, between
from tamis.analysis.measures import AFTER, ALIVE, BEFORE, HIGH
from tamis.bench.figures import inline_svg, save_figure

REPORT = "report.html"

CAPTIONS = {
    "spatial-before": "Absolute correlation of adjacent values of y, one bar a channel, sorted, "
    "with 95 % intervals. Published figure.",
    "spatial-after": "The same for what prediction leaves. Published figure.",
    "inter-channel": "Absolute correlation between channels at one position. Published figure.",
    "distance": "How far correlation reaches, by direction.",
    "information": "Mutual information sees what correlation cannot: above the line, neighbours "
    "tell more about each other than a straight line through their values.",
    "rate": "Whether the correlated channels are the expensive ones.",
    "saving": "What linear prediction from the causal 4x4 window could save.",
}


def write_report(result: Correlation, folder: Path) -> Path:
    """Write figures as PNG and SVG, and `report.html`; return the page."""
    plots = []
    for name, figure in figures(result).items():
        save_figure(figure, folder, name)
        plots.append((name, CAPTIONS[name], inline_svg(figure)))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("correlation.html.j2").render(
        facts=result.facts,
        sentences=sentences(result),
        findings=_by_number(result),
        plots=plots,
        alive=int(result.alive.sum()),
        channels=len(result.alive),
        threshold=ALIVE,
    )
    path = folder / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def sentences(result: Correlation) -> list[str]:
    """What was found, in words, every number from the data."""
    said = [_count(result), *_information(result), *_rate(result), *_saving(result)]
    dead = len(result.alive) - int(result.alive.sum())
    if dead:
        said.append(
            f"{dead} of {len(result.alive)} channels are inactive: less than {ALIVE:.1%} of their "
            "rounded values differ from the commonest. Their correlation after prediction is that "
            "of a tiny, smooth mean and says nothing about bits."
        )
    return said


def _by_number(result: Correlation) -> list[dict[str, Any]]:
    return [
        {"claim": claim, "rows": [f for f in result.findings if f.number == number]}
        for number, claim in CLAIMS.items()
    ]


def _count(result: Correlation) -> str:
    total = len(result.alive)
    if not result.predicts:
        return (
            f"{result.high(BEFORE)} of {total} channels have a spatial correlation above {HIGH}; "
            "the model predicts no mean, so there is no “after”."
        )
    return (
        f"{result.high(BEFORE)} of {total} channels above {HIGH} before prediction, "
        f"{result.high(AFTER)} after; mean |r| "
        f"{between(result.estimates[f'mean/{BEFORE}/all'])} before, "
        f"{between(result.estimates[f'mean/{AFTER}/all'])} after."
    )


def _information(result: Correlation) -> list[str]:
    def said(field: str) -> str:
        found = result.channels[f"mutual_information_{field}"].to_numpy().mean()
        chance = result.channels[f"mutual_information_chance_{field}"].to_numpy().mean()
        return f"{found:.3f} bits for {names[field]} (by chance {chance:.3f})"

    names = {"y": "y", "residual": "the residual", "normalized": "the residual over its scale"}
    return [
        "Mutual information of adjacent values, mean over channels: "
        + ", ".join(said(field) for field in result.fields)
        + "."
    ]


def _rate(result: Correlation) -> list[str]:
    if "rate" not in result.estimates:
        return []
    bits = result.estimates["rate"].value
    high = result.absolute(BEFORE) > HIGH
    share = bits[high].sum() / bits.sum() if bits.sum() else np.nan
    return [
        f"y costs {between(result.estimates['bpp'])} bpp. The {int(high.sum())} channels above "
        f"{HIGH} before prediction carry {share:.0%} of it; rank correlation of |r| and rate over "
        f"channels: {between(result.estimates[f'rank/{BEFORE}'], 2)}."
    ]


def _saving(result: Correlation) -> list[str]:
    if "saving/y_hat" not in result.estimates:
        return []
    said = (
        "Linear prediction from the causal 4x4 window could save "
        f"{between(result.estimates['saving/y_hat'], 4)} bpp where each channel is coded on its own"
    )
    if f"saving/{AFTER}" in result.estimates:
        left = result.estimates[f"saving/{AFTER}"]
        said += f", and {between(left, 4)} bpp after the model’s own prediction"
        if "bpp" in result.estimates:
            part = float(left.value) / float(result.estimates["bpp"].value)
            said += f", {part:.1%} of the rate of y"
    if "saving/normalized" in result.estimates:
        left = result.estimates["saving/normalized"]
        said += f"; from residuals over their predicted scales {between(left, 4)} bpp"
    return [said + "."]
