"""VVC streams: a true fixed QP, exact sizes, nothing but the picture, and the header read first."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.codecs import Image, get_codec
from tamis.codecs.hevc_bitstream import BitReader
from tamis.codecs.vvc import Vvc, _encodes_vvc, _ffmpeg
from tamis.codecs.vvc_bitstream import (
    SPS,
    SUFFIX_SEI,
    coded_size,
    nal_units,
    size_message,
    true_size,
)
from tamis.errors import CodecError, CorruptFileError, LimitError, MissingPackageError

FASTER = Vvc("faster")
ALLOWED = {7, 8, SPS, 16, 17, SUFFIX_SEI}
"""IDR pictures (7, 8), parameter sets, and our message."""


@pytest.fixture(scope="module")
def photo(named_photos: dict[str, Image]) -> Image:
    return next(iter(named_photos.values()))[100:164, 100:196]


@pytest.mark.parametrize("preset", ["faster", "fast", "medium", "slow"])
def test_a_stream_holds_the_picture_and_nothing_else(preset: str, photo: Image) -> None:
    """libvvenc's warnings go to stdout, where the stream is: none may slip in."""
    stream = Vvc(preset).encode(photo[:32, :32], 40)  # type: ignore[arg-type]
    assert stream.startswith(b"\0\0\0\1")
    assert {unit.kind for unit in nal_units(stream)} <= ALLOWED
    assert stream.isascii() is False
    assert b"onfiguration" not in stream


def test_slower_presets_pay(photo: Image) -> None:
    def cost(preset: str) -> float:
        codec = Vvc(preset)  # type: ignore[arg-type]
        file = codec.encode(photo, 37)
        error = np.mean((codec.decode(file).astype(float) - photo) ** 2)
        # Lagrangian cost in bits at the slope that HEVC and VVC encoders use, 0.57 * 2^((QP-12)/3).
        return float(8 * len(file) + photo.size * error / (0.57 * 2 ** ((37 - 12) / 3)))

    assert cost("medium") < cost("faster")


def test_the_qp_is_the_one_asked_for(photo: Image) -> None:
    """ffmpeg's trace of the slice header: no intra offset, no adaptation."""
    for qp in (22, 37):
        done = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "trace", "-f", "vvc", "-i", "pipe:0",
             "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"],
            input=FASTER.encode(photo, qp), capture_output=True, check=True,
        )  # fmt: skip
        fields: dict[str, int] = {}
        for line in done.stderr.decode(errors="replace").splitlines():
            if "trace_headers" in line and "qp" in line.lower() and "=" in line:
                name = line.split("]")[1].split()[1]
                fields[name] = int(line.rsplit("=", 1)[1])
        assert (
            26
            + fields["pps_init_qp_minus26"]
            + fields.get("ph_qp_delta", 0)
            + fields.get("sh_qp_delta", 0)
            == qp
        )
        assert fields["pps_cu_qp_delta_enabled_flag"] == 0


def test_the_stream_says_how_its_colours_are_meant(photo: Image) -> None:
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-f", "vvc", "-i", "pipe:0"],
        input=FASTER.encode(photo), capture_output=True,
    )  # fmt: skip
    assert b"yuv420p10le(tv, smpte170m/bt709/iec61966-2-1), 96x64" in done.stderr


@pytest.mark.parametrize(("width", "height"), [(96, 64), (16, 16), (18, 30)])
def test_even_sizes_pay_for_no_message(photo: Image, width: int, height: int) -> None:
    stream = FASTER.encode(photo[:height, :width])
    assert SUFFIX_SEI not in {unit.kind for unit in nal_units(stream)}
    assert next(coded_size(u.payload) for u in nal_units(stream) if u.kind == SPS) >= (8, 8)


def test_an_odd_size_costs_one_message(photo: Image) -> None:
    stream = FASTER.encode(photo[:63, :95])
    assert FASTER.decode(stream).shape == (63, 95, 3)
    padded = np.pad(photo[:63, :95], ((0, 1), (0, 1), (0, 0)), "edge")
    plain = FASTER.encode(padded)
    assert stream == plain + size_message(95, 63)
    assert np.array_equal(FASTER.decode(stream), FASTER.decode(plain)[:63, :95])


def test_a_true_size_larger_than_the_picture_is_refused(photo: Image) -> None:
    with pytest.raises(CorruptFileError, match="larger than its picture"):
        FASTER.decode(FASTER.encode(photo) + size_message(97, 64))


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_the_size_message_comes_back(width: int, height: int) -> None:
    units = list(nal_units(size_message(width, height)))
    assert [unit.kind for unit in units] == [SUFFIX_SEI]
    assert true_size(units[0].payload) == (width, height)


@given(st.binary(max_size=80))
def test_other_messages_carry_no_size(payload: bytes) -> None:
    assert true_size(payload) is None


@given(st.binary(max_size=60))
def test_any_bytes_as_parameter_set_give_a_size_or_an_error(payload: bytes) -> None:
    try:
        width, height = coded_size(payload)
    except CorruptFileError:
        return
    assert width >= 0
    assert height >= 0


def golomb(value: int) -> str:
    return f"{value + 1:b}".rjust(2 * (value + 1).bit_length() - 1, "0")


@pytest.mark.parametrize("constraints", [False, True])
@pytest.mark.parametrize("sublayers", [0, 3])
def test_the_size_is_found_behind_every_optional_part(constraints: bool, sublayers: int) -> None:
    """A parameter set spelled out field by field from the syntax tables of H.266."""
    bits = "00000000" + f"{sublayers:03b}" + "01101"
    profile = "000000100011001110"
    profile += "1" + "0" * 71 + "00000110" + "101010" if constraints else "0"
    profile += "0" * (-len(profile) % 8)
    profile += ("101" + "00000" + "00110011" * 2) if sublayers else ""
    profile += "00000001" + "1" * 32
    bits += profile + "0" + "1" + "1" + golomb(4096) + golomb(2160)
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    assert BitReader(payload).u(8) == 0
    assert coded_size(payload) == (4096, 2160)


def giant(stream: bytes) -> bytes:
    """`stream` with a parameter set that announces 65536 x 65536 pixels, written from scratch."""
    bits = "000000000000110000" + golomb(65536) * 2 + "1"
    bits += "0" * (-len(bits) % 8)
    return b"\0\0\0\1\0\x79" + int(bits, 2).to_bytes(len(bits) // 8) + stream


def test_a_giant_is_refused_before_decoding(photo: Image) -> None:
    with pytest.raises(LimitError, match="65536x65536"):
        FASTER.decode(giant(FASTER.encode(photo)))


def test_a_stream_of_two_pictures_is_refused(photo: Image) -> None:
    stream = FASTER.encode(photo)
    with pytest.raises(CorruptFileError, match="found 2"):
        FASTER.decode(stream + stream)


def test_a_stream_cut_by_a_few_bytes_is_refused(photo: Image) -> None:
    stream = FASTER.encode(photo, 30)
    for cut in (4, 10, 50):
        with pytest.raises(CorruptFileError):
            FASTER.decode(stream[:-cut])


@pytest.mark.parametrize("program", ["/no/such/ffmpeg", "/bin/true"])
def test_an_ffmpeg_without_libvvenc_is_reported(
    program: str, photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", program)
    for cached in (_ffmpeg, _encodes_vvc):
        cached.cache_clear()
    try:
        assert Vvc.missing() == "imageio-ffmpeg"
        with pytest.raises(MissingPackageError, match="pip install 'imageio-ffmpeg'"):
            get_codec("vvc")
        with pytest.raises(CodecError, match=r"ffmpeg does not start|libvvenc failed"):
            FASTER.encode(photo)
    finally:
        for cached in (_ffmpeg, _encodes_vvc):
            cached.cache_clear()
