"""How much faster `tamis compress` is than a script that starts a process for every step.

The script does for each photo what evaluation code usually does: filter, write a PNG, run an
encoder on it, run a decoder on that, read the PNG back. Both sides use the same preprocessor; both
times are whole processes, start-up included, the better of two rounds. Needs no torch.

    python benchmarks/compress_speed.py --photos FOLDER --preprocessor none

Encoder and decoder are the ffmpeg that imageio-ffmpeg carries: compiled, static, without a Python
interpreter to start, so a fast case of such a script.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image as PillowImage

from tamis.codecs import get_codec
from tamis.data import list_photos, load_photo, sample_photos
from tamis.mirror import usable_cores
from tamis.preprocessing import get_preprocessor

QUALITY = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder; else crops of sample photos")
    parser.add_argument("--preprocessor", default="none")
    parser.add_argument("--count", type=int, default=100)
    # The hidden half of the comparison: this file runs itself to be timed as a process.
    parser.add_argument("--script", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.script:
        run_script(arguments.script, arguments.preprocessor)
        return
    with tempfile.TemporaryDirectory() as folder:
        photos = gather(Path(folder) / "photos", arguments.photos, arguments.count)
        compare(photos, Path(folder), arguments.preprocessor)


def gather(folder: Path, source: Path | None, count: int) -> Path:
    """`count` photos in one folder: links to those given, or crops of the sample photos."""
    folder.mkdir()
    if source:
        for i, path in enumerate(list_photos(source)[:count]):
            (folder / f"{i:04}{path.suffix}").symlink_to(path.resolve())
        return folder
    samples = list(sample_photos().values())
    random = np.random.default_rng(0)
    for i in range(count):
        photo = samples[i % len(samples)]
        y, x = (random.integers(0, side - 280) for side in photo.shape[:2])
        crop = photo[y : y + 375, x : x + 500]
        PillowImage.fromarray(crop).save(folder / f"{i:04}.jpg", quality=92)
    return folder


def compare(photos: Path, folder: Path, preprocessor: str) -> None:
    tamis = [sys.executable, "-c", "from tamis.cli import main; main()", "compress", str(photos)]
    options = ["--quality", str(QUALITY), "--preprocessor", preprocessor]
    script = [sys.executable, __file__, "--script", str(photos), "--preprocessor", preprocessor]
    fast = slow = float("inf")
    for turn in range(2):
        fast = min(fast, timed([*tamis, "--out", str(folder / str(turn)), *options]))
        slow = min(slow, timed(script))
    files = list((folder / "0").rglob("*.jpg"))
    size = sum(file.stat().st_size for file in files)
    torch = "installed" if importlib.util.find_spec("torch") else "not installed"
    print(f"{len(files)} photos, JPEG quality {QUALITY}, preprocessor {preprocessor}")
    print(f"{usable_cores()} cores, torch {torch}, external encoder and decoder: ffmpeg")
    print(f"tamis compress  {fast:7.2f} s  {1000 * fast / len(files):6.1f} ms/photo  {size} bytes")
    print(f"script          {slow:7.2f} s  {1000 * slow / len(files):6.1f} ms/photo")
    print(f"tamis compress is {slow / fast:.1f} times faster")


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def run_script(photos: Path, preprocessor: str) -> None:
    """The usual script: four files' worth of work and two processes for each photo."""
    filter_ = get_preprocessor(preprocessor)
    codec = get_codec("jpeg")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in list_photos(photos):
            filtered = filter_(load_photo(path), codec, QUALITY)
            PillowImage.fromarray(filtered).save(folder / "in.png")
            encode = [*ffmpeg, "-i", "in.png", "-q:v", "12", "coded.jpg"]
            subprocess.run(encode, cwd=folder, check=True)
            subprocess.run([*ffmpeg, "-i", "coded.jpg", "out.png"], cwd=folder, check=True)
            np.asarray(PillowImage.open(folder / "out.png").convert("RGB"))


if __name__ == "__main__":
    main()
