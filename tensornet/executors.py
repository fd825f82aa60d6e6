"""Where the slices of a program run: in this process, in the workers of a pool, or on a cluster.

The unit of work is a chunk of slices and what is summed of it: whoever has the operands can take it
a few seconds further, and give it back. Sums of a chunk are bitwise the same wherever and in
however many parts it ran, and chunks are combined here, in a fixed order.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from concurrent import futures
from concurrent.futures.process import ProcessPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from ._program import Executor, Run
from .arrays import Array
from .checkpoints import Checkpoint, seconds_between
from .config import cpu_count
from .work import Network, State, Work

__all__ = ["run_sliced"]

Report = Callable[[float, float], object]

PATIENCE = 0.5  # seconds that an interrupted run waits for the end of a slice, to store its sums
DEATHS = 3  # of workers in a row that are put up with


def run_sliced(
    door: Executor,
    network: Network,
    operands: tuple[Array, ...],
    out: Array,
    executor: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> int | None:
    """Contract `operands` into `out` by slices, wherever, with a checkpoint or without.

    Args:
        door: the compiled `network`.
        executor: None for the threads of this process; an executor of concurrent.futures, a Dask
            client, or Ray.
        checkpoint: a file to continue from if it is there, written now and then, gone at the end.
        report: called with macs done and macs in all.

    Returns:
        the stripped exponent, as `Run.finish`.

    Raises:
        CheckpointError: the file is not of this run.
        TypeError: no kind of executor that is known here.
    """
    site = None if executor is None else _site(executor)
    run = Run(door, operands, out)
    work = Work(network, operands, out)
    saver = None
    if checkpoint is not None:
        saver = Checkpoint(checkpoint, run, work.plan, work.inputs)
    workers = door.info["workers"]
    if site is None or len(run.chunks) == 1:
        _run_here(run, workers, saver, report)
    else:
        tell = _reporter(run, door, report)
        if not _Dispatch(run, work, site, saver, tell).run():
            _run_here(run, workers, saver, report)
    exponent = run.finish()
    if saver is not None:
        saver.remove()
    return exponent


def _reporter(run: Run, door: Executor, report: Report | None) -> Callable[[], None]:
    """Tells `report` how far the run is."""
    facts = door.info
    outside, macs = facts["invariant_macs"], facts["macs"]

    def tell() -> None:
        if report is not None:
            report(outside + (macs - outside) * run.done / facts["slices"], macs)

    return tell


def _run_here(run: Run, workers: int, saver: Checkpoint | None, report: Report | None) -> None:
    """All that is left, on the threads of this process."""
    chunks = len(run.chunks)
    if saver is None:
        run.proceed(0, chunks, report)
        return
    seconds = seconds_between(1, 0.0, workers)
    try:
        while True:
            done, start = run.done, time.monotonic()
            if run.proceed(0, chunks, report, seconds, PATIENCE):
                return
            saver.save_if_due()
            seconds = seconds_between(run.done - done, time.monotonic() - start, workers)
    except BaseException:
        if run.whole:  # if not, what was written last is what can be continued from
            saver.save_if_can()
        raise


_latest: Work | None = None  # what this worker process was sent last


def advance(
    work: Work | None, key: str, chunk: int, state: State, seconds: float
) -> tuple[State, float] | None:
    """A worker's part in `Work.advance`; None if the work has yet to be sent to it."""
    global _latest
    mine = _latest  # which another thread may replace at any time
    if mine is None or mine.key != key or mine.cancelled:
        if work is None:
            return None
        mine = _latest = work
    return mine.advance(chunk, state, seconds)


def _advance_held(
    work: Work, chunk: int, slice_: int, exponent: int, sums: Any, seconds: float
) -> tuple[State, float]:
    """The same on a cluster that itself keeps what it was sent in its workers' memory."""
    return work.advance(chunk, (slice_, exponent, sums), seconds)


class _Pool:
    """An executor of concurrent.futures: operands go to a worker that says it has not got them.

    Attributes:
        workers: how many may have to be sent the work; 0 if the cluster sees to that.
    """

    def __init__(self, pool: Any, owned: bool = False) -> None:
        self.pool = pool
        self._owned = owned
        known = getattr(pool, "_max_workers", None) or getattr(pool, "num_workers", None)
        self.workers: int = known or cpu_count()

    def open(self, work: Work) -> None:
        self._work = work

    def submit(self, chunk: int, state: State, seconds: float, send: bool) -> Any:
        work = self._work if send else None
        return self.pool.submit(advance, work, self._work.key, chunk, state, seconds)

    def rebuilt(self) -> _Pool | None:
        """Another pool like this one, which a dying worker broke; None if it is unknown how."""
        return _equal_pool(self.pool)

    def close(self) -> None:
        global _latest
        if _latest is self._work:  # threads of this process were the workers
            _latest = None
        if self._owned:
            self.pool.shutdown(wait=False)


def _equal_pool(pool: Any) -> _Pool | None:
    given = vars(pool)
    start = {"initializer": given.get("_initializer"), "initargs": given.get("_initargs", ())}
    if isinstance(pool, ProcessPoolExecutor):
        start["mp_context"] = given["_mp_context"]
        return _Pool(ProcessPoolExecutor(given["_max_workers"], **start), True)
    if type(pool).__module__.partition(".")[0] == "loky":
        import loky

        start.update(context=given["_context"], timeout=given["_timeout"])
        return _Pool(loky.ProcessPoolExecutor(given["_max_workers"], **start), True)
    return None


class _Dask:
    """A client of dask.distributed, whose scheduler gives the task of a dead worker to another."""

    workers = 0

    def __init__(self, client: Any) -> None:
        self.client = client

    def open(self, work: Work) -> None:
        self._held = self.client.scatter(work, broadcast=True, hash=False)

    def submit(self, chunk: int, state: State, seconds: float, send: bool) -> Any:
        slice_, exponent, sums = state
        if isinstance(sums, np.ndarray) and sums.nbytes > 1 << 20:
            sums = self.client.scatter(sums, hash=False)  # more than the scheduler should see
        return self.client.submit(
            _advance_held, self._held, chunk, slice_, exponent, sums, seconds, pure=False
        )

    def rebuilt(self) -> _Dask:
        """The same cluster: new workers are sent what only the dead ones had."""
        return _Dask(self.client)

    def close(self) -> None:
        self._held = None


class _Ray:
    """Ray, the module or anything with its `put` and `remote`; it retries what dies by itself."""

    workers = 0

    def __init__(self, ray: Any) -> None:
        self.ray = ray

    def open(self, work: Work) -> None:
        self._key = work.key
        self._held = self.ray.put(work)
        self._advance = self.ray.remote(advance)

    def submit(self, chunk: int, state: State, seconds: float, send: bool) -> Any:
        return self._advance.remote(self._held, self._key, chunk, state, seconds).future()

    def rebuilt(self) -> None:
        return None

    def close(self) -> None:
        self._held = None


def _site(executor: Any) -> _Pool | _Dask | _Ray:
    if hasattr(executor, "put") and hasattr(executor, "remote"):
        return _Ray(executor)
    if hasattr(executor, "scatter") and hasattr(executor, "submit"):
        return _Dask(executor)
    if hasattr(executor, "submit"):
        return _Pool(executor)
    raise TypeError(
        f"executor must be an executor of concurrent.futures, a dask.distributed Client or the "
        f"module ray, not {executor!r}"
    )


class _Dispatch:
    """Sends chunks out and puts in what comes back, until all slices are summed."""

    def __init__(
        self,
        run: Run,
        work: Work,
        site: _Pool | _Dask | _Ray,
        saver: Checkpoint | None,
        tell: Callable[[], None],
    ) -> None:
        self._run, self._work, self._site = run, work, site
        self._saver, self._tell = saver, tell
        self._ready: SimpleQueue[int] = SimpleQueue()  # tickets of tasks that ended
        self._waiting: dict[int, tuple[int, Any]] = {}  # ticket -> chunk, future
        self._held: list[int] = []  # chunks that wait until a worker has the work
        self._sending: set[int] = set()  # tickets of tasks that carry the work
        self._sent = 0
        self._tickets = 0
        self._seconds = seconds_between(1, 0.0, 1)
        self._deaths = 0  # since a worker last gave something back

    def run(self) -> bool:
        """False if there are no workers left for the rest."""
        try:
            self._site.open(self._work)
            return self._run_all()
        except BaseException:
            self._work.cancelled = True
            self._cancel()
            if self._saver is not None:
                self._saver.save_if_can()
            raise
        finally:
            self._site.close()

    def _run_all(self) -> bool:
        begun = False
        while True:
            try:
                if not begun:
                    self._begin()
                    begun = True
                if not self._waiting:
                    return True
                self._take()
            except (futures.BrokenExecutor, futures.CancelledError) as error:
                begun = False  # nor will anything that was submitted come back
                if not self._replace_site(error):
                    return False

    def _begin(self) -> None:
        """Submit all that is left, or a chunk per worker, to hear who needs to be sent the work."""
        ends = enumerate(self._run.starts[1:])
        left = [chunk for chunk, end in ends if self._run.chunks[chunk, 0] < end]
        at_once = self._site.workers or len(left)
        self._held, self._sent = left[at_once:], 0
        for chunk in left[:at_once]:
            self._submit(chunk)

    def _submit(self, chunk: int, send: bool = False) -> None:
        run = self._run
        slice_, exponent = run.chunks[chunk].tolist()
        sums = None if slice_ == run.starts[chunk] else run.sums(chunk)
        future = self._site.submit(chunk, (slice_, exponent, sums), self._seconds, send)
        ticket = self._tickets = self._tickets + 1
        self._waiting[ticket] = chunk, future
        if send:
            self._sent += 1
            self._sending.add(ticket)
        future.add_done_callback(lambda _: self._ready.put(ticket))

    def _take(self) -> None:
        """Wait a moment for a task to end, and put what it has summed into the run."""
        self._tell()
        if self._saver is not None:
            self._saver.save_if_due()
        try:
            ticket = self._ready.get(timeout=0.1)
            chunk, future = self._waiting.pop(ticket)
        except (Empty, KeyError):  # nothing yet, or from a pool that was given up
            return
        self._sending.discard(ticket)
        answer = future.result()
        if answer is None:
            # one sending per worker; then one at a time, for a queue full of tasks without the work
            # would have each of them come back for it
            if len(self._sending) < max(1, self._site.workers - self._sent):
                self._submit(chunk, send=True)
            else:
                self._held.append(chunk)
            return
        self._deaths = 0
        held, self._held = self._held, []
        for other in held:
            self._submit(other)
        state, spent = answer
        before = int(self._run.chunks[chunk, 0])
        self._run.restore(chunk, *state)
        self._seconds = seconds_between(state[0] - before, spent, 1)
        if state[0] < self._run.starts[chunk + 1]:
            self._submit(chunk)

    def _cancel(self) -> None:
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        self._sending.clear()

    def _replace_site(self, error: Exception) -> bool:
        """Another pool in place of the broken one, if one can be made."""
        self._cancel()
        self._deaths += 1
        if self._deaths > DEATHS:
            raise error
        site = self._site.rebuilt()
        if site is None:
            warnings.warn(
                f"the executor lost its workers ({error}); this process computes what is left",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        self._site.close()
        self._site = site
        site.open(self._work)
        return True
