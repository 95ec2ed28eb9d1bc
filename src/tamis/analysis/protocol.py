"""Take patches through a model and tally their latents: over processes, stoppable at any time.

Blocks are tallied anywhere and merged in their order, so the numbers are the same to the last bit
for any number of processes and however often a run was killed. Memory does not grow with the
number of patches: a run keeps one tally for each group of photos.
"""

import json
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from pickle import PicklingError
from time import monotonic
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from tamis.analysis.moments import Array
from tamis.analysis.patches import BLOCK, Patch, Patches
from tamis.analysis.places import draw
from tamis.analysis.sources import Source, identity
from tamis.analysis.tally import Fields, Pilot, Tally, as_array, fields_of
from tamis.bench.workers import end_with_parent
from tamis.errors import TamisError
from tamis.mirror import Progress

PILOT_BLOCKS = 4
BATCH = 2
"""Patches that go through a model at once; more need memory and save no time on a processor."""


@dataclass(frozen=True)
class Protocol:
    """What is measured.

    Attributes:
        source: of the latents.
        patches: of the photos.
        pairs: adjacent pairs a patch, an even number; half are horizontal, half vertical.
    """

    source: Source
    patches: Patches
    pairs: int = 200

    def __post_init__(self) -> None:
        if self.pairs < 2 or self.pairs % 2:
            raise TamisError(f"{self.pairs} pairs a patch; expected an even number, at least 2")

    @property
    def fingerprint(self) -> str:
        """Digest of everything the numbers depend on."""
        of = self.patches
        facts = [identity(self.source), self.pairs, of.count, of.size, of.small, of.seed]
        text = json.dumps([*facts, [str(photo) for photo in of.photos]])
        return sha256(text.encode()).hexdigest()[:16]

    def look(self, patches: list[Patch]) -> tuple[dict[str, Array], Array | None]:
        """Fields and likelihoods of some patches, `(patches, M, H, W)` each.

        Raises:
            TamisError: the source returned no square latent, or values that are not finite.
        """
        parts = [self._look(patches[i : i + BATCH]) for i in range(0, len(patches), BATCH)]
        fields = {
            name: np.concatenate([fields[name] for fields, _ in parts]) for name in parts[0][0]
        }
        rated = [likelihoods for _, likelihoods in parts if likelihoods is not None]
        return fields, np.concatenate(rated) if rated else None

    def _look(self, patches: list[Patch]) -> tuple[dict[str, Array], Array | None]:
        images = torch.from_numpy(np.stack([patch.image for patch in patches]))
        with torch.inference_mode():
            sample = self.source(images.permute(0, 3, 1, 2).float() / 255)
        if sample.y.ndim != 4 or sample.y.shape[2] != sample.y.shape[3] or sample.y.shape[2] < 2:
            raise TamisError(
                f"the latent of square patches has shape {tuple(sample.y.shape)}; "
                "expected (N, M, S, S) with S at least 2"
            )
        fields = fields_of(sample)
        if not all(np.isfinite(field).all() for field in fields.values()):
            raise TamisError("the latents are not finite; is the model trained?")
        rated = sample.likelihoods
        return fields, None if rated is None else as_array(rated)

    def tally(self, pilot: Pilot, block: int) -> Tally:
        """Tally one block."""
        patches = self.patches.block(block)
        fields, likelihoods = self.look(patches)
        side = fields["y"].shape[-1]
        drawn = [draw(patch.random, side, self.pairs) for patch in patches]
        photos = [patch.photo for patch in patches]
        return Tally.of_block(fields, likelihoods, photos, drawn, pilot, BLOCK - 1)

    def pilot(self) -> Pilot:
        """Look at the first blocks."""
        looks: list[Fields] = [
            self.look(self.patches.block(block))[0]
            for block in range(min(PILOT_BLOCKS, self.patches.blocks))
        ]
        return Pilot.of({name: np.concatenate([f[name] for f in looks]) for name in looks[0]})


@dataclass
class State:
    """How far a run is: its pilot, what the first `done` blocks sum up to, by group."""

    pilot: Pilot
    tally: Tally | None = None
    done: int = 0

    def save(self, path: Path, fingerprint: str) -> None:
        """Write beside `path`, then rename: a killed run leaves the old state or the new one."""
        arrays: dict[str, Any] = {f"edges:{k}": edges for k, edges in self.pilot.edges.items()}
        arrays |= {"centre": self.pilot.centre, "done": self.done, "fingerprint": fingerprint}
        if self.tally is not None:
            arrays |= self.tally.arrays()
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}")
        with beside.open("wb") as file:
            np.savez(file, **arrays)
        beside.replace(path)

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> "State":
        """What `save` wrote.

        Raises:
            TamisError: no such state, or one of another run.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            found, done = str(arrays["fingerprint"]), int(arrays["done"])
            edges = {k.partition(":")[2]: v for k, v in arrays.items() if k.startswith("edges:")}
            pilot = Pilot(edges, arrays["centre"])
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise TamisError(f"{path} is not the state of an analysis; remove it") from error
        if found != fingerprint:
            raise TamisError(
                f"{path} is of another model, other photos or other settings; "
                "choose another folder or remove it"
            )
        return cls(pilot, Tally.from_arrays(arrays) if done else None, done)


def measure(
    protocol: Protocol,
    state_file: Path | None = None,
    *,
    workers: int | None = 1,
    progress: Progress = lambda done, total: None,
    save_seconds: float = 60.0,
) -> Tally:
    """Tally all patches; the first axis of the result is the group of photos.

    Args:
        protocol: what is measured.
        state_file: where the state is kept, so that the same call goes on after a kill.
        workers: processes; None is one for each core. More than one need a source that can be
            pickled.
        progress: told patches done and patches in all.
        save_seconds: the state is saved when it is older than this, and at the end.

    Raises:
        TamisError: the state of another run, an unusable source or photo, or a worker that died.
    """
    fingerprint = protocol.fingerprint if state_file else ""
    if state_file and state_file.exists():
        state = State.load(state_file, fingerprint)
    else:
        with _one_thread():
            state = State(protocol.pilot())
    patches = protocol.patches
    saved = monotonic()
    progress(min(patches.count, state.done * BLOCK), patches.count)
    for block in _tallies(protocol, state, workers or os.cpu_count() or 1):
        if state.tally is None:
            state.tally = Tally.empty(block, patches.groups)
        state.tally.add(state.done % patches.groups, block)
        state.done += 1
        progress(min(patches.count, state.done * BLOCK), patches.count)
        if state_file and (state.done == patches.blocks or monotonic() - saved > save_seconds):
            state.save(state_file, fingerprint)
            saved = monotonic()
    assert state.tally is not None
    return state.tally


def _tallies(protocol: Protocol, state: State, workers: int) -> Iterator[Tally]:
    """The tallies of all blocks not done yet, in their order."""
    blocks = range(state.done, protocol.patches.blocks)
    if workers <= 1 or len(blocks) <= 1:
        with _one_thread():
            for block in blocks:
                yield protocol.tally(state.pilot, block)
        return
    spawn = multiprocessing.get_context("spawn")
    arguments = (protocol, state.pilot)
    with ProcessPoolExecutor(workers, spawn, initializer=_start, initargs=arguments) as pool:
        waiting: deque[Future[Tally]] = deque()
        try:
            for block in blocks:
                waiting.append(pool.submit(_work, block))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise TamisError("a worker process died; the same command goes on") from error
        except (PicklingError, AttributeError, TypeError) as error:
            raise TamisError(
                f"the source of latents cannot be sent to another process ({error}); use 1 worker"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_own: tuple[Protocol, Pilot]
"""What a spawned worker works on."""


def _start(protocol: Protocol, pilot: Pilot) -> None:
    global _own
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _own = (protocol, pilot)


def _work(block: int) -> Tally:
    protocol, pilot = _own
    return protocol.tally(pilot, block)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of floats keep one order: the numbers do not depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
