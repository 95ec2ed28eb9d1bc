"""Small real tasks: an image is told from reference photos by its colours, or by some of them."""

from typing import ClassVar

import numpy as np
import skimage.data

from tamis.data import Annotations
from tamis.tasks import ClassifyWith, Measure
from tamis.tasks.pixels import centre_crop, resize


def histogram(image):
    """Share of pixels in each of 4x4x4 colour cells, at two by two places of the picture."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    cells = []
    for y in (0, height):
        for x in (0, width):
            part = image[y : y + height, x : x + width] // 64
            index = part[..., 0] * 16 + part[..., 1] * 4 + part[..., 2]
            cells.append(np.bincount(index.ravel(), minlength=64) / index.size)
    return np.concatenate(cells)


REFERENCE = np.stack(
    [
        histogram(read())
        for read in (skimage.data.astronaut, skimage.data.coffee, skimage.data.rocket)
    ]
)


def scores(images):
    """Minus 20 times the L1 distance of the colours to each reference photo's, `(N, 3)`."""
    return [-20 * np.abs(REFERENCE - histogram(image)).sum(axis=1) for image in images]


def colour_task(name="colours", size=176):
    return ClassifyWith(scores, size=size, name=name)


class Pooled:
    """The colour task with measures of a set: the mean, which can be checked, and the median."""

    pooled: ClassVar = {
        "mean_kl": Measure(False, True, "mean divergence"),
        "median_kl": Measure(False, True, "median divergence"),
        "mean_error": Measure(False, True, "error against labels"),
    }

    def __init__(self, name="pooled"):
        self.task = colour_task(name)
        self.name, self.measures = self.task.name, self.task.measures
        self.prepare, self.predict, self.score = (
            self.task.prepare,
            self.task.predict,
            self.task.score,
        )

    def records(self, predictions, reference, labels=None):
        kl = self.score(predictions, reference, labels)["kl"]
        # Records have any length: a label is there or not.
        return [
            np.array([k] if label is None else [k, label], np.float32)
            for k, label in zip(kl, labels or [None] * len(kl), strict=True)
        ]

    def pool(self, records):
        kl = np.array([record[0] for record in records], np.float64)
        errors = [record[1] - record[0] for record in records if len(record) == 2]
        return {
            "mean_kl": float(kl.mean()),
            "median_kl": float(np.median(kl)),
            "mean_error": float(np.mean(errors)) if errors else float("nan"),
        }


class Boxes:
    """Tells the colours of a grid of 8x8 places; scored where somebody marked a box."""

    measures: ClassVar = {
        "change": Measure(False, True, "change of the colours"),
        "marked": Measure(False, True, "change of the colours in marked boxes"),
    }

    def __init__(self, crop=False):
        self.crop = crop
        self.name = "boxes:crop" if crop else "boxes"

    def prepare(self, image):
        return centre_crop(image, 96, 0.875) if self.crop else resize(image, 96, 96)

    def predict(self, images):
        return np.stack([resize(image, 8, 8).ravel() for image in images]).astype(np.float32)

    def score(self, predictions, reference, labels=None):
        change = np.abs(predictions - reference).reshape(-1, 8, 8, 3).mean(axis=3)
        marked = [
            np.nan if not isinstance(label, Annotations) else float(self._in(label, one))
            for label, one in zip(labels or [None] * len(change), change, strict=True)
        ]
        return {"change": change.mean(axis=(1, 2)), "marked": np.array(marked)}

    def _in(self, label, change):
        left, top, right, bottom = np.clip((label.boxes[0] * 8).astype(int), 0, 7)
        return change[top : bottom + 1, left : right + 1].mean()
