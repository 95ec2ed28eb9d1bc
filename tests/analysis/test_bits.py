"""Maps of bits: they add up to real files, and a block that is hard to code gets more of them."""

import io
import re

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.analysis.bits import BitMap
from tamis.analysis.bits_hevc import bpg_bits, heic_bits
from tamis.analysis.bits_jpeg import jpeg_bits
from tamis.codecs import Image, get_codec
from tamis.errors import CorruptFileError, TamisError


@pytest.fixture(scope="module")
def photo(named_photos: dict[str, Image]) -> Image:
    """A crop whose sides are no multiple of a block."""
    return np.ascontiguousarray(named_photos["cat"][60:161, 100:243])


def scans(data: bytes) -> list[bytes]:
    """The entropy-coded bytes of a JPEG file without restart markers, scan by scan."""
    found = []
    for match in re.finditer(rb"\xff\xda(..)", data, re.DOTALL):
        start = match.start() + 2 + int.from_bytes(match.group(1), "big")
        end = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(data, start)
        assert end is not None
        found.append(data[start : end.start()])
    return found


@pytest.mark.parametrize("subsampling", ["420", "444"])
@pytest.mark.parametrize("progressive", ["false", "true"])
@pytest.mark.parametrize("quality", [3, 40, 95])
def test_bits_of_a_jpeg_are_those_of_its_scans(
    photo: Image, subsampling: str, progressive: str, quality: int
) -> None:
    codec = get_codec(f"jpeg:subsampling={subsampling}:progressive={progressive}")
    data = codec.encode(photo, quality)
    found = jpeg_bits(data)
    coded = [8 * len(scan.replace(b"\xff\x00", b"\xff")) for scan in scans(data)]
    padding = sum(coded) - found.total
    assert padding == pytest.approx(round(padding), abs=1e-6)
    assert 0 <= round(padding) < 8 * len(coded)
    assert found.total + found.overhead == 8 * len(data)
    assert found.bits.shape == (13, 18)
    assert found.bits.min() > 0


def test_bits_of_a_jpeg_with_restarts_are_those_of_its_scan(photo: Image) -> None:
    out = io.BytesIO()
    PillowImage.fromarray(photo).save(out, "JPEG", quality=40, restart_marker_blocks=3)
    data = out.getvalue()
    parts = re.split(rb"\xff[\xd0-\xd7]", scans(data)[0])
    assert len(parts) > 5
    padding = sum(8 * len(part.replace(b"\xff\x00", b"\xff")) for part in parts)
    assert 0 <= padding - jpeg_bits(data).total < 8 * len(parts)


def test_a_grey_jpeg_has_a_map_too(photo: Image) -> None:
    out = io.BytesIO()
    PillowImage.fromarray(photo[..., 1]).save(out, "JPEG", quality=40)
    assert jpeg_bits(out.getvalue()).bits.shape == (13, 18)


@pytest.mark.parametrize("codec", ["bpg", "bpg:chroma=444", "bpg:preset=ultrafast"])
@pytest.mark.parametrize("quality", [22, 44])
def test_bits_of_a_bpg_are_all_but_its_headers(photo: Image, codec: str, quality: int) -> None:
    data = get_codec(codec).encode(photo, quality)
    found = bpg_bits(data)
    # A slice is the costs of its bins, a stop bit and padding; the costs are exact to log2(510/512)
    # bits, by which the coder's first interval is narrower than 9 bits.
    assert found.total % 1 == pytest.approx(np.log2(510 / 512) % 1, abs=1e-6)
    assert 8 * 20 < found.overhead < 8 * 40
    assert found.bits.shape == (13, 18)
    assert found.bits.min() > 0


@pytest.mark.parametrize("codec", ["hevc", "hevc:chroma=444", "hevc:preset=placebo"])
def test_bits_of_a_heic_are_all_but_its_boxes(photo: Image, codec: str) -> None:
    found = heic_bits(get_codec(codec).encode(photo, 34))
    assert found.total % 1 == pytest.approx(np.log2(510 / 512) % 1, abs=1e-6)
    assert found.bits.shape == (13, 18)
    assert (found.width, found.height) == (143, 101)


@pytest.mark.parametrize("codec", ["jpeg", "bpg", "hevc"])
def test_noise_in_a_corner_is_where_the_bits_are(codec: str) -> None:
    image = np.full((128, 128, 3), 90, np.uint8)
    image[64:, :64] = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = get_codec(codec).encode(image)
    found = {"jpeg": jpeg_bits, "bpg": bpg_bits, "hevc": heic_bits}[codec](data)
    assert found.bits[8:, :8].sum() > 0.85 * found.total


def test_density_keeps_the_bits_at_any_size() -> None:
    bits = np.random.default_rng(0).random((4, 5))
    found = BitMap(bits, 8, 37, 30, 0.0)
    assert found.density(30, 37).sum() == pytest.approx(found.total)
    assert found.density(60, 74).sum() == pytest.approx(found.total)
    assert found.density(60, 74).shape == (60, 74)
    assert found.density(30, 37)[:8, :8].sum() == pytest.approx(bits[0, 0])


@pytest.mark.parametrize("cut", [100, 700, -30])
def test_a_jpeg_cut_short_is_refused(photo: Image, cut: int) -> None:
    with pytest.raises(CorruptFileError):
        jpeg_bits(get_codec("jpeg").encode(photo, 40)[:cut])


def test_a_changed_bit_in_an_hevc_slice_does_not_pass_for_a_map(photo: Image) -> None:
    data = bytearray(get_codec("bpg").encode(photo, 34))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(TamisError):
        bpg_bits(bytes(data))


def test_other_jpeg_processes_are_named(photo: Image) -> None:
    data = get_codec("jpeg:progressive=false").encode(photo, 40)
    with pytest.raises(TamisError, match="SOF9"):
        jpeg_bits(data.replace(b"\xff\xc0", b"\xff\xc9", 1))
