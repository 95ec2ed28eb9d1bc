"""Processes that share the work of a sweep and end with the process that started them."""

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch

from tamis.bench.coding import Bench
from tamis.bench.plan import Plan
from tamis.errors import TamisError

_Work = TypeVar("_Work")
_Done = TypeVar("_Done")

_bench: Bench
"""The tasks, codecs and preprocessors of a spawned worker."""


class Workers:
    """Applies functions of `(bench, work)` to many pieces of work; a context manager.

    Args:
        bench: used as it is when everything happens in this process.
        processes: 1 for this process; more are spawned and make a `Bench` of the same plan.

    Raises:
        TamisError: a task or preprocessor given as an object that cannot be sent to a process.
    """

    def __init__(self, bench: Bench, processes: int) -> None:
        self._own = bench
        self._pool: ProcessPoolExecutor | None = None
        if processes <= 1:
            return
        try:
            pickle.dumps(bench.plan)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TamisError(
                f"a task or preprocessor cannot be sent to another process ({error}); give it as a "
                "spec, make it of importable functions, or use 1 process"
            ) from error
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(bench.plan, bench.run.folder),
        )

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def apply(
        self, function: Callable[[Bench, _Work], _Done], pieces: Iterable[_Work]
    ) -> Iterator[tuple[_Work, _Done]]:
        """Yield each piece of work with its result, as they are done.

        Raises:
            TamisError: from `function`, or a worker died.
        """
        if self._pool is None:
            for piece in pieces:
                yield piece, function(self._own, piece)
            return
        try:
            futures: dict[Future[Any], _Work] = {
                self._pool.submit(_apply, function, piece): piece for piece in pieces
            }
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise TamisError(
                "a worker process died, perhaps for want of memory; use fewer processes. "
                "What is done is kept: the same command goes on from there"
            ) from error


def _start(plan: Plan, folder: Path) -> None:
    global _bench
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _bench = Bench(plan, folder)


def end_with_parent() -> None:
    """Wait for the parent process to end, then end this one; for a thread of a worker."""
    # A worker whose parent was killed would wait for work for ever: it holds both ends of its pipe.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _apply(function: Callable[[Bench, Any], Any], piece: Any) -> Any:
    return function(_bench, piece)
