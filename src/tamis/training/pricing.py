"""A run's price list: the plain codecs' curves, measured once and kept, and the lambdas."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tamis.codecs import Image, get_codec
from tamis.mirror import write_whole
from tamis.training.ensemble import Ensemble, Labels
from tamis.training.lagrangian import PlainCurve, measure_curve
from tamis.training.recipe import Recipe

CURVES = "curves.json"


def plain_curves(
    folder: Path,
    recipe: Recipe,
    held_out: Sequence[Image],
    ensemble: Ensemble,
    labels: Labels | None = None,
) -> dict[str, PlainCurve]:
    """The plain codecs' curves on the held-out photos: measured once, then read from the folder."""
    path = folder / CURVES
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["recipe"] == recipe.fingerprint():
            return {
                spec: PlainCurve(*(tuple(c[k]) for k in ("qualities", "rates", "distances")))
                for spec, c in stored["curves"].items()
            }
    curves = {
        entry.spec: measure_curve(
            get_codec(entry.spec),
            entry.qualities,
            held_out,
            ensemble,
            recipe.threads,
            labels,
        )
        for entry in recipe.codecs
    }
    stored = {
        "recipe": recipe.fingerprint(),
        "photos": len(held_out),
        "curves": {spec: vars(curve) for spec, curve in curves.items()},
        "lambda": {f"{s} {q}": value for (s, q), value in lambdas(recipe, curves).items()},
    }
    write_whole(path, json.dumps(stored, indent=1).encode())
    return curves


def lambdas(recipe: Recipe, curves: Mapping[str, PlainCurve]) -> dict[tuple[str, int], float]:
    """bpp per unit of task distance, by codec spec and quality: the recipe's, or the slope."""
    return {
        (entry.spec, quality): entry.lambda_scale
        * (curves[entry.spec].slope(quality) if entry.lambda_ == "auto" else entry.lambda_[quality])
        for entry in recipe.codecs
        for quality in entry.qualities
    }
