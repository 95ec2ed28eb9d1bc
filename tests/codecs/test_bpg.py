"""BPG files: what bpgenc wrote is read, what we write is a BPG, and damage never passes."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image as PillowImage

from tamis.codecs.base import Image
from tamis.codecs.bpg import Bpg, slice_qp
from tamis.codecs.bpg_container import (
    MAGIC,
    BpgHeader,
    read_bpg,
    read_tools,
    write_bpg,
    write_tools,
)
from tamis.codecs.hevc_bitstream import (
    PPS,
    SPS,
    START_CODE,
    VPS,
    BitReader,
    is_slice,
    nal_type,
    split_nals,
    unescape,
)
from tamis.codecs.hevc_sps import CodingTools, Sps, write_sps
from tamis.codecs.ycbcr import ColorFormat, planes_to_rgb, rgb_to_planes
from tamis.errors import CorruptFileError, LimitError, TamisError

# Written by bpgenc 0.9.8 from a crop of skimage.data.astronaut(), with bpgdec's pixels beside.
GOLDEN = sorted((Path(__file__).parent / "golden").glob("bpg_*.bpg"))

photo = skimage.data.astronaut()
fast = Bpg(preset="ultrafast")


def crop(height: int, width: int) -> Image:
    return np.ascontiguousarray(photo[80 : 80 + height, 150 : 150 + width])


def psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def nals_of(data: bytes) -> tuple[CodingTools, list[bytes]]:
    _, picture, _ = read_bpg(data)
    tools, at = read_tools(picture, 0)
    return tools, split_nals(START_CODE + picture[at:])


def coded_qp(data: bytes) -> int:
    """Slice QP, from the PPS and the slice header (H.265 clauses 7.3.2.3 and 7.3.6.1)."""
    tools, nals = nals_of(data)
    pps = BitReader(unescape(next(nal for nal in nals if nal_type(nal) == PPS))[2:])
    pps.ue(), pps.ue(), pps.u(2)
    extra = pps.u(3)
    pps.u(2), pps.ue(), pps.ue()
    init = 26 + pps.se()
    pps.u(2)
    assert not pps.u(1), "the QP must not vary between blocks"
    header = BitReader(unescape(next(nal for nal in nals if is_slice(nal))[:40])[2:])
    header.u(2), header.ue(), header.u(extra)
    assert header.ue() == 2, "an intra slice"
    header.u(2 * tools.sao)
    return init + header.se()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_files_of_bpgenc_decode_as_bpgdec_decodes_them(path: Path) -> None:
    expected = np.asarray(PillowImage.open(path.with_suffix(".png")))
    decoded = Bpg().decode(path.read_bytes())
    assert np.abs(decoded.astype(int) - expected).max() <= 1


def test_golden_files_are_there() -> None:
    assert len(GOLDEN) >= 20


@pytest.mark.parametrize("codec", [fast, Bpg("444", "ultrafast")], ids=["420", "444"])
@pytest.mark.parametrize("size", [(9, 9), (16, 16), (17, 33), (9, 70), (65, 64), (101, 39)])
def test_any_size_comes_back_close(codec: Bpg, size: tuple[int, int]) -> None:
    image = crop(*size)
    decoded = codec.decode(codec.encode(image, 20))
    assert decoded.shape == image.shape
    assert psnr(decoded, image) > 36


@pytest.mark.parametrize("size", [(9, 16248), (16248, 9), (64, 8192)])
def test_long_sides_work(size: tuple[int, int]) -> None:
    image = photo[np.arange(size[0])[:, None] % 512, np.arange(size[1]) % 512]
    assert psnr(fast.decode(fast.encode(image, 30)), image) > 30


@pytest.mark.parametrize("codec", [fast, Bpg("444", "ultrafast")], ids=["420", "444"])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (5, 16), (8, 100), (301, 3), (2, 2000)])
def test_sides_x265_does_not_take_are_stored_without_loss(
    codec: Bpg, size: tuple[int, int]
) -> None:
    image = np.ascontiguousarray(np.resize(photo[100, 60:], (*size, 3)))
    color = ColorFormat(codec.chroma)
    planes = rgb_to_planes(image, color)
    expected = planes_to_rgb(planes, size[1], size[0], color)
    assert np.array_equal(codec.decode(codec.encode(image)), expected)


def test_a_side_over_the_limit_is_refused() -> None:
    with pytest.raises(LimitError, match="16248"):
        fast.encode(np.zeros((9, 16249, 3), np.uint8))


def test_grey_input_stays_grey() -> None:
    grey = skimage.data.camera()[100:164, 200:264]
    decoded = fast.decode(fast.encode(grey, 20))
    assert np.ptp(decoded.astype(int), axis=2).max() <= 3
    assert psnr(decoded[..., 1], grey) > 36


def test_the_ladder_goes_from_the_lowest_rate_to_the_highest() -> None:
    image = crop(64, 64)
    files = [Bpg(preset="medium").encode(image, qp) for qp in Bpg.quality.ladder]
    assert sorted(map(len, files)) == [len(file) for file in files]
    errors = [psnr(fast.decode(file), image) for file in files]
    assert sorted(errors) == errors


@pytest.mark.parametrize("quality", [0, 3, 4, 28, 34, 51])
def test_the_picture_is_coded_at_the_qp_of_bpgenc(quality: int) -> None:
    assert coded_qp(fast.encode(crop(64, 64), quality)) == slice_qp(quality)


def test_slice_qp_of_a_file_of_bpgenc() -> None:
    golden = next(path for path in GOLDEN if path.stem == "bpg_420")
    assert coded_qp(golden.read_bytes()) == slice_qp(30)


def test_the_step_doubles_every_six() -> None:
    assert fast.step(7) == 1.0
    assert fast.step(40) == pytest.approx(2 * fast.step(34))


def test_a_slower_preset_makes_a_smaller_file() -> None:
    image = crop(128, 128)
    assert len(Bpg().encode(image, 34)) < len(fast.encode(image, 34))


def test_the_file_is_a_short_header_and_the_picture() -> None:
    data = fast.encode(crop(40, 50), 34)
    assert data.startswith(MAGIC)
    header, picture, _ = read_bpg(data)
    assert header == BpgHeader(50, 40, ColorFormat())
    assert len(data) - len(picture) <= 10
    assert [nal_type(nal) for nal in nals_of(data)[1]] == [PPS, 20]


def test_encoding_in_threads_gives_the_same_files() -> None:
    images = [crop(40 + 8 * i, 64) for i in range(6)]
    alone = [fast.encode(image, 30) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda image: fast.encode(image, 30), images)) == alone
        decoded = list(pool.map(fast.decode, alone))
    assert all(np.array_equal(a, fast.decode(b)) for a, b in zip(decoded, alone, strict=True))


def test_the_libraries_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    data = fast.encode(crop(40, 50), 34)
    fast.decode(data)
    with pytest.raises(TamisError):
        fast.decode(data[:-20])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", [p for p in GOLDEN if p.stem in ("bpg_420", "bpg_jctvc")])
def test_a_file_of_open_length_that_is_cut_anywhere_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for size in range(0, len(data) - 1, 3):
        with pytest.raises(CorruptFileError):
            fast.decode(data[:size])


def test_our_file_cut_anywhere_is_refused() -> None:
    data = fast.encode(crop(35, 47), 40)
    for size in range(len(data)):
        with pytest.raises(CorruptFileError):
            fast.decode(data[:size])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_decode_or_are_refused(seed: int) -> None:
    rng = random.Random(seed)
    files = [path.read_bytes() for path in GOLDEN] + [fast.encode(crop(96, 96), 34)] * 4
    for _ in range(100):
        data = bytearray(rng.choice(files))
        end = rng.choice((24, len(data)))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(4, end)] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(4, len(data)) :][:9]
        try:
            decoded = fast.decode(bytes(data))
        except TamisError as error:
            assert "\n" not in str(error)
        else:
            header = read_bpg(bytes(data))[0]
            assert decoded.shape == (header.height, header.width, 3)


@pytest.mark.parametrize("side", [16249, 2**31 - 1])
def test_a_huge_picture_is_refused_before_it_is_allocated(side: int) -> None:
    _, picture, _ = read_bpg(fast.encode(crop(16, 16), 34))
    with pytest.raises(LimitError):
        fast.decode(write_bpg(BpgHeader(side, 16, ColorFormat()), picture))


def test_a_header_larger_than_its_picture_is_refused() -> None:
    _, picture, _ = read_bpg(fast.encode(crop(64, 64), 34))
    with pytest.raises(CorruptFileError):
        fast.decode(write_bpg(BpgHeader(2048, 1024, ColorFormat()), picture))


def test_a_parameter_set_inside_the_data_is_refused() -> None:
    _, picture, _ = read_bpg(fast.encode(crop(16, 16), 34))
    tools, at = read_tools(picture, 0)
    inner = write_sps(Sps(1, 65536, 65536, 8, tools))
    assert nal_type(inner) in (VPS, SPS)
    forged = write_bpg(
        BpgHeader(16, 16, ColorFormat()), picture[:at] + inner + START_CODE + picture[at:]
    )
    with pytest.raises(CorruptFileError, match="must not hold"):
        fast.decode(forged)


@pytest.mark.parametrize(
    ("color", "tools", "words"),
    [
        (ColorFormat(depth=14), CodingTools(0, 3, 0, 3, 2, 1, None, 1, None), "14 bits"),
        (ColorFormat(), CodingTools(0, 3, 0, 3, 2, 1, None, 1, 64), "lossless"),
    ],
    ids=["14 bits", "implicit rdpcm"],
)
def test_what_ffmpeg_does_not_decode_is_refused_in_words(
    color: ColorFormat, tools: CodingTools, words: str
) -> None:
    _, nals = nals_of(fast.encode(crop(16, 16), 34))
    forged = write_bpg(BpgHeader(16, 16, color), write_tools(tools) + START_CODE.join(nals))
    with pytest.raises(CorruptFileError, match=words):
        fast.decode(forged)
