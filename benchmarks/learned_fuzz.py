"""Mutate streams of learned codecs and decode them: no crash, no hang, no wrong picture.

    nice python benchmarks/learned_fuzz.py --files 20000 --seed 1
    python benchmarks/learned_fuzz.py --codecs learned:./my-model

Three kinds in turn. Damaged: the checksum no longer fits, so the stream must be refused; a picture
decoded from it is a wrong picture returned as right. Repaired: the checksum is put right after the
mutation, so that the damage reaches the entropy decoder; a picture or one TamisError. Absurd: whole
streams of latents that no image has, up to the coder's limit, so that the networks meet them.
Workers and limits are those of `fuzz.py`. Exits with 1 if anything went wrong.
"""

import argparse
import random
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
from fuzz import BAD, INTERESTING, Limits, Worker, mutate
from rich.console import Console
from rich.table import Table
from skimage import data

from tamis.codecs import Codec, get_codec, list_codecs
from tamis.learned import package
from tamis.learned.codec import LearnedCodec
from tamis.learned.compressor import Compressor
from tamis.learned.container import HEADER, MAGIC, VERSION, pack
from tamis.learned.payload import DensityPayload

WRONG = "wrong picture"
OUTCOMES = ("decoded", "refused", WRONG, *BAD)
FAILURES = (WRONG, *BAD)
KINDS = ("damaged", "repaired", "absurd")
LIMITS = Limits(seconds=60, address_space=64 << 30, resident=2 << 30)
"""Torch reserves far more address space than it uses, so resident memory is what is limited."""

LARGEST = 1024
"""Longest side that a repaired header announces: larger ones take longer, and no other way."""

SIZES = ((16, 16), (33, 57), (64, 96), (128, 80))


def streams(codec: Codec) -> list[bytes]:
    """Real streams of `codec`: several sizes and contents, at every quality."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    return [
        codec.encode(picture[90 : 90 + height, 90 : 90 + width], quality)
        for picture, (height, width) in zip(pictures, SIZES, strict=True)
        for quality in codec.quality.ladder
    ]


def set_header(file: bytearray, rng: random.Random) -> None:
    """Another size, version or fingerprint."""
    at, width = rng.choice(((4, 1), (5, 8), (13, 2), (15, 2), (17, 4)))
    value = rng.choice((rng.choice(INTERESTING), rng.randrange(300))) & (1 << 8 * width) - 1
    file[at : at + width] = value.to_bytes(width, "big")


def set_fingerprint(file: bytearray, others: list[bytes], rng: random.Random) -> None:
    """The payload of one model under the name of another."""
    file[5:13] = rng.choice(others)[5:13]


def repaired(file: bytearray) -> bytes:
    """The stream with a right magic, version and checksum, of a size that is soon decoded."""
    if len(file) < HEADER.size:
        return bytes(file)
    _, _, fingerprint, height, width, _ = HEADER.unpack_from(file)
    height, width = (1 + (side - 1) % LARGEST for side in (height, width))
    payload = bytes(file[HEADER.size :])
    head = HEADER.pack(MAGIC, VERSION, fingerprint, height, width, 0)[:-4]
    return head + struct.pack(">I", zlib.crc32(payload, zlib.crc32(head))) + payload


def mutated(kind: str, files: list[bytes], others: list[bytes], rng: random.Random) -> bytes:
    """A stream that no encoder wrote, whose checksum fits if `kind` is repaired."""
    while True:
        file = bytearray(mutate(files, rng))
        if rng.random() < 0.15 and len(file) >= HEADER.size:
            set_header(file, rng)
        if rng.random() < 0.05 and len(file) >= HEADER.size:
            set_fingerprint(file, others, rng)
        whole = repaired(file)
        stream = whole if kind == "repaired" else bytes(file)
        # Mutations can undo each other; what an encoder wrote has to decode.
        if stream not in files and (kind == "repaired" or stream != whole):
            return stream


def absurd(compressor: Compressor, rng: random.Random) -> bytes:
    """A whole stream of wild latents."""
    model, values = compressor.model, np.random.default_rng(rng.getrandbits(32))
    rows, columns = rng.randrange(1, 3), rng.randrange(1, 3)

    def wild(per_unit: int, channels: int) -> np.ndarray:
        shape = (1, rows * per_unit, columns * per_unit, channels)
        return 10 ** rng.uniform(-1, 8) * values.standard_t(1, shape)

    if isinstance(compressor.payload, DensityPayload):
        (payload,) = compressor.payload.encode(wild(1, model.m))
    else:
        (payload,) = compressor.payload.encode(wild(1, model.n), wild(4, model.m))
    side = model.multiple
    return pack(compressor.fingerprint, rows * side, columns * side, payload)


def judged(kind: str, outcome: str, message: str) -> tuple[str, str]:
    """What the worker says, but for a picture where there can be none."""
    if kind == "damaged" and outcome == "decoded":
        return WRONG, "a picture from a stream whose checksum is wrong"
    return outcome, message


def fuzz(
    names: list[str], count: int, seed: int, limits: Limits = LIMITS
) -> Iterator[tuple[str, str, str, str, bytes]]:
    """`count` mutated streams in all: codec, kind, outcome, message and the stream."""
    real = {name: streams(get_codec(name)) for name in names}
    everything = [stream for files in real.values() for stream in files]
    worker = Worker(limits)
    try:
        for name, files in real.items():
            codec = get_codec(name)
            assert isinstance(codec, LearnedCodec)
            compressors = [package.load(directory) for directory in codec.directories]
            assert all(worker.decode(name, file) == ("decoded", "") for file in files)
            rng = random.Random(f"{seed} {name}")
            for _, kind in zip(range(-(-count // len(names))), cycle(KINDS), strict=False):
                if kind == "absurd":
                    stream = absurd(rng.choice(compressors), rng)
                else:
                    stream = mutated(kind, files, everything, rng)
                yield name, kind, *judged(kind, *worker.decode(name, stream)), stream
    finally:
        worker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=20_000, help="mutated streams in all")
    parser.add_argument("--seed", type=int, default=1)
    known = [name for name in list_codecs() if name.startswith("learned:")]
    parser.add_argument("--codecs", default=",".join(known), help="default: every learned codec")
    parser.add_argument("--keep", type=Path, help="folder for the streams that went wrong")
    arguments = parser.parse_args()
    names = [name for name in arguments.codecs.split(",") if name]
    if not names:
        parser.error("there are no learned codecs here; name one with --codecs")
    counts: Counter[tuple[str, str, str]] = Counter()
    started = time.perf_counter()
    for name, kind, outcome, message, stream in fuzz(names, arguments.files, arguments.seed):
        counts[name, kind, outcome] += 1
        if outcome in FAILURES:
            print(f"{name}: {kind}: {outcome}: {message} ({len(stream)} bytes)", flush=True)
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{counts.total()}-{kind}.tms").write_bytes(stream)
    seconds = time.perf_counter() - started
    title = f"{counts.total()} mutated streams, {1000 * seconds / counts.total():.1f} ms each"
    table = Table("codec", "streams", *OUTCOMES, title=title)
    for name in names:
        for kind in KINDS:
            table.add_row(name, kind, *(str(counts[name, kind, result]) for result in OUTCOMES))
    Console(width=132).print(table)
    return int(any(counts[key] for key in counts if key[2] in FAILURES))


if __name__ == "__main__":
    sys.exit(main())
