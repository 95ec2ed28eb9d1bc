"""Mutate real files of every codec and decode them: each gives a picture or one TamisError.

    nice python benchmarks/fuzz.py --files 20000 --seed 1

Every file is decoded in a worker process with a cap on its address space and a time limit, so that
a crash, a hang or a huge allocation is counted and not fatal. Exits with 1 if there was any.
"""

import argparse
import multiprocessing
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from skimage import data

from tamis.codecs import Codec, get_codec
from tamis.codecs.registry import CODECS
from tamis.errors import TamisError

GOOD = ("decoded", "refused")
BAD = ("other exception", "crash", "hang", "over memory")
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
FAST = {"vvc": "vvc:preset=faster", "bpg": "bpg:preset=ultrafast", "avif": "avif:speed=9"}
"""Encoder settings for the seed files; the decoder does not care."""


def seed_files(codec: Codec) -> list[bytes]:
    """Small real files of `codec`: several sizes, contents and qualities."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.page()]
    files = []
    for number, (height, width) in enumerate([(24, 24), (33, 57), (64, 96), (128, 80)]):
        for offset in (0, 90):
            crop = pictures[number][offset : offset + height, offset : offset + width]
            ladder = codec.quality.ladder
            files.append(codec.encode(crop, ladder[2] if offset else ladder[-2]))
    return files


def flip_bits(file: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 32))):
        file[rng.randrange(len(file))] ^= 1 << rng.randrange(8)


def overwrite(file: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(file))
    count = min(rng.choice((1, 2, 4, 16, 64)), len(file) - at)
    file[at : at + count] = rng.randbytes(count)


def truncate(file: bytearray, rng: random.Random) -> None:
    del file[rng.randrange(len(file)) :]


def delete(file: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(file))
    del file[at : at + rng.choice((1, 1, 2, 4, 16, 100))]


def insert(file: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(file))
    file[at:at] = rng.choice((rng.randbytes(1), bytes(4), b"\xff" * 4, rng.randbytes(64)))


def repeat(file: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(file))
    file[at:at] = file[at : at + rng.choice((1, 4, 64, 500))]


def set_field(file: bytearray, rng: random.Random) -> None:
    """Put a boundary value in the header, where sizes, counts and offsets are."""
    width = rng.choice((1, 2, 3, 4))
    at = rng.randrange(min(len(file), 400))
    value = rng.choice(INTERESTING) & (1 << 8 * width) - 1
    file[at : at + width] = value.to_bytes(width, rng.choice(("big", "little")))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits, flip_bits, overwrite, truncate, delete, insert, repeat, set_field, set_field,
)  # fmt: skip


def mutate(files: list[bytes], rng: random.Random) -> bytes:
    """One of `files` with up to four mutations, or the start of one and the end of another."""
    file = bytearray(rng.choice(files))
    if rng.random() < 0.1:
        other = rng.choice(files)
        file[rng.randrange(len(file)) :] = other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(file) > 1:
            rng.choice(MUTATIONS)(file, rng)
    return bytes(file)


@dataclass(frozen=True)
class Limits:
    """Of one decode: seconds, and bytes of address space and of resident memory."""

    seconds: float = 60
    address_space: int = 4 << 30
    resident: int = 1 << 30


def serve(pipe: Connection, limits: Limits) -> None:
    """Decode what comes through `pipe` and answer what came of it, until told to stop."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space, limits.address_space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    while (job := pipe.recv()) is not None:
        name, file = job
        pipe.send(verdict(name, file, limits))


def verdict(name: str, file: bytes, limits: Limits) -> tuple[str, str]:
    """What decoding gives: one of `GOOD` and `BAD`, and the message of an unwanted exception."""
    result, message = "decoded", ""
    try:
        image = get_codec(name).decode(file)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    except TamisError:
        result = "refused"
    except BaseException as error:  # Rust panics are not Exceptions
        result, message = "other exception", f"{type(error).__name__}: {error}"
    if peak_resident() > limits.resident:
        result = "over memory"
    return result, message


def peak_resident() -> int:
    """Bytes this process has held at most. `ru_maxrss` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


class Worker:
    """A process that decodes; replaced when it dies, hangs or has grown."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._context = multiprocessing.get_context("spawn")
        self._process: BaseProcess | None = None

    def decode(self, name: str, file: bytes) -> tuple[str, str]:
        if self._process is None:
            self._start()
        assert self._process is not None
        try:
            self._pipe.send((name, file))
            if not self._pipe.poll(self._limits.seconds):
                self.stop()
                return "hang", f"over {self._limits.seconds} s"
            result, message = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self.stop()
            return "crash", f"exit code {code}"
        if result == "over memory":
            self.stop()
        return result, message

    @property
    def pid(self) -> int:
        """Of the process that decodes now."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs, self._limits))
        self._process.start()
        theirs.close()
        self._pipe.recv()  # imports are not part of the first decode

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def fuzz(
    names: list[str], count: int, seed: int, limits: Limits
) -> Iterator[tuple[str, str, str, bytes]]:
    """`count` mutated files in all: codec, result, message and the file itself."""
    worker = Worker(limits)
    try:
        for name in names:
            files = seed_files(get_codec(FAST.get(name, name)))
            rng = random.Random(f"{seed} {name}")
            for _ in range(-(-count // len(names))):
                file = mutate(files, rng)
                yield name, *worker.decode(name, file), file
    finally:
        worker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=20_000, help="mutated files in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--codecs", default=",".join(CODECS))
    parser.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    arguments = parser.parse_args()
    names = arguments.codecs.split(",")
    counts = {name: Counter[str]() for name in names}
    seconds = dict.fromkeys(names, 0.0)
    started = time.perf_counter()
    for name, result, message, file in fuzz(names, arguments.files, arguments.seed, Limits()):
        counts[name][result] += 1
        took, started = time.perf_counter() - started, time.perf_counter()
        seconds[name] += took
        if result in BAD:
            print(f"{name}: {result}: {message} ({len(file)} bytes)", flush=True)
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                number = sum(counts[name].values())
                (arguments.keep / f"{name}-{arguments.seed}-{number}").write_bytes(file)
    table = Table("codec", *GOOD, *BAD, "ms a file", title=f"{arguments.files} mutated files")
    for name in names:
        total = sum(counts[name].values())
        cells = [str(counts[name][result]) for result in GOOD + BAD]
        table.add_row(name, *cells, f"{1000 * seconds[name] / total:.1f}")
    Console().print(table)
    return int(any(counts[name][result] for name in names for result in BAD))


if __name__ == "__main__":
    sys.exit(main())
