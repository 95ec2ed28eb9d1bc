"""One unit of a sweep: filter, encode, decode, score; the only place where pixels are handled."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tamis.bench.metrics import PIXEL_MEASURES, enlarge, ms_ssim, psnr
from tamis.bench.plan import Photo, Plan, Unit
from tamis.bench.pooling import Pool
from tamis.bench.store import COLUMNS, RECORD, RunFolder
from tamis.codecs import Codec, Image, bpp, get_codec
from tamis.data.annotations import Annotations, Label
from tamis.data.sources import LabelledPhoto
from tamis.errors import TamisError
from tamis.preprocessing import get_preprocessor
from tamis.preprocessing.base import Preprocessor
from tamis.tasks import get_task
from tamis.tasks.base import Measure, PooledTask, Task
from tamis.tasks.full_reference import FullReferenceTask


@dataclass(frozen=True)
class Refusal:
    """A preprocessor that does not take this codec or quality; the sweep goes on without it."""

    reason: str


class Bench:
    """The tasks, codecs and preprocessors of a plan, made once per process.

    Raises:
        TamisError: a spec that names nothing, or a measure that would hide a column.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.run = RunFolder(folder)
        self.tasks: dict[str, Task] = {name: get_task(task) for name, task in plan.tasks.items()}
        self.codecs: dict[str, Codec] = {name: get_codec(c) for name, c in plan.codecs.items()}
        self.preprocessors: dict[str, Preprocessor] = {
            name: get_preprocessor(p) if isinstance(p, str) else p
            for name, p in plan.preprocessors.items()
        }
        self._sources: dict[str, Image] = {}
        for name, named in self.measures.items():
            own = PIXEL_MEASURES if isinstance(self.tasks[name], FullReferenceTask) else {}
            if clash := set(named) & {*COLUMNS, RECORD} - set(own):
                raise TamisError(f"{name} calls a measure '{min(clash)}', which is a column's name")

    @property
    def measures(self) -> Mapping[str, Mapping[str, Measure]]:
        """The measures of each task, those of a set after those of an image."""
        return {
            name: {**task.measures, **(task.pooled if isinstance(task, PooledTask) else {})}
            for name, task in self.tasks.items()
        }

    @property
    def absent(self) -> dict[str, str]:
        """Why measures that a task could have are left out, by words for the measure."""
        return {
            f"{measure} of {name}": reason
            for name, task in self.tasks.items()
            if isinstance(task, FullReferenceTask)
            for measure, reason in task.absent.items()
        }

    @property
    def pools(self) -> dict[str, Pool]:
        """How records become measures of a set, for the tasks that have any."""
        return {n: task.pool for n, task in self.tasks.items() if isinstance(task, PooledTask)}

    def sources(self, photos: Sequence[Photo]) -> list[Image]:
        """The photos as they are coded: whole, or cut to the first task's input."""
        known, self._sources = self._sources, {}
        for photo in photos:
            image = known.get(photo.id)
            if image is None:
                image = LabelledPhoto(photo.source).load()
                _check_view(photo, image)
                if self.plan.protocol == "model":
                    image = self.tasks[self.plan.prepared_for].prepare(image)
            self._sources[photo.id] = image
        return [self._sources[photo.id] for photo in photos]

    def refer(self, photos: Sequence[Photo]) -> None:
        """Keep what each task says of the uncompressed photos, where that is not kept yet."""
        for name, task in self.tasks.items():
            missing = [
                p for p in photos if not self.run.reference_path(self.plan, name, p.id).exists()
            ]
            if missing:
                rows = task.predict(self.sources(missing))
                for photo, row in zip(missing, rows, strict=True):
                    self.run.write_reference(self.plan, name, photo.id, row)

    def code(self, unit: Unit) -> pl.DataFrame | Refusal:
        """Code and score the photos of `unit`: one row per (photo, task).

        Raises:
            TamisError: a photo that cannot be read or coded; names the setting.
        """
        try:
            return self._code(unit)
        except TamisError as error:
            names = ", ".join(photo.name for photo in unit.photos[:3])
            where = f"{unit.codec} {unit.quality}, {unit.preprocessor}, {names} ..."
            raise TamisError(f"{where}: {error}") from error

    def _code(self, unit: Unit) -> pl.DataFrame | Refusal:
        codec = self.codecs[unit.codec]
        sources = self.sources(unit.photos)
        start = time.perf_counter()
        try:
            filtered = self.preprocessors[unit.preprocessor].batch(sources, codec, unit.quality)
        except TamisError as error:
            return Refusal(str(error))
        seconds = (time.perf_counter() - start) / len(sources)
        files = [codec.encode(image, unit.quality) for image in filtered]
        decoded = [codec.decode(data) for data in files]
        items = pl.DataFrame(
            [
                self._item(unit, photo, source, data, image, seconds)
                for photo, source, data, image in zip(
                    unit.photos, sources, files, decoded, strict=True
                )
            ],
            schema={name: kind for name, kind in COLUMNS.items() if name != "task"},
        )
        scored = [self._score(items, task, unit.photos, decoded) for task in unit.tasks]
        return pl.concat(scored, how="diagonal")

    def _item(
        self, unit: Unit, photo: Photo, source: Image, data: bytes, decoded: Image, seconds: float
    ) -> dict[str, str | int | float]:
        full = enlarge(decoded, source)
        return {
            "image": photo.name,
            "image_id": photo.id,
            "label": photo.label_name,
            "codec": unit.codec,
            "quality": unit.quality,
            "preprocessor": unit.preprocessor,
            "protocol": self.plan.protocol,
            "prepared_for": self.plan.prepared_for,
            "width": source.shape[1],
            "height": source.shape[0],
            "bytes": len(data),
            "bpp": bpp(data, source),
            "seconds_preprocess": seconds,
            "psnr": psnr(full, source),
            "ms_ssim": ms_ssim(full, source),
        }

    def _score(
        self, items: pl.DataFrame, name: str, photos: Sequence[Photo], decoded: Sequence[Image]
    ) -> pl.DataFrame:
        task = self.tasks[name]
        if isinstance(task, FullReferenceTask):
            sources = self.sources(photos)
            full = [enlarge(image, source) for image, source in zip(decoded, sources, strict=True)]
            columns = _columns(task.compare(full, sources))
        else:
            columns = self._judge(name, photos, decoded)
        rows = items.with_columns(pl.lit(name).alias("task"), *columns)
        return rows.select(*COLUMNS, *(column.name for column in columns))

    def _judge(
        self, name: str, photos: Sequence[Photo], decoded: Sequence[Image]
    ) -> list[pl.Series]:
        """What a task says of decoded pictures against what it said of the sources."""
        task = self.tasks[name]
        reference = np.stack([self.run.read_reference(self.plan, name, p.id) for p in photos])
        predictions, labels = task.predict(decoded), [self._label(photo) for photo in photos]
        columns = _columns(task.score(predictions, reference, labels))
        if isinstance(task, PooledTask):
            records = [r.tolist() for r in task.records(predictions, reference, labels)]
            columns.append(pl.Series(RECORD, records, dtype=pl.List(pl.Float32)))
        return columns

    def _label(self, photo: Photo) -> Label:
        """What is known of a photo as it is coded: places in it mean nothing in a crop of it."""
        if isinstance(photo.label, Annotations) and self.plan.protocol == "model":
            task = self.tasks[self.plan.prepared_for]
            return photo.label if _keeps_view(task, photo.label) else None
        return photo.label


def _columns(scores: Mapping[str, npt.NDArray[np.float64]]) -> list[pl.Series]:
    """Scores as columns; what is not defined for an image is null."""
    return [pl.Series(m, np.asarray(v, np.float64), nan_to_null=True) for m, v in scores.items()]


def _keeps_view(task: Task, label: Annotations) -> bool:
    """Whether `task.prepare` keeps a picture of this size whole, told from a ramp."""
    ramp = np.zeros((label.height, label.width, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, label.width)
    ramp[..., 1] = np.linspace(0, 255, label.height)[:, None]
    seen = task.prepare(ramp).astype(np.int64)
    ends = (seen[:, [0, -1], 0].mean(axis=0), seen[[0, -1], :, 1].mean(axis=1))
    return all(first < 12 and last > 243 for first, last in ends)


def _check_view(photo: Photo, image: Image) -> None:
    if isinstance(photo.label, Annotations):
        (height, width), label = image.shape[:2], photo.label
        if abs(np.log(width * label.height / (height * label.width))) > 0.02:
            raise TamisError(
                f"{photo.name} is {width}x{height}, but its annotations are of a picture of "
                f"{label.width}x{label.height}: another photo, or one turned since"
            )
