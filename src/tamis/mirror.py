"""Turn a tree of files into another: planned before it starts, in parallel, resumable.

A target is written under a hidden temporary name and renamed when whole, so a file that exists is
a finished file, and a run that was killed goes on where it stopped when it is started again.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tamis.errors import TamisError

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number there are."""


@dataclass(frozen=True)
class Job:
    """One source and the file it becomes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Written:
    """A job that is done: pixels of its source, bytes before and after."""

    pixels: int
    source_bytes: int
    target_bytes: int


@dataclass(frozen=True)
class Failure:
    """A source that could not be done, and why in one line."""

    source: Path
    reason: str


Work = Callable[[list[Job]], list[Written | Failure]]
"""Does a batch of jobs and returns one outcome for each."""


@dataclass
class Summary:
    """What a run did.

    Attributes:
        written: files written.
        skipped: files that were there already.
        failures: sources that could not be done; all others are.
        pixels: pixels of the sources written, before any preprocessing.
        source_bytes: bytes of those sources.
        target_bytes: bytes of the files written.
        seconds: wall-clock time.
    """

    written: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    pixels: int = 0
    source_bytes: int = 0
    target_bytes: int = 0
    seconds: float = 0.0

    @property
    def bpp(self) -> float:
        """Bits in the files written per pixel of their sources; NaN when none was written."""
        return 8 * self.target_bytes / self.pixels if self.pixels else float("nan")

    def add(self, outcome: Written | Failure) -> None:
        """Count one outcome."""
        if isinstance(outcome, Failure):
            self.failures.append(outcome)
            return
        self.written += 1
        self.pixels += outcome.pixels
        self.source_bytes += outcome.source_bytes
        self.target_bytes += outcome.target_bytes


def plan(
    sources: Sequence[Path | str],
    out: Path,
    suffix: str,
    list_files: Callable[[Path], list[Path]],
) -> list[Job]:
    """Pair every source file with its target, and refuse what would lose a file.

    A file goes straight into `out`; of a folder the tree below it is mirrored there.

    Raises:
        TamisError: nothing to do, two sources with one target, or a target that is a source.
    """
    root_out = out.resolve()
    origins: dict[Path, Path] = {}
    for source in map(Path, sources):
        root = (source if source.is_dir() else source.parent).resolve()
        for file in list_files(source):
            path = file.parent.resolve() / file.name
            # What an earlier run wrote below the source folder is no source of this one.
            if source.is_dir() and root_out != root and root_out in path.parents:
                continue
            target = root_out / path.relative_to(root).with_suffix(suffix)
            if origins.setdefault(target, path) != path:
                raise TamisError(
                    f"{origins[target]} and {path} would both become {target}; rename one"
                )
    originals = set(origins.values())
    for target, path in origins.items():
        if target in originals:
            raise TamisError(f"{path} would overwrite the source {target}; choose another folder")
    if not origins:
        raise TamisError(f"nothing to do: {', '.join(map(str, sources)) or 'no sources'}")
    return [Job(path, target) for target, path in origins.items()]


def run(
    jobs: Sequence[Job],
    batches: Callable[[Iterable[Job]], Iterable[list[Job]]],
    work: Work,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Do all jobs whose target is not there yet, on `workers` threads (None: one for each core).

    Raises:
        TamisError: a folder or file that cannot be written, or `workers` below 1.
    """
    start = time.perf_counter()
    workers = usable_cores() if workers is None else workers
    if workers < 1:
        raise TamisError(f"workers must be at least 1, not {workers}")
    todo = [job for job in jobs if overwrite or not job.target.exists()]
    summary = Summary(skipped=len(jobs) - len(todo))
    done = summary.skipped
    for outcomes in _in_order(batches(todo), work, workers):
        for outcome in outcomes:
            summary.add(outcome)
        done += len(outcomes)
        if progress:
            progress(done, len(jobs))
    summary.seconds = time.perf_counter() - start
    return summary


def write_whole(target: Path, data: bytes) -> None:
    """Write `data` to `target` so that it is seen whole or not at all.

    Raises:
        TamisError: the folder or the file cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


class OutputError(TamisError):
    """Nowhere to write: ends the run, because the next file would meet the same."""


def usable_cores() -> int:
    """Cores this process may use: fewer than the machine has inside a container or a job."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_order(
    batches: Iterable[list[Job]], work: Work, workers: int
) -> Iterator[list[Written | Failure]]:
    """Outcomes in the order of the batches, with no more in memory than the threads can use."""
    waiting = iter(batches)
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[list[Written | Failure]]] = deque()
        try:
            running.extend(pool.submit(work, batch) for batch in islice(waiting, 2 * workers))
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(work, batch) for batch in islice(waiting, 1))
        finally:
            # On Ctrl-C or a full disk only what already runs is waited for.
            pool.shutdown(cancel_futures=True)
