"""Datasets by name: folders, COCO, WebDataset shards and Hugging Face, all as labelled photos."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tamis.data.coco import read_coco
from tamis.data.folders import labels_of, list_photos
from tamis.data.hub import Table, table_photos
from tamis.data.shards import shard_photos
from tamis.data.sources import FileSource, LabelledPhoto
from tamis.errors import TamisError, UnknownNameError
from tamis.spec import Spec


def open_dataset(spec: Path | str) -> list[LabelledPhoto]:
    """The photos of a dataset with what is known of them, in a fixed order.

    Args:
        spec: a photo or a folder, labelled where ImageNet named its files;
            `coco:FOLDER[:labels=FILE.json+FILE.json]`;
            `webdataset:SHARD-{000..003}.tar[:label=cls]`;
            `hf:NAME[:split=validation][:config=NAME][:image=image][:label=label]`.

    Raises:
        TamisError: it does not exist, has no photos, or its labels cannot be read.
        UnknownNameError: there is no such kind of dataset.
    """
    text = str(spec)
    kind, colon, _ = text.partition(":")
    if not colon or Path(spec).exists():
        return folder_photos(spec)
    if kind not in DATASETS:
        raise UnknownNameError("dataset or photo", kind, DATASETS)
    return DATASETS[kind](Spec.parse(text))


def open_datasets(
    specs: Path | str | LabelledPhoto | Iterable[Path | str | LabelledPhoto],
) -> list[LabelledPhoto]:
    """The photos of one or several datasets; labelled photos pass through."""
    if isinstance(specs, str | Path | LabelledPhoto):
        specs = [specs]
    return [
        photo
        for spec in specs
        for photo in ([spec] if isinstance(spec, LabelledPhoto) else open_dataset(spec))
    ]


def folder_photos(folder: Path | str) -> list[LabelledPhoto]:
    """A photo, or those of a folder; classes where names hold ImageNet's ids."""
    paths = list_photos(folder)
    return [
        LabelledPhoto(FileSource(path), label)
        for path, label in zip(paths, labels_of(paths), strict=True)
    ]


def coco_photos(folder: Path | str, labels: Sequence[Path | str] = ()) -> list[LabelledPhoto]:
    """The photos of `folder` that COCO's annotation files list, in the order of their names.

    Args:
        folder: of the photos.
        labels: the JSON files; by default those that lie where COCO puts them,
            `../annotations/instances_FOLDER.json` and `person_keypoints_FOLDER.json`.

    Raises:
        TamisError: no annotations, or none of a photo in the folder.
    """
    folder = Path(folder)
    files = list(labels) or _usual_labels(folder)
    marked = read_coco(files)
    photos = [
        LabelledPhoto(FileSource(path), found)
        for path in list_photos(folder)
        if (found := marked.get(path.relative_to(folder).as_posix(), marked.get(path.name)))
        is not None
    ]
    if not photos:
        raise TamisError(f"{', '.join(map(str, files))}: of no photo in {folder}")
    return photos


def _usual_labels(folder: Path) -> list[Path]:
    beside = folder.resolve().parent / "annotations"
    names = [f"{kind}_{folder.resolve().name}.json" for kind in ("instances", "person_keypoints")]
    found = [beside / name for name in names if (beside / name).is_file()]
    if not found:
        raise TamisError(
            f"no annotations at {beside / names[0]}; say where: coco:{folder}:labels=FILE.json"
        )
    return found


def _coco(spec: Spec) -> list[LabelledPhoto]:
    if spec.value is None or set(spec.options) - {"labels"}:
        raise TamisError("COCO is written coco:FOLDER_OF_PHOTOS[:labels=FILE.json+FILE.json]")
    return coco_photos(spec.value, [x for x in spec.options.get("labels", "").split("+") if x])


def _webdataset(spec: Spec) -> list[LabelledPhoto]:
    if spec.value is None or set(spec.options) - {"label"}:
        raise TamisError("shards are written webdataset:SHARD-{000..003}.tar[:label=cls]")
    return shard_photos(spec.value, spec.options.get("label", "cls"))


def _hugging_face(spec: Spec) -> list[LabelledPhoto]:
    options = dict(spec.options)
    if spec.value is None or set(options) - {"split", "config", "image", "label"}:
        raise TamisError(
            "a Hugging Face dataset is written "
            "hf:NAME[:split=validation][:config=NAME][:image=image][:label=label]"
        )
    table = Table(
        spec.value,
        options.get("split", "validation"),
        options.get("config"),
        options.get("image", "image"),
    )
    return table_photos(table, options.get("label"))


DATASETS: dict[str, Callable[[Spec], list[LabelledPhoto]]] = {
    "coco": _coco,
    "hf": _hugging_face,
    "webdataset": _webdataset,
}
"""The kinds of dataset that a spec names; everything else is a path."""
