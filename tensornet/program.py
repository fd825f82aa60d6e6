"""Tree -> Program: a contraction compiled for one dtype, run by the C kernels."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._kernels import keep_at_most, trim
from ._program import DTYPE_CODES
from .config import (
    available_memory,
    check_threads,
    format_bytes,
    get_num_threads,
    total_memory,
)
from .errors import MemoryLimitError, ShapeError
from .executors import run_sliced
from .progress import progress_bar
from .work import Network

if TYPE_CHECKING:
    from .planner import Tree

__all__ = ["SUPPORTED_DTYPES", "Program", "check_dtype", "clear_cache", "lower", "recall"]

SUPPORTED_DTYPES: tuple[np.dtype[Any], ...] = tuple(DTYPE_CODES)

Progress = Callable[[float, float], object]

_CHECKED = 64 << 20  # bytes from which on a run asks first whether the memory is there


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """The supported NumPy dtype that `dtype` names, in native byte order.

    Raises:
        TypeError: not one of the supported dtypes; names them.

    >>> check_dtype("complex64")
    dtype('complex64')
    """
    given = np.dtype(dtype)
    native: np.dtype[Any] = given.newbyteorder("=")
    if native not in DTYPE_CODES:
        names = ", ".join(str(name) for name in SUPPORTED_DTYPES)
        raise TypeError(f"dtype {given} is not supported; supported are {names}")
    return native


class Program:
    """A contraction tree compiled for one dtype: call it with arrays, get the result.

    Immutable, and safe to call from many threads at once. Make one with `lower` or
    `Plan.compile`.

    Attributes:
        tree: the contraction tree it runs.
        dtype: of operands and result. float16 is computed in float32; integers wrap and bool is
            (or, and), as in NumPy.
        threads: how many threads a run uses.
        memory_required: bytes that a run allocates, workspace and result, exactly, if its operands
            are in C order; others may take a little more or less.
        n_slices: how many slices are summed.
        macs: scalar multiply-adds of a run; steps outside the slice loop count once.
        accepts: ``accepts(arrays)`` tells whether a tuple holds one plain array of just the right
            dtype and shape per operand, so that a run takes them as they are.
    """

    def __init__(
        self, tree: Tree, dtype: np.dtype[Any], threads: int, strip_exponent: bool
    ) -> None:
        if strip_exponent and dtype.kind not in "fc":
            raise TypeError(f"strip_exponent needs a floating dtype, not {dtype}")
        self.tree = tree
        self.dtype = dtype
        self.strip_exponent = strip_exponent
        largest = min(tree.max_size, 1 << 60)
        self._network = Network(tree.expr, tree.steps, tree.sliced, dtype, largest, strip_exponent)
        self._executor = self._network.compile(threads)
        self.accepts = self._executor.accepts
        self.quick = self._executor.quick
        facts = self._executor.info
        self.threads: int = max(facts["threads"], facts["workers"])
        self.n_slices: int = facts["slices"]
        self.macs = int(facts["macs"])
        self.memory_required: int = facts["arena_bytes"] + facts["output_bytes"]
        self._facts = facts

    def __call__(
        self,
        *arrays: Any,
        out: np.ndarray[Any, Any] | None = None,
        progress: bool | Progress | None = None,
        executor: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Contract `arrays`; returns the result, or (mantissa, exponent) with strip_exponent.

        Args:
            arrays: one per operand, with exactly the shapes of the network and any strides.
            out: where to write the result; may overlap an operand.
            progress: True for a bar on stderr, or a function of (macs done, macs in all).
            executor: where the slices run: None for threads of this process, an executor of
                concurrent.futures (threads, processes, loky, mpi4py.futures), a dask.distributed
                Client, or the module ray. The bits are the same wherever they run.
            checkpoint: a file in which the sums of finished slices are kept while it runs, and
                from which a rerun continues, to the same bits; removed at the end.

        Returns:
            An array of the output's shape. With strip_exponent a pair: the value is
            ``mantissa * 2.0**exponent``, the exponent -inf when it is exactly zero.

        Raises:
            ShapeError: wrong number or shapes of operands, or of `out`.
            TypeError: an operand or `out` whose dtype cannot be cast within its kind.
            MemoryLimitError: more memory is needed than there is; nothing was allocated.
            CheckpointError: `checkpoint` is a file, but not of this program and these arrays.

        A program without slices ignores `executor` and `checkpoint`. One whose result is too large
        for a sum per chunk of slices runs here, unless its slices are parts of the result.
        """
        door = self._executor
        operands = arrays if door.accepts(arrays) else self._operands(arrays)
        if self.memory_required > _CHECKED:
            self._check_memory(out)
        target = door.empty() if out is None else self._target(out, operands)
        if not progress and executor is None and checkpoint is None:
            exponent = door.run(operands, target)
        else:
            outside, flops = self._facts["invariant_macs"], 8 if self.dtype.kind == "c" else 2
            with progress_bar(progress, self.n_slices, outside, flops) as report:
                if self.n_slices == 1 or (executor is None and checkpoint is None):
                    exponent = door.run(operands, target, report)
                else:
                    exponent = run_sliced(
                        door, self._network, operands, target, executor, checkpoint, report
                    )
        if out is not None and target is not out:
            np.copyto(out, target, casting="same_kind")
        result = target if out is None else out
        if not self.strip_exponent:
            return result
        return result, float("-inf") if exponent is None else float(exponent)

    def _check_memory(self, out: object) -> None:
        needed = self.memory_required - (0 if out is None else self._facts["output_bytes"])
        available = available_memory()
        if needed > available:
            raise MemoryLimitError(
                f"this contraction needs {format_bytes(needed)} ({needed} bytes) but "
                f"{format_bytes(available)} are available; give a memory_limit to slice it"
            )

    def _operands(self, arrays: Sequence[Any]) -> tuple[np.ndarray[Any, Any], ...]:
        shapes = self._executor.shapes
        if len(arrays) != len(shapes):
            raise ShapeError(f"the network has {len(shapes)} operands but {len(arrays)} were given")
        return tuple([self._operand(i, array, shapes[i]) for i, array in enumerate(arrays)])

    def _operand(self, position: int, array: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        operand = np.asarray(array)
        if operand.shape != shape:
            raise ShapeError(f"operand {position} has shape {operand.shape}, expected {shape}")
        if operand.dtype == self.dtype and operand.dtype.isnative:
            return operand
        if not np.can_cast(operand.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"operand {position} has dtype {operand.dtype}, which a program for "
                f"{self.dtype} does not accept; compile it for another dtype"
            )
        return operand.astype(self.dtype)

    def _target(self, out: Any, operands: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """`out` itself where it can be written directly, else a fresh array."""
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
        if out.shape != self._executor.output_shape:
            raise ShapeError(
                f"out has shape {out.shape} but the result has {self._executor.output_shape}"
            )
        if not out.flags.writeable:
            raise ValueError("out is read-only")
        if not np.can_cast(self.dtype, out.dtype, "same_kind"):
            raise TypeError(f"out has dtype {out.dtype}, to which {self.dtype} cannot be cast")
        direct = (
            type(out) is np.ndarray
            and out.dtype == self.dtype
            and out.dtype.isnative
            and not any(np.may_share_memory(out, operand) for operand in operands)
        )
        return out if direct else np.empty(out.shape, self.dtype)

    def steps(self) -> list[str]:
        """One line per compiled step: slice level, kernel, group sizes."""
        lines: list[str] = self._executor.step_lines()
        return lines

    def __repr__(self) -> str:
        return (
            f"Program({len(self._executor.shapes)} operands, {self.dtype}, "
            f"{self.n_slices} slices, {self.memory_required} bytes)"
        )


class _Cache:
    """Programs, least recently used first out, bounded by the bytes they roughly take."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._programs: OrderedDict[Any, tuple[Program, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any) -> Program | None:
        with self._lock:
            found = self._programs.get(key)
            if found is None:
                return None
            self._programs.move_to_end(key)
            return found[0]

    def put(self, key: Any, program: Program) -> None:
        # a step takes some 400 bytes in C and in its tree; a kept arena is at most 64 KiB
        size = 4096 + 400 * len(program.tree.steps) + min(program.memory_required, 64 << 10)
        with self._lock:
            _, before = self._programs.pop(key, (None, 0))
            self._programs[key] = program, size
            self._bytes += size - before
            while self._bytes > self.limit and len(self._programs) > 1:
                self._bytes -= self._programs.popitem(last=False)[1][1]

    def clear(self) -> None:
        with self._lock:
            self._programs.clear()
            self._bytes = 0


_cache = _Cache(limit=64 << 20)
keep_at_most(min(total_memory() // 64, 1 << 30))


def clear_cache() -> None:
    """Forget all compiled programs, and give back the memory that waits for the next run."""
    _cache.clear()
    trim()


def recall(key: Hashable, make: Callable[[], Program]) -> Program:
    """The program remembered under `key`, made if there is none; the cache is that of `lower`."""
    program = _cache.get(key)
    if program is None:
        program = make()
        _cache.put(key, program)
    return program


def lower(
    tree: Tree, dtype: Any, *, threads: int | None = None, strip_exponent: bool = False
) -> Program:
    """Compile a contraction tree for a dtype; recently compiled programs are reused.

    Args:
        tree: what to contract, in which order, sliced how.
        dtype: one of `SUPPORTED_DTYPES`.
        threads: how many threads a run may use; default `config.get_num_threads()`.
        strip_exponent: take a power of two out of every intermediate.

    Raises:
        TypeError, ValueError: an unsupported dtype, an impossible number of threads.
        MemoryLimitError: an intermediate that no machine could hold.

    Takes about a microsecond per step.
    """
    checked = check_dtype(dtype)
    count = check_threads(threads) or get_num_threads()
    key = tree.expr, tree.steps, tree.sliced, checked.num, count, strip_exponent
    return recall(key, lambda: Program(tree, checked, count, strip_exponent))
