"""The sample photos are there without a download."""

from tamis.codecs import Image


def test_there_are_seven_colour_photos(named_photos: dict[str, Image]) -> None:
    assert len(named_photos) == 7
    for photo in named_photos.values():
        assert photo.dtype == "uint8"
        assert photo.shape[2] == 3
        assert min(photo.shape[:2]) >= 300
        assert photo.std() > 20
