"""Everything that is counted and summed over patches, in one object that merges with its like.

Four fields are looked at in the same way: `y`, the latent before quantization; `y_hat`, what is
transmitted; `residual`, y_hat - mean, what prediction leaves; and `normalized`, the residual over
the predicted scale. A model that predicts no mean has the first two only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from tamis.analysis.information import Counts, joint_counts, quantile_edges
from tamis.analysis.moments import Array, Moments
from tamis.analysis.places import Drawn, Places
from tamis.analysis.sources import LatentSample

Fields = Mapping[str, Array]

SYMBOLS = 512
"""Rounded values are counted from -SYMBOLS to SYMBOLS; what lies beyond counts at the ends."""


@dataclass(frozen=True)
class Pilot:
    """What is fixed from a first look at some patches, before counting starts.

    Attributes:
        edges: of histogram bins for each field, `(M, bins - 1)`.
        centre: a value inside the range of each channel of y, `(M, 1)`; powers are taken from it.
    """

    edges: dict[str, Array]
    centre: Array

    @classmethod
    def of(cls, fields: Fields) -> "Pilot":
        """From fields `(patches, M, H, W)`."""
        edges = {name: quantile_edges(_by_channel(field)) for name, field in fields.items()}
        return cls(edges, _by_channel(fields["y"]).mean(1, keepdims=True))


def fields_of(sample: LatentSample) -> dict[str, Array]:
    """The fields that a sample allows, float64 `(N, M, H, W)`."""
    y = as_array(sample.y)
    y_hat = np.round(y) if sample.y_hat is None else as_array(sample.y_hat)
    fields = {"y": y, "y_hat": y_hat}
    if sample.mean is not None:
        fields["residual"] = y_hat - as_array(sample.mean)
        if sample.scale is not None:
            fields["normalized"] = fields["residual"] / as_array(sample.scale)
    return fields


def as_array(tensor: torch.Tensor) -> Array:
    """A tensor of any kind and device as float64."""
    return tensor.detach().cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class Tally:
    """Sums over patches.

    Attributes:
        moments: by kind and field, such as `pairs/y`; kinds are `pairs` `(M, offsets, 2)`,
            `chance` (adjacent pairs of strangers) `(shifts, M, 2)`, `channels` `(M)`,
            `neighbours` `(M, 1 + window)`; also `rate` (bits) and `powers` (y and its square).
        counts: `joint/FIELD` and `strangers/FIELD` `(M, bins, bins)`, `symbols` `(M, values)`.
    """

    moments: dict[str, Moments]
    counts: dict[str, Counts]

    @classmethod
    def of_block(
        cls,
        fields: Fields,
        likelihoods: Array | None,
        photos: Sequence[int],
        drawn: Sequence[Drawn],
        pilot: Pilot,
        shifts: int,
    ) -> "Tally":
        """Count a block of patches.

        Args:
            fields: `(patches, M, H, W)` each.
            likelihoods: of y_hat, `(patches, M, H, W)`, or None.
            photos: the photo each patch is from.
            drawn: the positions in each patch.
            pilot: bins and centres.
            shifts: how often each patch is paired with a stranger.
        """
        moments: dict[str, Moments] = {}
        counts: dict[str, Counts] = {}
        side = fields["y"].shape[-1]
        places = Places.of(drawn, photos, side * side, shifts)
        for name, field in fields.items():
            flat = _by_channel(field)
            if places.windows is not None:
                moments[f"neighbours/{name}"] = Moments.of(flat[:, places.windows])
            if name == "y_hat":
                continue
            moments[f"channels/{name}"] = Moments.of(flat)
            moments[f"pairs/{name}"] = Moments.of(flat[:, places.pairs])
            strangers = [Moments.of(flat[:, ends]) for ends in places.strangers]
            moments[f"chance/{name}"] = Moments.stack(strangers)
            for kind, (first, second) in (
                ("joint", places.adjacent),
                ("strangers", places.strangers[0]),
            ):
                edges = pilot.edges[name]
                counts[f"{kind}/{name}"] = joint_counts(flat[:, first], flat[:, second], edges)
        centred = _by_channel(fields["y"]) - pilot.centre
        moments["powers"] = Moments.of(np.stack([centred, centred**2], 1))
        counts["symbols"] = _symbols(fields["y"])
        if likelihoods is not None:
            moments["rate"] = Moments.of(-np.log2(_by_channel(likelihoods))[:, None])
        return cls(moments, counts)

    @classmethod
    def empty(cls, like: "Tally", groups: int) -> "Tally":
        """Nothing counted yet, with a first axis of `groups` before every shape."""
        return cls(
            {name: Moments.none(moments, groups) for name, moments in like.moments.items()},
            {
                name: np.zeros((groups, *counts.shape), np.int64)
                for name, counts in like.counts.items()
            },
        )

    def add(self, group: int, block: "Tally") -> None:
        """Count a block in one of the groups, in place."""
        for name, moments in self.moments.items():
            merged = moments[group].merge(block.moments[name])
            moments.count[group] = merged.count
            moments.mean[group] = merged.mean
            moments.scatter[group] = merged.scatter
        for name, counts in self.counts.items():
            counts[group] += block.counts[name]

    def pooled(self, weights: Array | None = None) -> "Tally":
        """All groups as one, each counted `weights` times, `(groups,)`."""
        weighted = np.ones(self.groups) if weights is None else weights
        return Tally(
            {name: moments.pooled(weighted) for name, moments in self.moments.items()},
            {
                name: np.tensordot(weighted, counts, 1).astype(np.int64)
                for name, counts in self.counts.items()
            },
        )

    @property
    def groups(self) -> int:
        """Length of the first axis."""
        return len(self.counts["symbols"])

    @property
    def filled(self) -> npt.NDArray[np.intp]:
        """Groups in which something was counted."""
        return np.flatnonzero(self.counts["symbols"].any((1, 2)))

    @property
    def fields(self) -> list[str]:
        """Names of the fields."""
        return [name.split("/")[1] for name in self.counts if name.startswith("joint/")]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything as arrays by name, for `numpy.savez`."""
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for name, moments in self.moments.items():
            for part in ("count", "mean", "scatter"):
                arrays[f"moments:{name}:{part}"] = getattr(moments, part)
        return arrays | {f"counts:{name}": counts for name, counts in self.counts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "Tally":
        """The inverse of `arrays`; other names are passed over."""
        parts: dict[str, dict[str, Array]] = {}
        counts: dict[str, Counts] = {}
        for key, array in arrays.items():
            kind, _, rest = key.partition(":")
            if kind == "moments":
                name, _, part = rest.partition(":")
                parts.setdefault(name, {})[part] = array.astype(np.float64)
            elif kind == "counts":
                counts[rest] = array.astype(np.int64)
        return cls({name: Moments(**part) for name, part in parts.items()}, counts)


def _by_channel(field: Array) -> Array:
    """`(patches, M, H, W)` to `(M, patches * H * W)`."""
    return field.swapaxes(0, 1).reshape(field.shape[1], -1)


def _symbols(y: Array) -> Counts:
    """How often each rounded value occurs, `(M, 2 * SYMBOLS + 1)`."""
    values = np.clip(np.round(_by_channel(y)), -SYMBOLS, SYMBOLS).astype(np.int64) + SYMBOLS
    width = 2 * SYMBOLS + 1
    values += np.arange(len(values))[:, None] * width
    return np.bincount(values.ravel(), minlength=len(values) * width).reshape(-1, width)
