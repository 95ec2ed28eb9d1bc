"""JPEG: the smallest standard file, and other people's files of every colour kind."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.codecs.jpeg import Jpeg, jpeg_scale
from tamis.errors import CorruptFileError, LimitError


@pytest.fixture(scope="module")
def photo(named_photos: dict[str, Image]) -> Image:
    return next(iter(named_photos.values()))[40:200, 30:254]


def written(picture: PillowImage.Image, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_best_is_the_smaller_of_both_kinds(photo: Image, subsampling: str) -> None:
    kept = set()
    for image in (photo, photo[:16, :16], photo[:5, :3]):
        for quality in (5, 30, 95):
            one, two, best = (
                Jpeg(subsampling, kind).encode(image, quality)  # type: ignore[arg-type]
                for kind in (True, False, "best")
            )
            assert best in (one, two)
            assert len(best) == min(len(one), len(two))
            kept.add(best == one)
    assert kept == {True, False}  # neither kind always wins, so both have to be tried


def test_both_kinds_show_the_same_picture(photo: Image) -> None:
    kinds = [Jpeg(progressive=kind) for kind in (True, False)]
    one, two = (kind.decode(kind.encode(photo, 30)) for kind in kinds)
    assert np.array_equal(one, two)


def test_it_is_never_larger_than_what_pillow_writes_by_default(photo: Image) -> None:
    plain = written(PillowImage.fromarray(photo), quality=40)
    ours = Jpeg().encode(photo, 40)
    assert len(ours) < 0.97 * len(plain)
    assert np.array_equal(Jpeg().decode(ours), Jpeg().decode(plain))


def test_the_tables_are_those_of_the_quality(photo: Image) -> None:
    for quality in (10, 50, 75):
        with PillowImage.open(io.BytesIO(Jpeg().encode(photo, quality))) as picture:
            first = picture.quantization[0][0]  # type: ignore[attr-defined]
        assert first == max(1, int(16 * jpeg_scale(quality) + 0.5))


def test_grey_files_decode_to_three_equal_channels(photo: Image) -> None:
    decoded = Jpeg().decode(written(PillowImage.fromarray(photo).convert("L"), quality=95))
    assert decoded.shape == photo.shape
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


def test_cmyk_files_decode_to_the_colours_they_show(photo: Image) -> None:
    decoded = Jpeg().decode(written(PillowImage.fromarray(photo).convert("CMYK"), quality=95))
    assert np.abs(decoded.astype(int) - photo).mean() < 3


def test_exif_does_not_disturb_the_stored_pixels(photo: Image) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # shown rotated; a codec returns the pixels as stored
    picture = PillowImage.fromarray(photo)
    assert np.array_equal(
        Jpeg().decode(written(picture, exif=exif)), Jpeg().decode(written(picture))
    )


def test_twelve_bit_files_are_refused(photo: Image) -> None:
    file = bytearray(Jpeg(progressive=False).encode(photo))
    at = file.index(b"\xff\xc0")
    file[at + 1], file[at + 4] = 0xC1, 12
    with pytest.raises(CorruptFileError):
        Jpeg().decode(bytes(file))


@pytest.mark.parametrize("progressive", [True, False])
def test_every_truncation_is_refused(photo: Image, progressive: bool) -> None:
    codec = Jpeg(progressive=progressive)
    file = codec.encode(photo[:40, :40])
    for length in range(len(file)):
        with pytest.raises(CorruptFileError):
            codec.decode(file[:length])


def test_the_announced_size_is_checked_first(photo: Image) -> None:
    file = bytearray(Jpeg(progressive=False).encode(photo))
    at = file.index(b"\xff\xc0")
    file[at + 5 : at + 9] = b"\xff\x00\xff\x00"
    with pytest.raises(LimitError, match="65280x65280"):
        Jpeg().decode(bytes(file))


def test_pictures_over_pillows_own_limit_are_fine(
    photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 1000)
    assert Jpeg().decode(Jpeg().encode(photo)).shape == photo.shape
