"""Learned codecs are codecs: by name, by path, by the bytes of a file, and on the command line."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

import tamis
from tamis.bench import bench
from tamis.bench.plan import codec_name
from tamis.cli import main
from tamis.codecs import Image, decode, get_codec, list_codecs, sniff
from tamis.codecs.registry import describe
from tamis.errors import (
    CodecError,
    CorruptFileError,
    LimitError,
    MissingPackageError,
    TamisError,
    UnknownNameError,
)
from tamis.learned import container, package
from tamis.learned.card import Card
from tamis.learned.codec import MAX_PIXELS
from tamis.learned.compressai import load_compressai
from tamis.tasks import ClassifyWith

from .conftest import save, shaken
from .test_compressai import fixture

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def models(tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small models stand beside the shipped ones."""
    monkeypatch.setenv("TAMIS_MODELS", str(tiny_zoo))
    return tiny_zoo


def run(command: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(command.split())
    return int(end.value.code or 0)


def test_a_quality_is_a_model(crops: list[Image], models: Path) -> None:
    codec = get_codec("learned:tiny")
    scale = codec.quality
    assert (codec.name, codec.suffix) == ("learned:tiny", ".tms")
    assert (scale.low, scale.high, scale.ladder, scale.ascending) == (1, 3, (1, 2, 3), True)
    for quality in scale.ladder:
        stream = package.load(models / f"tiny-{quality}").compress(crops[:1])[0]
        assert codec.encode(crops[0], quality) == stream
    assert codec.encode(crops[0]) == codec.encode(crops[0], scale.default)
    with pytest.raises(CodecError, match=r"learned:tiny quality 4 is outside 1\.\.3"):
        codec.encode(crops[0], 4)


@pytest.mark.parametrize("name", ["learned:tiny", "learned:plain"])
def test_any_picture_comes_back_with_its_size(name: str, crops: list[Image]) -> None:
    codec = get_codec(name)
    one = crops[0][:1, :1]
    for image in (*crops, one, crops[0][..., 1]):
        stream = codec.encode(image)
        decoded = codec.decode(stream)
        assert decoded.shape == (*image.shape[:2], 3)
        assert decoded.dtype == np.uint8
        assert decoded.flags.c_contiguous
        assert codec.encode(image) == stream


def test_the_decoder_finds_the_model_by_its_fingerprint(crops: list[Image]) -> None:
    for spec in ("learned:tiny", "learned:plain"):
        stream = tamis.encode(crops[0], spec, 1)
        assert sniff(stream).name == spec
        image = get_codec(spec).decode(stream)
        assert np.array_equal(decode(stream), image)
        # Any learned codec decodes the file of any other.
        assert np.array_equal(get_codec("learned:tiny").decode(stream), image)


def test_a_directory_is_a_codec_of_one_quality(
    crops: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "mine", shaken("hyperprior", seed=5), crops)
    codec = get_codec("learned:./mine")
    assert (codec.quality.ladder, codec.quality.default) == ((1,), 1)
    stream = codec.encode(crops[1])
    image = codec.decode(stream)
    fingerprint = Card.load(tmp_path / "mine").fingerprint[:16]
    for read in (decode, sniff):
        with pytest.raises(TamisError, match=f"fingerprint {fingerprint}.*TAMIS_MODELS") as caught:
            read(stream)
        assert "\n" not in str(caught.value)
    for folder in (tmp_path, tmp_path / "mine"):
        monkeypatch.setenv("TAMIS_MODELS", f"{tmp_path / 'nowhere'}{os.pathsep}{folder}")
        assert np.array_equal(decode(stream), image)


def test_a_model_that_was_trained_on_is_loaded_anew(
    crops: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    streams = set()
    for seed in (1, 2):
        save(tmp_path / "mine", shaken("factorized", seed=seed), crops)
        streams.add(get_codec("learned:./mine").encode(crops[0]))
    assert len(streams) == 2


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("learned:tinny", UnknownNameError, "no learned model 'tinny'; did you mean 'tiny'"),
        ("learned", TamisError, "write learned:MODEL or learned:./DIRECTORY; models: .*tiny"),
        ("learned:./nowhere", TamisError, "./nowhere is no model directory: it has no card.yaml"),
        (
            "learned:tiny:effort=3",
            TamisError,
            "there is no learned:tiny option 'effort'; known: search",
        ),
        ("lerned:tiny", UnknownNameError, "did you mean 'learned'"),
    ],
)
def test_a_wrong_spec_says_what_is_right(spec: str, error: type[TamisError], words: str) -> None:
    with pytest.raises(error, match=words):
        get_codec(spec)


def test_codecs_are_equal_by_model_and_survive_pickling() -> None:
    codec = get_codec("learned:tiny")
    assert codec == get_codec("learned:tiny")
    assert codec != get_codec("learned:plain")
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert codec_name(codec) == "learned:tiny"


def test_files_cut_short_or_damaged_are_refused(crops: list[Image]) -> None:
    codec = get_codec("learned:tiny")
    stream = codec.encode(crops[0])
    for length in (0, 3, 4, 12, 20, 21, len(stream) // 2, len(stream) - 1):
        with pytest.raises(CorruptFileError):
            codec.decode(stream[:length])
    for at in range(len(stream)):
        damaged = stream[:at] + bytes([stream[at] ^ 0x10]) + stream[at + 1 :]
        with pytest.raises(CorruptFileError):
            codec.decode(damaged)


def test_a_picture_too_large_is_refused(crops: list[Image]) -> None:
    codec = get_codec("learned:tiny")
    tall = np.zeros((MAX_PIXELS // 4096 + 1, 4096, 3), np.uint8)
    with pytest.raises(LimitError, match=str(MAX_PIXELS)):
        codec.encode(tall)
    packed = container.unpack(codec.encode(crops[0]))
    with pytest.raises(LimitError, match=str(MAX_PIXELS)):
        codec.decode(container.pack(packed.fingerprint, *tall.shape[:2], packed.payload))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "learned:tiny" in list_codecs()
    monkeypatch.setattr("sys.path", [])
    assert "learned:tiny" not in list_codecs()
    assert "learned:tiny" in list_codecs(usable=False)
    row = next(row for row in describe() if row.name == "learned:tiny")
    assert (row.usable, row.missing) == (False, "tamis[lab]")
    with pytest.raises(MissingPackageError, match=r"pip install 'tamis\[lab\]'"):
        get_codec("learned:tiny")


def test_without_torch_they_are_listed_and_say_what_is_missing(tmp_path: Path) -> None:
    """Torch is blocked the moment something imports it, as where it was never installed."""
    code = """
import importlib.abc, sys
class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
import numpy as np, tamis
assert "learned:tiny" in tamis.list_codecs()
tamis.get_codec("learned:tiny")
try:
    tamis.encode(np.zeros((8, 8, 3), np.uint8), "learned:tiny")
except tamis.TamisError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = "MissingPackageError learned codecs need torch: pip install 'tamis[lab]'\n"
    assert done.stdout == expected


@pytest.fixture
def folder(crops: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds `photos/` with two small photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(2):
        PillowImage.fromarray(crops[i]).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path


def test_the_command_line_goes_there_and_back(
    folder: Path, crops: list[Image], capsys: Capture
) -> None:
    assert run("compress photos --out small --codec learned:tiny --quality 2") == 0
    assert "2 written to small" in capsys.readouterr().out
    assert sorted(path.name for path in (folder / "small").iterdir()) == ["0.tms", "1.tms"]
    assert run("decompress small --out back") == 0
    codec = get_codec("learned:tiny")
    for i in range(2):
        back = np.asarray(PillowImage.open(folder / "back" / f"{i}.png"))
        assert np.array_equal(back, codec.decode(codec.encode(crops[i], 2)))


def test_the_command_line_lists_codecs_and_models(
    capsys: Capture, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    copied = Path(shutil.copytree(models, tmp_path / "zoo"))
    package.annotate(copied / "tiny-3", {"kodak": {"bpp": 0.4321}})
    monkeypatch.setenv("TAMIS_MODELS", str(copied))
    assert run("codecs") == 0
    assert "learned:tiny" in capsys.readouterr().out
    assert run("models") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "learned:tiny" in line]
    assert len(lines) == 3
    assert all("37,597" in line and "666" in line and "0.01" in line for line in lines)
    assert ["0.432" in line for line in lines] == [False, False, True]


def scores(images: list[Image]) -> list[np.ndarray]:
    """Logits of three classes, from the mean colours."""
    return [np.asarray(image.mean((0, 1)) / 20) for image in images]


def test_the_bench_measures_them_over_their_ladder(photos: list[Image], tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, photo in zip(paths, photos, strict=False):
        PillowImage.fromarray(photo[:180, :192]).save(path)
    results = bench(
        paths,
        tasks=[ClassifyWith(scores, size=176, name="colours")],
        codecs=["learned:tiny"],
        preprocessors=["none"],
        out=tmp_path / "run",
    )
    rows = results.rows
    assert set(rows["codec"]) == {"learned:tiny"}
    assert sorted(rows["quality"]) == [1, 1, 2, 2, 3, 3]
    codec = get_codec("learned:tiny")
    expected = {
        len(codec.encode(np.ascontiguousarray(photos[0][:180, :192]), k)) for k in (1, 2, 3)
    }
    assert set(rows.filter(image="0.png")["bytes"]) == expected


@pytest.mark.parametrize("name", ["bmshj2018-factorized", "mbt2018"])
def test_a_converted_checkpoint_is_a_codec(name: str, folder: Path, capsys: Capture) -> None:
    weights, _, _ = fixture(name)
    torch.save(weights, "theirs.pth.tar")
    assert run(f"convert compressai theirs.pth.tar {name} mine --calibrate photos") == 0
    assert "written: mine" in capsys.readouterr().out
    card = Card.load(folder / "mine")
    assert (card.lambda_, card.steps, card.licence) == (None, None, "NOASSERTION")
    image = np.array(PillowImage.open("photos/0.png"))
    codec = get_codec("learned:./mine")
    decoded = codec.decode(codec.encode(image)).astype(float)
    with torch.no_grad():
        x = torch.from_numpy(image.transpose(2, 0, 1))[None] / 255
        x_hat = load_compressai(weights, name)(x).x_hat[0].clamp(0, 1).numpy()
    # Weights of half precision move a few latents over to the next integer.
    assert np.abs(decoded - 255 * x_hat.transpose(1, 2, 0)).mean() < 1


def test_a_wrong_checkpoint_is_one_line(folder: Path, capsys: Capture) -> None:
    torch.save(fixture("mbt2018")[0], "theirs.pth.tar")
    assert run("convert compressai theirs.pth.tar mbt2018-mean mine --calibrate photos") == 1
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "not a checkpoint of mbt2018-mean" in written
    assert not (folder / "mine").exists()


def test_search_is_an_option_of_the_encoder_alone(crops: list[Image]) -> None:
    photo = crops[0]
    searched = get_codec("learned:tiny:search=10")
    data = searched.encode(photo, 1)
    assert data != get_codec("learned:tiny").encode(photo, 1)
    assert np.array_equal(get_codec("learned:tiny").decode(data), searched.decode(data))
    assert pickle.loads(pickle.dumps(searched)).search == 10
