"""How much faster learned codecs with a context model code here than in CompressAI.

    python benchmarks/learned_speed.py --photos ../shared/data/kodak --peer-python VENV/bin/python

`VENV` is an environment with compressai 1.2.8, which Tamis itself does not need. Its `mbt2018`
gets the weights of our `joint`, so that both code the same photos at the same rate; the window of
`context-adaptive`, which CompressAI does not have, is compared with the same `mbt2018`. The models
take turns on every photo, both sides with the same number of threads. A time is from pixels in
memory to bytes in memory, or back; loading is not counted. A ratio belongs to one turn; the table
has medians, and for ratios the quartiles.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tamis.bench.metrics import psnr
from tamis.codecs import Image
from tamis.data import list_photos, load_photo, sample_photos
from tamis.errors import TamisError
from tamis.learned.compressor import Compressor
from tamis.learned.models import LearnedModel, create_model
from tamis.learned.package import load
from tamis.learned.zoo import shipped_codecs
from tamis.tasks.pixels import to_tensor

MODELS = ("joint", "context-adaptive")
TARGETS = {"encode": 10, "decode": 20}
PARTS = {
    "analysis": "g_a",
    "synthesis": "g_s",
    "latents.hyper_analysis": "h_a",
    "latents.hyper_synthesis": "h_s",
    "latents.context": "context_prediction",
    "latents.parameters_network": "entropy_parameters",
    "latents.density": "entropy_bottleneck",
}
"""Our names of the parts of `joint`, and CompressAI's."""


class Side(Protocol):
    """A codec that is timed: encoding keeps the stream that `decode` takes."""

    def encode(self, image: Image) -> tuple[float, int]:
        """Seconds, and bytes of the stream."""
        ...

    def decode(self) -> tuple[float, Image]:
        """Seconds, and the picture."""
        ...


class Ours:
    """A package of ours, in this process."""

    def __init__(self, compressor: Compressor) -> None:
        self.compressor = compressor

    def encode(self, image: Image) -> tuple[float, int]:
        start = time.perf_counter()
        self.streams = self.compressor.compress([image])
        return time.perf_counter() - start, len(self.streams[0])

    def decode(self) -> tuple[float, Image]:
        start = time.perf_counter()
        images = self.compressor.decompress(self.streams)
        return time.perf_counter() - start, images[0]


class Theirs:
    """`mbt2018` in a process of its own that lives as long as the benchmark."""

    def __init__(self, python: Path, folder: Path, model: LearnedModel, threads: int) -> None:
        script = Path(__file__).with_name("learned_speed_peer.py")
        command = [python, "-W", "ignore", script]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._folder = folder
        weights = folder / "weights.npz"
        np.savez(weights, **to_mbt2018(model))
        self.facts = self._ask("load", weights=str(weights), n=model.n, m=model.m, threads=threads)

    def encode(self, image: Image) -> tuple[float, int]:
        path = self._folder / "image.npy"
        np.save(path, image)
        answer = self._ask("encode", image=str(path))
        return answer["seconds"], answer["bytes"]

    def decode(self) -> tuple[float, Image]:
        path = self._folder / "decoded.npy"
        answer = self._ask("decode", image=str(path))
        return answer["seconds"], np.load(path)

    def close(self) -> None:
        """End the process; it stops at the end of its input."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, job: str, **options: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": job, **options}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise TamisError(f"the peer failed to {job}; what it printed stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def to_mbt2018(model: LearnedModel) -> dict[str, np.ndarray]:
    """The weights of a `joint` under the names and in the shapes of CompressAI's `mbt2018`."""
    if model.name != "joint":
        raise TamisError(f"mbt2018 is the peer of 'joint', not of '{model.name}'")
    state = {}
    for key, tensor in model.state_dict().items():
        part = next((p for p in PARTS if key.startswith(f"{p}.")), None)
        if part:
            state[PARTS[part] + key.removeprefix(part)] = tensor.numpy()
    # Both mask the second half of the 5x5 window; ours does not store the rows that are all mask.
    context = model.latents.context
    weight = (context.weight * context.mask).detach()
    state["context_prediction.weight"] = torch.nn.functional.pad(weight, (0, 0, 0, 2)).numpy()
    # The peer stores medians between two other quantiles, which it finds from the density itself.
    quantiles = np.zeros((model.n, 1, 3), np.float32)
    quantiles[:, 0, 1] = state.pop("entropy_bottleneck.medians")
    return {**state, "entropy_bottleneck.quantiles": quantiles}


@dataclass
class Turns:
    """What one side did, turn by turn: seconds, bytes, PSNR in dB."""

    encode: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)


def take_turns(sides: dict[str, Side], images: Sequence[Image], rounds: int) -> dict[str, Turns]:
    """Every side codes every image `rounds` times, one after the other; a first time unrecorded."""
    turns = {name: Turns() for name in sides}
    for side in sides.values():
        side.encode(images[0])
        side.decode()
    for image in images:
        for _ in range(rounds):
            for name, side in sides.items():
                seconds, size = side.encode(image)
                decoding, decoded = side.decode()
                turns[name].encode.append(seconds)
                turns[name].decode.append(decoding)
                turns[name].size.append(size)
                turns[name].quality.append(psnr(decoded, image))
    return turns


def ratio(peer: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Quartiles of peer / ours over the turns: median, lower, upper."""
    low, middle, high = np.percentile(np.asarray(peer) / np.asarray(ours), [25, 50, 75])
    return float(middle), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder; else sample photos")
    parser.add_argument("--peer-python", type=Path, required=True, help="with compressai 1.2.8")
    parser.add_argument("--joint", type=Path, help="a package; else the middle rate shipped")
    parser.add_argument("--other", type=Path, help="another; else context-adaptive")
    parser.add_argument("--size", type=int, nargs=2, metavar=("N", "M"), help="random weights")
    parser.add_argument("--count", type=int, default=4, help="photos, at even steps")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.size:
        joint, other = (random_codec(name, *arguments.size) for name in MODELS)
    else:
        joint = load(arguments.joint or middle("joint"))
        other = load(arguments.other or middle("context-adaptive"))
    if (joint.model.n, joint.model.m) != (other.model.n, other.model.m):
        raise TamisError("both packages must have the same N and M")
    images = gather(arguments.photos, arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        peer = Theirs(arguments.peer_python, Path(folder), joint.model, arguments.threads)
        sides = {joint.model.name: Ours(joint), "peer": peer, other.model.name: Ours(other)}
        turns = take_turns(sides, images, arguments.rounds)
        peer.close()
    report(turns, joint.model, f"{len(images)} photos, {arguments.rounds} rounds", peer.facts)


def middle(name: str) -> Path:
    """The package of the middle rate among those shipped."""
    rates = shipped_codecs().get(name, [])
    if not rates:
        raise TamisError(f"no {name} is shipped; name a package")
    return rates[(len(rates) - 1) // 2]


def random_codec(name: str, n: int, m: int) -> Compressor:
    """A codec that was not trained: of any size, and as slow as one that was."""
    torch.manual_seed(0)
    crops = [photo[:256, :256] for photo in sample_photos().values()]
    return Compressor.build(create_model(name, n, m), (to_tensor([crop]) for crop in crops))


def gather(folder: Path | None, count: int) -> list[Image]:
    """`count` photos at even steps through a folder, or sample photos."""
    if not folder:
        return list(sample_photos().values())[:count]
    paths = list_photos(folder)
    return [load_photo(paths[i * len(paths) // count]) for i in range(count)]


def report(turns: dict[str, Turns], model: LearnedModel, what: str, facts: dict[str, Any]) -> None:
    peer = turns["peer"]
    names = {"peer": f"mbt2018 (compressai {facts['version']})"}
    title = f"N = {model.n}, M = {model.m}, {what}, {torch.get_num_threads()} thread(s) each"
    columns = ["codec", "encode ms", "decode ms", "bytes", "PSNR dB"]
    table = Table(*columns, "encode ratio", "decode ratio", title=title)
    for name, own in turns.items():
        times = [f"{1000 * float(np.median(t)):.0f}" for t in (own.encode, own.decode)]
        means = f"{np.mean(own.size):,.0f}", f"{np.mean(own.quality):.2f}"
        ratios = [ratio(peer.encode, own.encode), ratio(peer.decode, own.decode)]
        cells = ["", ""] if own is peer else [f"{r:.1f} ({a:.1f} to {b:.1f})" for r, a, b in ratios]
        table.add_row(names.get(name, name), *times, *means, *cells)
    console = Console(width=130)
    console.print(table)
    for name, own in turns.items():
        if own is not peer:
            for job, target in TARGETS.items():
                found, _, _ = ratio(getattr(peer, job), getattr(own, job))
                verdict = "reached" if found >= target else "NOT reached"
                console.print(f"{name}: {job} {found:.1f} times as fast, target {target} {verdict}")


if __name__ == "__main__":
    main()
