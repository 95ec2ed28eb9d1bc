"""The decode matrix counts what differs: equal latents pass, a single other symbol does not."""

from pathlib import Path

import learned_decode_matrix as matrix
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from tamis.codecs import Image
from tamis.learned import container
from tamis.learned.models import create_model
from tamis.learned.package import load, save


@pytest.fixture(scope="module")
def photo(photos: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "small.png"
    PillowImage.fromarray(photos[0][100:170, 100:200]).save(path)
    return path


@pytest.fixture(scope="module")
def package(photos: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model whose latents are not all zero."""
    torch.manual_seed(0)
    model = create_model("joint", 4, 6)
    with torch.no_grad():
        model.analysis[6].weight *= 100
    folder = tmp_path_factory.mktemp("models") / "joint-1"
    about = {"recipe": "none", "data": "none", "licence": "CC0-1.0"}
    crops = [photo[:128, :128] for photo in photos[:2]]
    save(folder, model, crops, lambda_=None, metric=None, steps=None, **about)
    return folder


def test_the_reference_decodes_and_encodes_what_the_codec_does(
    package: Path, photo: Path, tmp_path: Path
) -> None:
    expected, columns = matrix.write([package], [photo], tmp_path)
    assert list(expected) == ["joint-1/small"]
    assert columns == {"reference decodes": expected, "reference encodes": expected}


def test_a_fresh_process_decodes_the_same_on_an_old_processor(
    package: Path, photo: Path, tmp_path: Path
) -> None:
    expected, _ = matrix.write([package], [photo], tmp_path)
    found = matrix.decode_in_process(matrix.SETTINGS[-1], [package], tmp_path)
    assert found == {1: expected, 4: expected}


def test_another_picture_has_another_hash(package: Path, photos: list[Image]) -> None:
    compressor = load(package)
    crops = [photos[0][:64, :64], photos[1][:64, :64]]
    streams = [container.unpack(stream) for stream in compressor.compress(crops)]
    first, second = matrix.batch_hashes(compressor, streams)
    assert first != second
    assert first == matrix.digest(*matrix.symbols(compressor, crops[0]))


def test_what_cannot_be_decoded_is_a_mismatch_and_not_the_end(
    package: Path, photos: list[Image]
) -> None:
    compressor = load(package)
    packed = container.unpack(compressor.compress([photos[0][:64, :64]])[0])
    cut = packed._replace(payload=packed.payload[: len(packed.payload) // 2])
    (found,) = matrix.batch_hashes(compressor, [cut])
    assert found != matrix.batch_hashes(compressor, [packed])[0]


def test_one_other_symbol_is_another_hash() -> None:
    z, y = np.zeros((1, 2, 3), np.int32), np.zeros((4, 8, 5), np.int32)
    other = y.copy()
    other[3, 7, 4] = 1
    assert matrix.digest(z, y) == matrix.digest(z.astype(np.int64), y.astype(np.int64))
    assert matrix.digest(z, y) != matrix.digest(z, other)
    assert matrix.digest(z, y) != matrix.digest(z, y.reshape(8, 4, 5))


def test_batches_hold_images_of_one_size() -> None:
    sizes = {"a": (8, 9), "b": (9, 8), "c": (8, 9), "d": (8, 9)}
    named = {key: container.Packed(bytes(8), *size, b"") for key, size in sizes.items()}
    assert list(matrix.of_one_size(named, 2)) == [["a", "c"], ["d"], ["b"]]


@pytest.mark.parametrize(("found", "status"), [("aa", 0), ("bb", 1), (None, 1)])
def test_the_exit_status_says_whether_anything_differs(
    found: str | None, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = {"joint-1/small": found} if found else {}
    assert matrix.report({"case": hashes}, {"joint-1/small": "aa"}, ["joint-1"]) == status
    assert f"{status} mismatches in 1 decodings" in capsys.readouterr().out
