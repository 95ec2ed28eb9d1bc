"""Photos as arrays: folders of files, and the samples that other packages carry."""

from tamis.data.folders import PHOTO_SUFFIXES, labels_of, list_photos, load_photo
from tamis.data.samples import sample_photos

__all__ = ["PHOTO_SUFFIXES", "labels_of", "list_photos", "load_photo", "sample_photos"]
