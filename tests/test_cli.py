"""The command line: what it writes, and one line of error for everything a user can get wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tamis.cli import main
from tamis.codecs import Image

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(photos: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds `photos/` with two small photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(2):
        crop = np.ascontiguousarray(photos[i][100:164, 100:196])
        PillowImage.fromarray(crop).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path


def run(command: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(command.split())
    return int(end.value.code or 0)


def error_line(command: str, capsys: Capture) -> str:
    """The one line that a command which fails prints."""
    assert run(command) == 1
    written = capsys.readouterr()
    assert written.err.count("\n") == 1
    assert "Traceback" not in written.err
    return written.err


def test_compress_and_decompress_go_there_and_back(folder: Path, capsys: Capture) -> None:
    assert run("compress photos --out small --quality 40 --preprocessor none --workers 1") == 0
    assert "2 written to small" in capsys.readouterr().out
    assert run("decompress small --out back") == 0
    assert sorted(p.name for p in (folder / "back").iterdir()) == ["0.png", "1.png"]
    assert run("compress photos --out small --quality 40 --preprocessor none") == 0
    assert "2 were there already" in capsys.readouterr().out


def test_a_bad_photo_gives_one_line_and_a_failing_exit(folder: Path, capsys: Capture) -> None:
    (folder / "photos" / "bad.jpg").write_text("no photo")
    assert run("compress photos --out small --preprocessor none") == 1
    written = capsys.readouterr()
    assert "2 written to small" in written.out
    lines = written.err.splitlines()
    assert len(lines) == 2
    assert "bad.jpg: not a photo" in lines[0]
    assert lines[1] == "tamis: 1 of 3 not done"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("compress nowhere --out x", "nowhere does not exist"),
        ("compress photos --out x --codec jpg", "did you mean 'jpeg'?"),
        ("compress photos --out x --quality 400 --preprocessor none", "outside 1..95"),
        ("compress photos --out x --preprocessor blurr:1", "did you mean 'blur'?"),
        ("compress photos --out x --preprocessor none --steps 5", "go with --preprocessor refine"),
        ("compress photos --out x --workers 0 --preprocessor none", "workers must be at least 1"),
        ("decompress photos --out x", "no compressed files in photos"),
        ("bench photos --task classify:resnet5 --preprocessors none", "resnet5"),
        ("bench photos --task classify --qualities jpeg:3", "codec=10,20,30, not 'jpeg:3'"),
        ("train preprocessor nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    folder: Path, capsys: Capture, command: str, line: str
) -> None:
    assert line in error_line(command, capsys)


def test_missing_lab_packages_say_what_to_install(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'polars'): sys.modules[name] = None\n"
        "from tamis.cli import main\n"
        "main(['bench', 'photos', '--task', 'classify', '--preprocessors', 'none'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "pip install 'tamis[lab]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_nobody_foresaw_is_one_line_too(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(PillowImage.Image, "save", broken)
    command = "compress photos --out x --preprocessor none"
    assert "unexpected ZeroDivisionError: two lines" in error_line(command, capsys)


def test_the_codecs_are_listed_with_range_and_direction(capsys: Capture) -> None:
    assert run("codecs") == 0
    table = capsys.readouterr().out
    assert "jpeg" in table
    rows = {line.split()[1]: line for line in table.splitlines() if line.startswith("│")}
    assert "quality 1..95" in rows["jpeg"]
    assert "high" in rows["jpeg"]
    assert "QP 0..51" in rows["bpg"]
    assert "low" in rows["bpg"]


def test_the_models_are_listed_with_their_cost(capsys: Capture) -> None:
    assert run("models") == 0
    assert "npp-lite" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: Capture) -> None:
    import tamis

    assert run("--version") == 0
    assert capsys.readouterr().out == f"tamis {tamis.__version__}\n"


def test_ctrl_c_ends_cleanly_and_leaves_no_half_file(photos: list[Image], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(400):
        PillowImage.fromarray(photos[i % 7]).save(tmp_path / "photos" / f"{i}.bmp")
    code = "from tamis.cli import main; main()"
    options = ["--out", "small", "--preprocessor", "blur:2", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "compress", "photos", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("small/*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    files = sorted(p.name for p in (tmp_path / "small").iterdir())
    assert 0 < len(files) < 400
    assert all(name.endswith(".jpg") and not name.startswith(".") for name in files)
