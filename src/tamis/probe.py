"""Time and peak memory of one thing done to one picture, in a process that does nothing else.

Time is the processor's: what this process and its children computed, user and system. With one
thread it is the time that passes on an idle machine, and on a busy one it hardly changes. The
process loads what its subject needs and no more: torch only for a network in torch.
"""

import importlib
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from tamis.codecs import Codec, Image, get_codec
from tamis.preprocessing import get_preprocessor
from tamis.preprocessing.runtime import OnnxPreprocessor

Runtime = Literal["torch", "onnxruntime", ""]

LEAST_RUNS = 2
"""Timed however long one takes, after the one that is not timed."""


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        kind: what it is.
        name: as it stands in tables.
        spec: what makes it; a model directory for a preprocessor in ONNX Runtime.
        runtime: what computes its network; empty for an encoder.
    """

    kind: Literal["preprocessor", "task", "encoder"]
    name: str
    spec: str
    runtime: Runtime


@dataclass(frozen=True)
class Cost:
    """What one picture takes.

    Attributes:
        seconds: processor time of every timed run.
        peak_bytes: most memory in use, above what was in use with the picture and the runtime
            loaded but not yet the subject; None where the work is done in another process, or
            the system does not tell.
    """

    seconds: tuple[float, ...]
    peak_bytes: int | None


def probe_apart(subject: Subject, image: Image, runs: int, seconds: float, threads: int) -> Cost:
    """`probe` in a new process, so that nothing that ran before is in its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(probe, subject, image, runs, seconds, threads).result()


def probe(subject: Subject, image: Image, runs: int, seconds: float, threads: int) -> Cost:
    """Do what `subject` does to `image` several times.

    The first run is not timed: what it allocates, later ones use again.

    Args:
        subject: what is measured.
        image: the picture, `uint8 (H, W, 3)`.
        runs: how many are timed.
        seconds: of processor time, after which no further run begins, past `LEAST_RUNS`.
        threads: of the network's runtime; encoders of this package take one.
    """
    if subject.runtime:
        runtime: Any = importlib.import_module(subject.runtime)
        if subject.runtime == "torch":
            runtime.set_num_threads(threads)
    # Modules that make the subject are loaded before memory is looked at, the subject after.
    if subject.kind == "task":
        importlib.import_module("tamis.tasks")
    elsewhere, before = _time_of_children(), _resident_from_here()
    act = _action(subject, threads)
    act(image)
    times: list[float] = []
    while len(times) < runs and (len(times) < LEAST_RUNS or sum(times) < seconds):
        start = time.process_time() + _time_of_children()
        act(image)
        times.append(time.process_time() + _time_of_children() - start)
    alone = _time_of_children() == elsewhere
    peak = _status("VmHWM") - before if before is not None and alone else None
    return Cost(tuple(times), peak)


def _action(subject: Subject, threads: int) -> Callable[[Image], object]:
    if subject.kind == "encoder":
        return get_codec(subject.spec).encode
    if subject.kind == "task":
        task = importlib.import_module("tamis.tasks").get_task(subject.spec)
        return lambda image: task.predict([image])
    if subject.runtime == "torch":
        preprocessor = get_preprocessor(subject.spec)
        codec = get_codec("jpeg")
        return lambda image: preprocessor(image, codec, type(codec).quality.default)
    model = OnnxPreprocessor(subject.spec, threads)
    codec, quality = _covered(model)
    return lambda image: model(image, codec, quality)


def _covered(model: OnnxPreprocessor) -> tuple[Codec, int]:
    """The first codec of a model, at the quality it covers that is nearest to the default."""
    name, (low, high) = next(iter(model.card.codecs.items()))
    codec = get_codec(name)
    return codec, min(max(type(codec).quality.default, low), high)


def _time_of_children() -> float:
    """Processor time of the child processes that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident_from_here() -> int | None:
    """Bytes in use now, the peak being forgotten; None where the system does not tell."""
    # Not getrusage: its ru_maxrss survives exec, so a child begins with its parent's peak.
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def _status(field: str) -> int:
    """A size in `/proc/self/status`, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
