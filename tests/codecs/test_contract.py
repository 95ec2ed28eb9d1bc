"""Every codec keeps the same promises."""

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.codecs import Codec, Image, bpp, decode, get_codec, list_codecs, sniff
from tamis.codecs.registry import CODECS
from tamis.errors import CodecError, CorruptFileError, LimitError, TamisError

FAST = {"vvc": "vvc:preset=faster", "bpg": "bpg:preset=fast", "avif": "avif:speed=8"}
SIZES = [(1, 1), (1, 7), (17, 31), (33, 64)]


@pytest.fixture(params=list(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    return get_codec(FAST.get(request.param, request.param))


@pytest.fixture(scope="session")
def crop(named_photos: dict[str, Image]) -> Image:
    """A 96 x 128 piece of a photo."""
    photo = next(iter(named_photos.values()))
    return photo[60:156, 80:208]


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(PillowImage.fromarray(image).resize((width, height)))


def psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_every_codec_works_in_this_environment() -> None:
    assert list_codecs()[: len(CODECS)] == list(CODECS)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_any_size_comes_back_exactly_or_is_refused_with_the_limit(
    codec: Codec, crop: Image, width: int, height: int
) -> None:
    image = resized(crop, width, height)
    try:
        file = codec.encode(image, codec.quality.ladder[-1])
    except CodecError as error:
        assert re.search(rf"sides from \d+ pixels.*{width}x{height}", str(error))
        return
    decoded = codec.decode(file)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int).mean((0, 1)) - image.mean((0, 1))).max() < 12


def test_a_long_thin_picture_works(codec: Codec, crop: Image) -> None:
    image = resized(crop, 8192, 16)
    decoded = codec.decode(codec.encode(image))
    assert decoded.shape == image.shape
    assert psnr(decoded, image) > 25


def test_grey_pictures_come_back_grey(codec: Codec, crop: Image) -> None:
    grey = crop[..., 1]
    decoded = codec.decode(codec.encode(grey, codec.quality.ladder[-1]))
    assert decoded.shape == (*grey.shape, 3)
    assert np.abs(np.ptp(decoded.astype(int), axis=2)).max() <= 4
    assert psnr(decoded[..., 1], grey) > 32


def test_the_ladder_climbs_in_rate_and_in_fidelity(codec: Codec, crop: Image) -> None:
    files = [codec.encode(crop, quality) for quality in codec.quality.ladder]
    rates = [bpp(file, crop) for file in files]
    assert rates == sorted(rates)
    assert rates[-1] > 3 * rates[0]
    fidelity = [psnr(codec.decode(file), crop) for file in files]
    assert fidelity[-1] > fidelity[len(fidelity) // 2] > fidelity[0]
    assert fidelity[-1] > 30


def test_the_scale_is_consistent(codec: Codec) -> None:
    scale = codec.quality
    assert all(scale.low <= quality <= scale.high for quality in (*scale.ladder, scale.default))
    assert list(scale.ladder) == sorted(scale.ladder, reverse=not scale.ascending)
    assert scale.unit in {"quality", "QP"}


def test_the_ends_of_the_scale_encode(codec: Codec, crop: Image) -> None:
    small = crop[:32, :48]
    for quality in (codec.quality.low, codec.quality.high):
        assert codec.decode(codec.encode(small, quality)).shape == small.shape


def test_a_finer_step_means_a_higher_rate(codec: Codec) -> None:
    steps = [codec.step(quality) for quality in codec.quality.ladder]
    if None in steps:
        assert set(steps) == {None}
    else:
        assert steps == sorted(steps, reverse=True)  # type: ignore[type-var]


def test_the_same_picture_gives_the_same_file(codec: Codec, crop: Image) -> None:
    assert codec.encode(crop) == codec.encode(crop.copy())


def test_its_files_are_recognized_by_it_alone(codec: Codec, crop: Image) -> None:
    file = codec.encode(crop[:32, :32])
    assert [name for name, cls in CODECS.items() if cls.recognizes(file[:64])] == [codec.name]
    assert sniff(file).name == codec.name
    assert np.array_equal(decode(file), codec.decode(file))


@pytest.mark.parametrize("share", [0.03, 0.3, 0.7, 0.95])
def test_a_truncated_file_is_refused(codec: Codec, crop: Image, share: float) -> None:
    file = codec.encode(crop)
    with pytest.raises(CorruptFileError):
        codec.decode(file[: int(share * len(file))])


def test_bytes_of_no_format_are_refused(codec: Codec) -> None:
    for data in (b"", b"\0", b"not a picture at all, by any means", bytes(1000)):
        with pytest.raises(CorruptFileError, match="do not begin like"):
            codec.decode(data)


def test_what_is_not_an_image_is_refused(codec: Codec, crop: Image) -> None:
    for wrong in (crop.astype(np.float32), crop[:, :, :2], crop[:0], crop[None], [[1]]):
        with pytest.raises(CodecError, match="uint8 array"):
            codec.encode(wrong)  # type: ignore[arg-type]


def test_a_quality_off_the_scale_is_refused(codec: Codec, crop: Image) -> None:
    for wrong in (codec.quality.low - 1, codec.quality.high + 1, 20.5):
        with pytest.raises(CodecError, match=codec.name):
            codec.encode(crop, wrong)  # type: ignore[arg-type]


def test_a_side_over_the_limit_is_refused_with_the_limit(codec: Codec) -> None:
    with pytest.raises(LimitError, match=str(codec.max_side)):
        codec.encode(np.zeros((1, codec.max_side + 1, 3), np.uint8))


@pytest.mark.parametrize("name", sorted(set(CODECS) - {"bpg", "jxl"}))
def test_ffmpeg_shows_the_same_picture(name: str, crop: Image, tmp_path: Path) -> None:
    """FFmpeg has decoders of its own for these; its chroma interpolation may differ from ours."""
    codec = get_codec(FAST.get(name, name))
    smooth = resized(resized(crop, 8, 6), 128, 96)
    path = tmp_path / f"picture{codec.suffix}"
    path.write_bytes(codec.encode(smooth, codec.quality.ladder[-1]))
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-sws_flags",
         "accurate_rnd+full_chroma_int", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    theirs = np.frombuffer(done.stdout, np.uint8).reshape(smooth.shape).astype(int)
    ours = codec.decode(path.read_bytes()).astype(int)
    assert np.abs(theirs - ours).max() <= 6
    assert np.abs(theirs - ours).mean() < 1


def test_errors_are_one_line(codec: Codec, crop: Image) -> None:
    file = codec.encode(crop)
    with pytest.raises(TamisError) as caught:
        codec.decode(file[: len(file) // 2])
    assert "\n" not in str(caught.value)
