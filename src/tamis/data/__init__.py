"""Photos with what is known of them: folders, datasets, and the samples other packages carry."""

from tamis.data.annotations import Annotations, Label
from tamis.data.datasets import open_dataset, open_datasets
from tamis.data.folders import PHOTO_SUFFIXES, labels_of, list_photos, load_photo
from tamis.data.samples import sample_photos
from tamis.data.sources import LabelledPhoto

__all__ = [
    "PHOTO_SUFFIXES",
    "Annotations",
    "Label",
    "LabelledPhoto",
    "labels_of",
    "list_photos",
    "load_photo",
    "open_dataset",
    "open_datasets",
    "sample_photos",
]
