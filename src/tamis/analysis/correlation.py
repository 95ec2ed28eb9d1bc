"""The correlation analysis of a learned codec's latents, from photos to numbers on disk.

Source: Lee, Jeong, Choi 2019. `docs/how-to/analyze-correlation.md` says what is pooled and why.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tamis.analysis.findings import Finding, absolute_interval, findings
from tamis.analysis.information import mutual_information
from tamis.analysis.jackknife import Estimate, estimate
from tamis.analysis.measures import (
    AFTER,
    BEFORE,
    HIGH,
    Mask,
    Measures,
    active,
    chance_level,
    shape,
)
from tamis.analysis.pairs import Offset, offsets
from tamis.analysis.patches import Patches, Small
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.sources import identity, open_source
from tamis.analysis.tally import Tally
from tamis.data import list_photos
from tamis.mirror import Progress

STATE = "state.npz"


@dataclass(frozen=True)
class Correlation:
    """What was measured of one model.

    Attributes:
        name: of the model.
        tally: sums by group of photos.
        facts: the settings, for whoever reads the numbers later.
    """

    name: str
    tally: Tally
    facts: dict[str, Any]

    @cached_property
    def pooled(self) -> Tally:
        """The tally of all groups together."""
        return self.tally.pooled()

    @cached_property
    def alive(self) -> Mask:
        """The active channels, `(M,)`."""
        return active(self.pooled)

    @cached_property
    def density(self) -> float:
        """Latent positions per pixel."""
        pixels = int(self.facts["patches"]) * int(self.facts["size"]) ** 2
        return float(self.pooled.moments["channels/y"].count) / pixels

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Everything that has an interval; see `Measures`."""
        return estimate(self.tally, Measures(self.alive, self.density))

    @property
    def fields(self) -> list[str]:
        """`y`, and `residual` and `normalized` where the model has them."""
        return self.pooled.fields

    @property
    def predicts(self) -> bool:
        """Whether the model predicts a mean, so that there is an "after"."""
        return AFTER in self.fields

    @cached_property
    def findings(self) -> list[Finding]:
        """The published findings, tested."""
        return findings(self.estimates, self.alive)

    def absolute(self, field: str) -> npt.NDArray[np.float64]:
        """|r| of adjacent values, `(M,)`."""
        return np.abs(np.tanh(self.estimates[f"fisher/{field}"].value))

    def high(self, field: str) -> int:
        """Number of channels with |r| above 0.3."""
        return int((self.absolute(field) > HIGH).sum())

    @property
    def offsets(self) -> list[Offset]:
        """Directions and distances, in the order of `distance/F`."""
        places = len(self.pooled.moments[f"pairs/{BEFORE}"].mean[0])
        return offsets(9)[:places]

    @cached_property
    def channels(self) -> pl.DataFrame:
        """One row per channel; see the how-to for the columns."""
        columns: dict[str, Any] = {"channel": np.arange(len(self.alive)), "active": self.alive}
        for field in self.fields:
            fisher = self.estimates[f"fisher/{field}"]
            low, high = absolute_interval(fisher)
            columns |= {
                f"r_{field}": np.tanh(fisher.value),
                f"abs_r_low_{field}": low,
                f"abs_r_high_{field}": high,
                f"abs_r_chance_{field}": chance_level(self.tally, field),
                f"mutual_information_{field}": self.estimates[f"information/{field}"].value,
                f"mutual_information_error_{field}": self.estimates[f"information/{field}"].error,
                f"mutual_information_chance_{field}": mutual_information(
                    self.pooled.counts[f"strangers/{field}"]
                ),
            }
        for name in ("rate", "gain/y_hat", "gain/residual", "gain/normalized", "entropy"):
            if name in self.estimates:
                columns[name.replace("/", "_")] = self.estimates[name].value
        return pl.DataFrame(columns | dict(shape(self.pooled)))

    @cached_property
    def distances(self) -> pl.DataFrame:
        """|r| by field, direction, distance: the mean over active channels and its interval."""
        rows = []
        for field in self.fields:
            means = self.estimates[f"distance/{field}"]
            low, high = means.interval()
            for i, offset in enumerate(self.offsets):
                numbers = (float(means.value[i]), float(low[i]), float(high[i]))
                rows.append((field, offset.direction, offset.distance, *numbers))
        names = ["field", "direction", "distance", "mean_abs_r", "low", "high"]
        return pl.DataFrame(rows, schema=names, orient="row")

    @cached_property
    def offset_table(self) -> pl.DataFrame:
        """r by field, direction, distance and channel."""
        parts = []
        for field in self.fields:
            far = self.pooled.moments[f"pairs/{field}"].correlation()[..., 0, 1]
            for i, offset in enumerate(self.offsets):
                columns = {"channel": np.arange(len(far)), "r": far[:, i]}
                named = [pl.lit(field).alias("field"), pl.lit(offset.direction).alias("direction")]
                named.append(pl.lit(offset.distance).alias("distance"))
                parts.append(pl.DataFrame(columns).select(*named, "channel", "r"))
        return pl.concat(parts)

    @cached_property
    def pair_table(self) -> pl.DataFrame:
        """r between channels at one position, by field and pair of channels."""
        first, second = np.triu_indices(len(self.alive), 1)
        columns: dict[str, Any] = {"first": first, "second": second}
        for field in self.fields:
            found = self.estimates[f"cross/{field}"]
            columns[f"r_{field}"] = found.value[first, second]
            columns[f"error_{field}"] = found.error[first, second]
        return pl.DataFrame(columns)

    def summary(self) -> pl.DataFrame:
        """Every single number with its interval."""
        rows = []
        for name, found in self.estimates.items():
            if found.value.ndim == 0:
                low, high = found.interval()
                numbers = (float(found.value), float(low), float(high))
                rows.append((name, *numbers))
        return pl.DataFrame(rows, schema=["name", "value", "low", "high"], orient="row")

    def save(self, folder: Path) -> None:
        """Write the tables as CSV and every number with its error as `numbers.npz`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.channels.write_csv(folder / "channels.csv")
        self.distances.write_csv(folder / "distances.csv")
        self.offset_table.write_csv(folder / "offsets.csv")
        self.pair_table.write_csv(folder / "inter-channel.csv")
        self.summary().write_csv(folder / "summary.csv")
        rows = [asdict(finding) | {"verdict": finding.verdict} for finding in self.findings]
        pl.DataFrame(rows).write_csv(folder / "findings.csv")
        arrays: dict[str, Any] = {"active": self.alive, "facts": json.dumps(self.facts)}
        for name, found in self.estimates.items():
            arrays |= {f"{name}:value": found.value, f"{name}:error": found.error}
        for field in self.fields:
            far = self.pooled.moments[f"pairs/{field}"].correlation()[..., 0, 1]
            arrays[f"offsets/{field}:value"] = far
        np.savez_compressed(folder / "numbers.npz", **arrays)


def analyze_correlation(
    model: object,
    photos: Path | str | Sequence[Path],
    out: Path | str,
    *,
    name: str | None = None,
    patches: int = 5000,
    pairs: int = 200,
    size: int = 512,
    small: Small = "reflect",
    seed: int = 0,
    workers: int | None = 1,
    progress: Progress = lambda done, total: None,
) -> Correlation:
    """Measure the correlation that is left in a model's latents; write numbers, figures, report.

    A call that was killed goes on where it stopped when it is made again.

    Args:
        model: a model directory or name, a model of ours or of CompressAI, or a function of images
            `(N, 3, H, W)` that returns a `LatentSample`.
        photos: a folder, or files.
        out: folder to write to.
        name: of the model in figures; None takes it from the model.
        patches: random patches of the photos.
        pairs: adjacent pairs in each.
        size: side of a patch in pixels, a multiple of 64.
        small: what is done with smaller photos.
        seed: of patches and pairs.
        workers: processes; None is one for each core.
        progress: told patches done and patches in all.

    Raises:
        TamisError: an unusable model, no photos, settings out of range, or an `out` that holds
            another analysis.
    """
    from tamis.analysis.report import write_report

    source = open_source(model)
    files = list_photos(photos) if isinstance(photos, str | Path) else list(photos)
    chosen = Patches(tuple(files), patches, size, small, seed)
    protocol = Protocol(source, chosen, pairs)
    folder = Path(out)
    tally = measure(protocol, folder / STATE, workers=workers, progress=progress)
    called = name or name_of(model)
    facts = {
        "model": called,
        "weights": identity(source),
        "photos": len(files),
        "groups": chosen.groups,
        "patches": patches,
        "pairs": pairs,
        "size": size,
        "small": small,
        "seed": seed,
    }
    result = Correlation(called, tally, facts)
    result.save(folder)
    write_report(result, folder)
    return result


def name_of(model: object) -> str:
    """A short name: of a directory its last part, of a model or a function its own."""
    if isinstance(model, str | Path):
        return Path(model).name or str(model)
    return str(getattr(model, "name", None) or getattr(model, "__name__", type(model).__name__))
