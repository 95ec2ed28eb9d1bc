"""Do streams of learned codecs decode to the same latents however and wherever they are decoded?

    python benchmarks/learned_decode_matrix.py --photos ../shared/data/kodak

Every photo is coded once by every shipped model with a context, then decoded in fresh processes:
with 1 and 2 threads, with oneDNN and without, alone and in batches of 4, and with the kernels of
an older processor; and by the plain numpy reference, which knows nothing of wavefronts or torch.
The SHA-256 of the latents (z and y) must be that of what the encoder was given. The way back, too:
what the reference writes must decode to the same. Prints how many streams differ in each case;
exits with 1 if any does.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tamis.codecs import Image
from tamis.data import list_photos, load_photo
from tamis.errors import TamisError
from tamis.learned import container
from tamis.learned.codec import SUFFIX
from tamis.learned.compressor import Compressor
from tamis.learned.integer_layers import Array
from tamis.learned.latents import ContextLatents
from tamis.learned.package import load
from tamis.learned.payload import HyperPayload, rounded
from tamis.learned.reference import Reference
from tamis.learned.zoo import shipped_codecs
from tamis.tasks.pixels import to_tensor

BATCHES = (1, 4)
PROGRESS = Console(stderr=True)
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}
"""Kernels as on a processor of 2008, without AVX: other orders of summation."""

Hashes = dict[str, str]
"""By `package/photo`: SHA-256 of the latents, or what went wrong."""


@dataclass(frozen=True)
class Setting:
    """How a process decodes."""

    threads: int
    onednn: bool
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        kernels = "old CPU" if self.environment else "oneDNN" if self.onednn else "no oneDNN"
        return f"{self.threads} thr., {kernels}"


SETTINGS = [
    *(Setting(threads, onednn) for threads, onednn in product((1, 2), (True, False))),
    Setting(1, True, OLD_PROCESSOR),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of photos")
    parser.add_argument("--packages", type=Path, nargs="*", help="instead of all that are shipped")
    parser.add_argument("--count", type=int, help="only so many photos, at even steps")
    # The hidden half: this file runs itself to decode in a fresh process.
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-onednn", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    packages = arguments.packages or [d for rates in shipped_codecs().values() for d in rates]
    packages = [package.resolve() for package in packages if has_context(package)]
    if arguments.worker:
        work(arguments.worker, packages, arguments.no_onednn)
        return 0
    photos = list_photos(arguments.photos)
    count = arguments.count or len(photos)
    chosen = [photos[i * len(photos) // count] for i in range(count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected, columns = write(packages, chosen, folder)
        for setting in SETTINGS:
            for batch, hashes in decode_in_process(setting, packages, folder).items():
                columns[f"{setting.title}, batch {batch}"] = hashes
    return report(columns, expected, [package.name for package in packages])


def has_context(package: Path) -> bool:
    return isinstance(load(package).model.latents, ContextLatents)


def write(
    packages: Sequence[Path], photos: Sequence[Path], folder: Path
) -> tuple[Hashes, dict[str, Hashes]]:
    """Code every photo; what was coded, and what becomes of it with the reference on a side."""
    written: Hashes = {}
    decoded: Hashes = {}
    encoded: Hashes = {}
    for package in packages:
        compressor = load(package)
        coder = compressor.payload
        assert isinstance(coder, HyperPayload)
        reference = Reference(coder.entropy.to_tensors(), coder.z.tables, coder.tables)
        (folder / package.name).mkdir()
        for photo in track(photos, f"{package.name}: reference", console=PROGRESS):
            image = load_photo(photo)
            (stream,) = compressor.compress([image])
            key = f"{package.name}/{photo.stem}"
            (folder / f"{key}{SUFFIX}").write_bytes(stream)
            z, y = symbols(compressor, image)
            written[key] = digest(z, y)
            packed = container.unpack(stream)
            decoded[key] = digest(*reference.decode(packed.payload, *y.shape[:2]))
            again = packed._replace(payload=reference.encode(z, y))
            encoded[key] = batch_hashes(compressor, [again])[0]
    return written, {"reference decodes": decoded, "reference encodes": encoded}


@torch.inference_mode()
def symbols(compressor: Compressor, image: Image) -> tuple[Array, Array]:
    """What the encoder codes of an image: z and y, `(rows, columns, channels)`."""
    model, coder = compressor.model, compressor.payload
    assert isinstance(model.latents, ContextLatents) and isinstance(coder, HyperPayload)
    y = model.analysis(model.pad(to_tensor([image]).contiguous()))
    z = model.latents.hyper_analysis(y)
    latents = [values[0].permute(1, 2, 0).numpy() for values in (z, y)]
    return rounded(latents[0] - coder.z.centres), rounded(latents[1])


def work(folder: Path, packages: Sequence[Path], without_onednn: bool) -> None:
    """Decode all streams in `folder` in batches of every size; print the hashes as JSON."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if without_onednn:
        torch.backends.mkldnn.set_flags(False)
    found: dict[int, Hashes] = {batch: {} for batch in BATCHES}
    for package in packages:
        compressor = load(package)
        named = {
            f"{package.name}/{path.stem}": container.unpack(path.read_bytes())
            for path in sorted((folder / package.name).glob(f"*{SUFFIX}"))
        }
        for batch, hashes in found.items():
            for keys in of_one_size(named, batch):
                parts = [named[key] for key in keys]
                hashes.update(zip(keys, batch_hashes(compressor, parts), strict=True))
    print(json.dumps(found))


def of_one_size(named: Mapping[str, container.Packed], batch: int) -> Iterator[list[str]]:
    """Keys in groups of at most `batch` whose images have one size."""
    sizes: dict[tuple[int, int], list[str]] = {}
    for key, packed in named.items():
        sizes.setdefault((packed.height, packed.width), []).append(key)
    for keys in sizes.values():
        for start in range(0, len(keys), batch):
            yield keys[start : start + batch]


def batch_hashes(compressor: Compressor, parts: Sequence[container.Packed]) -> list[str]:
    """Hashes of the latents of images of one size, decoded together; an error for each if one."""
    multiple = compressor.model.multiple
    sides = (parts[0].height, parts[0].width)
    size = [-(-side // multiple) * multiple // 16 for side in sides]
    try:
        decoded = compressor.payload.decode([part.payload for part in parts], *size)
    except TamisError as error:
        return [str(error)] * len(parts)
    assert decoded.z is not None
    return [digest(z, y) for z, y in zip(decoded.z, decoded.y, strict=True)]


def digest(z: Array, y: Array) -> str:
    """SHA-256 of both arrays and their shapes, whatever integer type they have."""
    hashed = hashlib.sha256()
    for values in (z, y):
        array = np.ascontiguousarray(values, "<i4")
        hashed.update(repr(array.shape).encode() + array.tobytes())
    return hashed.hexdigest()


def decode_in_process(
    setting: Setting, packages: Sequence[Path], folder: Path
) -> dict[int, Hashes]:
    """What a fresh process decodes with `setting`, for each size of batch."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(setting.threads))
    command = [sys.executable, __file__, "--worker", str(folder), "--packages", *map(str, packages)]
    if not setting.onednn:
        command.append("--no-onednn")
    environment = {**os.environ, **threads, **setting.environment}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return {int(batch): hashes for batch, hashes in json.loads(done.stdout).items()}


def report(columns: Mapping[str, Hashes], expected: Hashes, packages: Sequence[str]) -> int:
    """Print how many streams of each package differ in each case; 1 if any does, else 0."""
    table = Table("streams that differ", *packages)
    wrong = 0
    for title, hashes in columns.items():
        cells = []
        for package in packages:
            own = [key for key in expected if key.split("/")[0] == package]
            differ = sum(hashes.get(key) != expected[key] for key in own)
            wrong += differ
            cells.append(f"{differ} of {len(own)}")
        table.add_row(title, *cells)
    Console(width=140).print(table)
    print(f"{wrong} mismatches in {len(expected) * len(columns)} decodings")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
