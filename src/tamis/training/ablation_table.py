"""The table of an ablation, as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamis.bench.bd import Samples
from tamis.training.ablation_intervals import Estimate, seeded_bd_rate, seeded_change
from tamis.training.ablation_recipe import Ablation, EvaluationRecipe, SideRecipe
from tamis.training.ablation_runs import Measured


@dataclass(frozen=True)
class Finding:
    """One side of an ablation, measured with some seeds."""

    side: SideRecipe
    measured: Sequence[Measured]

    def curves(self, judge: int, seeds: Sequence[int] | None = None) -> list[Samples]:
        """The curves of one judge, of all seeds or of those named."""
        chosen = [m for m in self.measured if seeds is None or m.seed in seeds]
        return [m.curves[judge] for m in chosen]

    @property
    def seeds(self) -> list[int]:
        """The seeds it was measured with."""
        return [m.seed for m in self.measured]

    @property
    def is_plain(self) -> bool:
        """Whether it is the codec alone, before the untouched network."""
        return not self.side.preprocessor and not self.side.tuned


def table(
    name: str,
    ablation: Ablation,
    plain: Measured,
    findings: Sequence[Finding],
    qualities: Sequence[int],
    evaluation: EvaluationRecipe,
) -> str:
    """The section of `name`: question, table of BD-rates, if asked a table by quality, note."""
    titles = [judge.title for judge in evaluation.judges]
    first = findings[0]
    head = ["", "steps", "s", *(f"BD-rate, {title}" for title in titles), "each seed"]
    head += [f"against *{first.side.name}*", "rate, same QP", "PSNR, dB"]
    rows = [_row(one, first, plain, evaluation) for one in findings]
    lines = [f"### `{name}`", "", ablation.question, "", *_grid(head, rows)]
    if ablation.by_quality:
        for one in findings:
            if not one.is_plain:
                lines += ["", *_by_quality(one, plain, qualities, evaluation)]
    lines += ["", *([ablation.note.strip(), ""] if ablation.note else [])]
    reasons = _reasons(findings, plain)
    return "\n".join([*lines, *([*reasons, ""] if reasons else [])])


def _row(one: Finding, first: Finding, plain: Measured, evaluation: EvaluationRecipe) -> list[str]:
    draws = evaluation.resamples
    steps = max(m.steps for m in one.measured)
    seconds = np.array([m.seconds for m in one.measured])
    row = [
        one.side.name,
        str(steps) if steps else "",
        f"{seconds.mean():.0f}" if np.isfinite(seconds).all() else "",
    ]
    if one.is_plain:
        return [*row, *(["0"] * len(plain.curves)), *[""] * 4]
    for judge, anchor in enumerate(plain.curves):
        curves = one.curves(judge)
        row.append(str(seeded_bd_rate([anchor] * len(curves), curves, draws)))
    each = [seeded_bd_rate([plain.curves[0]], [curve], 0) for curve in one.curves(0)]
    row.append(", ".join("none" if e.reason else f"{e.percent:+.1f}" for e in each))
    row.append("" if one is first or first.is_plain else str(_against(one, first, draws)))
    anchor = plain.curves[0].rates.mean(axis=1)
    rates = [curve.rates.mean(axis=1) for curve in one.curves(0)]
    row.append(str(seeded_change([anchor] * len(rates), rates, draws)))
    error = float(np.mean([m.errors.mean() for m in one.measured]))
    row.append(f"{10 * np.log10(255**2 / error):.1f}" if error > 0 else "")
    return row


def _against(one: Finding, first: Finding, draws: int) -> Estimate:
    seeds = [seed for seed in one.seeds if seed in first.seeds]
    return seeded_bd_rate(first.curves(0, seeds), one.curves(0, seeds), draws)


def _by_quality(
    one: Finding, plain: Measured, qualities: Sequence[int], evaluation: EvaluationRecipe
) -> list[str]:
    head = [f"QP, {one.side.name}", "plain bpp", "bpp", "change of the rate"]
    head += [f"change of the distance, {judge.title}" for judge in evaluation.judges]
    rows = []
    for place, quality in enumerate(qualities):
        curves = one.curves(0)
        before = plain.curves[0].rates[:, place]
        after = [curve.rates[:, place] for curve in curves]
        row = [str(quality), f"{before.mean():.3f}", f"{np.mean(after):.3f}"]
        row.append(str(seeded_change([before] * len(after), after, evaluation.resamples)))
        for judge, anchor in enumerate(plain.curves):
            values = [curve.values[:, place] for curve in one.curves(judge)]
            base = [anchor.values[:, place]] * len(values)
            row.append(str(seeded_change(base, values, evaluation.resamples)))
        rows.append(row)
    return _grid(head, rows)


def _reasons(findings: Sequence[Finding], plain: Measured) -> list[str]:
    """Why a side has no BD-rate, in a line each."""
    found = []
    for one in findings:
        if not one.is_plain:
            curves = one.curves(0)
            estimate = seeded_bd_rate([plain.curves[0]] * len(curves), curves, 0)
            if estimate.reason:
                found.append(f"No BD-rate for *{one.side.name}*: {estimate.reason}.")
    return found


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
