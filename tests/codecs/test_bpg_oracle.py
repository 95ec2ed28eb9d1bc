"""Against libbpg's own programs, where `bpgenc` and `bpgdec` are on the PATH."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image as PillowImage

from tamis.codecs.base import Image
from tamis.codecs.bpg import Bpg

pytestmark = pytest.mark.skipif(
    not (shutil.which("bpgenc") and shutil.which("bpgdec")),
    reason="libbpg's bpgenc and bpgdec are not on the PATH",
)

PHOTOS = {
    "astronaut": skimage.data.astronaut()[:256, :300],
    "chelsea": skimage.data.chelsea()[:199, 60:331],
}


def psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def bpgdec(data: bytes, folder: Path) -> Image:
    (folder / "in.bpg").write_bytes(data)
    subprocess.run(["bpgdec", "-o", folder / "out.png", folder / "in.bpg"], check=True, timeout=60)
    return np.asarray(PillowImage.open(folder / "out.png").convert("RGB"))


def bpgenc(image: Image, folder: Path, *options: str) -> bytes:
    PillowImage.fromarray(image).save(folder / "in.png")
    subprocess.run(
        ["bpgenc", *options, "-o", folder / "out.bpg", folder / "in.png"], check=True, timeout=300
    )
    return (folder / "out.bpg").read_bytes()


@pytest.mark.parametrize("chroma", ["420", "444"])
@pytest.mark.parametrize("size", [(64, 64), (9, 9), (1, 1), (7, 100), (37, 121), (200, 55)])
def test_bpgdec_decodes_our_files_as_we_do(
    tmp_path: Path, chroma: str, size: tuple[int, int]
) -> None:
    codec = Bpg("444" if chroma == "444" else "420", "medium")
    data = codec.encode(PHOTOS["astronaut"][: size[0], : size[1]], 34)
    assert np.abs(bpgdec(data, tmp_path).astype(int) - codec.decode(data)).max() <= 1


@pytest.mark.parametrize("options", [(), ("-f", "444"), ("-f", "422"), ("-c", "ycgco")])
def test_we_decode_files_of_bpgenc_as_bpgdec_does(tmp_path: Path, options: tuple[str, ...]) -> None:
    data = bpgenc(PHOTOS["chelsea"], tmp_path, "-q", "34", *options)
    assert np.abs(bpgdec(data, tmp_path).astype(int) - Bpg().decode(data)).max() <= 1


@pytest.mark.parametrize("qp", [28, 34, 41])
@pytest.mark.parametrize("name", PHOTOS)
def test_size_and_psnr_are_those_of_bpgenc(tmp_path: Path, name: str, qp: int) -> None:
    image = np.ascontiguousarray(PHOTOS[name])
    ours, theirs = Bpg().encode(image, qp), bpgenc(image, tmp_path, "-q", str(qp))
    assert len(ours) == pytest.approx(len(theirs), rel=0.03)
    assert psnr(Bpg().decode(ours), image) == pytest.approx(
        psnr(Bpg().decode(theirs), image), abs=0.1
    )
