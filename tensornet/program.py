"""Tree -> Program: a contraction compiled for one dtype, run by the C kernels."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Sized
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from ._kernels import keep_at_most, trim
from .arrays import Array, as_array, as_arrays, check_dtype
from .batches import contract_folds, entries_of_folds, run_batches
from .config import (
    available_memory,
    check_threads,
    format_bytes,
    get_num_threads,
    total_memory,
)
from .errors import MemoryLimitError, ShapeError
from .executors import run_sliced
from .planner import Tree, fold_tree
from .progress import Progress, progress_bar
from .tape import any_tensor, apply
from .work import Network

__all__ = ["Program", "clear_cache", "lower", "recall"]

_Convert = Callable[[Array, np.dtype[Any]], Array]

_CHECKED = 64 << 20  # bytes from which on a run asks first whether the memory is there


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
            are of the program's dtype and in C order; `memory_for` tells it for any.
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
        largest = min(tree.max_size, 1 << 60) if tree.sliced else 0  # it matters to chunks only
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
        out: Array | None = None,
        progress: Progress = None,
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
            An array of the output's shape, a Tensor if an operand is one. With strip_exponent a
            pair: the value is ``mantissa * 2.0**exponent``, the exponent -inf when it is exactly
            zero.

        Raises:
            ShapeError: wrong number or shapes of operands, or of `out`.
            TypeError: an operand or `out` whose dtype cannot be cast within its kind.
            MemoryLimitError: more memory is needed than there is; nothing was allocated.
            CheckpointError: `checkpoint` is a file, but not of this program and these arrays.

        A program without slices ignores `executor` and `checkpoint`. One whose result is too large
        for a sum per chunk of slices runs here, unless its slices are parts of the result.
        """
        door = self._executor
        operands = arrays
        if not door.accepts(arrays):
            if out is None and any_tensor(arrays):
                options = {"progress": progress, "executor": executor, "checkpoint": checkpoint}
                return apply(run_operands, (self, *arrays), options)
            operands = self._operands(arrays)
        check_available(self.memory_required - (0 if out is None else self._facts["output_bytes"]))
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

    @property
    def footprint(self) -> int:
        """Bytes that the program takes between runs, roughly: all its variants, and their arenas.

        A step takes some 400 bytes in C, and in its tree; a kept arena is at most 64 KiB.
        """
        variant = 4096 + 400 * len(self.tree.steps) + min(self.memory_required, 64 << 10)
        return self._executor.n_compiled * variant

    def _operands(
        self, arrays: Sequence[Any], convert: _Convert = np.ndarray.astype
    ) -> tuple[Array, ...]:
        return fitting_operands(arrays, self._executor.shapes, self.dtype, convert)

    def _target(self, out: Any, operands: Sequence[Array]) -> Array:
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

    def memory_for(self, *arrays: Any, out: Array | None = None) -> int:
        """Exact bytes that a call with these arrays and this `out` allocates.

        Workspace for their strides, the result unless `out` takes it, and copies: of operands of
        other dtypes, and of a result that `out` cannot take at once. For arrays in C order, of the
        program's dtype, without `out`, it is `memory_required`. Nothing is computed.

        Raises:
            ShapeError, TypeError: arrays that a call would refuse.

        >>> from tensornet import plan
        >>> program = plan(["ij", "jk"], "ik", {"i": 2, "j": 2, "k": 2}).compile("float64")
        >>> floats = np.eye(2)
        >>> integers = np.eye(2, dtype=int)
        >>> program.memory_for(floats, integers) - program.memory_required  # a copy of 4 entries
        32
        """
        plain = out is None and self.accepts(arrays)
        if plain and all(array.flags.c_contiguous for array in arrays):
            return self.memory_required
        given = as_arrays(arrays)
        operands = self._operands(given, np.empty_like)  # no page of which is touched
        copies = sum([b.nbytes for a, b in zip(given, operands) if b is not a])
        target = np.empty(self._executor.output_shape, self.dtype)
        if out is not None:
            target = self._target(out, operands)
        if target is not out:
            copies += target.nbytes
        return self._executor.arena_bytes(operands, target) + copies

    def map(
        self,
        batches: Iterable[Sequence[Any]],
        constants: Mapping[int, Any],
        *,
        out: Array | None = None,
        progress: Progress = None,
    ) -> Any:
        """Contract many sets of arrays that have some operands in common.

        What only constants enter is contracted once, before the first run. A plan made for this
        (`tensornet.plan` with `constants` and `runs`) keeps that part large.

        Args:
            batches: for each run the arrays of the operands that are not constant, in order; read
                one after the other, so that a generator needs no memory.
            constants: arrays by the position of their operand.
            out: array of shape (runs, *shape of a result) that takes the results; it must be
                given if `batches` has no length.
            progress: True for a bar on stderr, or a function of (macs done, macs in all).

        Returns:
            an array of that shape; with strip_exponent a pair (mantissas, exponents).

        Raises:
            ShapeError, TypeError: arrays that do not fit; says which operand, or which batch.

        Takes the memory of one run, the results, and for what is kept at most `memory_required`.

        >>> import tensornet
        >>> plan = tensornet.plan(["ab", "bc", "c"], "a", {"a": 2, "b": 2, "c": 2})
        >>> vectors = np.eye(2)
        >>> plan.compile().map([[v] for v in vectors], {0: np.ones((2, 2)), 1: np.eye(2)}).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        """
        shapes = self._executor.shapes
        for k in constants:
            if not 0 <= k < len(shapes):
                raise ShapeError(f"constants names operand {k}, but there are {len(shapes)}")
        compiled = partial(
            lower, dtype=self.dtype, threads=self.threads, strip_exponent=self.strip_exponent
        )
        ready = {k: fitting_operand(k, constants[k], shapes[k], self.dtype) for k in constants}
        kept = self.memory_required // self.dtype.itemsize
        folds, rest = fold_tree(self.tree, ready.keys(), entries_of_folds(self.dtype, kept))
        shared = contract_folds(folds, ready, compiled)
        count = len(batches) if isinstance(batches, Sized) else None
        return run_batches(compiled(rest), batches, count, shared, out, progress)

    def steps(self) -> list[str]:
        """One line per compiled step: slice level, kernel, group sizes."""
        lines: list[str] = self._executor.step_lines()
        return lines

    def __reduce__(self) -> tuple[Any, ...]:
        threads, strip = self.threads, self.strip_exponent
        return partial(lower, self.tree, self.dtype, threads=threads, strip_exponent=strip), ()

    def __repr__(self) -> str:
        return (
            f"Program({len(self._executor.shapes)} operands, {self.dtype}, "
            f"{self.n_slices} slices, {self.memory_required} bytes)"
        )


def check_available(needed: int) -> None:
    """Raise MemoryLimitError if a run needs more bytes than the machine has left."""
    if needed > _CHECKED and needed > (available := available_memory()):
        raise MemoryLimitError(
            f"this contraction needs {format_bytes(needed)} ({needed} bytes) but "
            f"{format_bytes(available)} are available; give a memory_limit to slice it"
        )


def fitting_operands(
    arrays: Sequence[Any],
    shapes: Sequence[tuple[int, ...]],
    dtype: np.dtype[Any],
    convert: _Convert = np.ndarray.astype,
) -> tuple[Array, ...]:
    """The operands as arrays of just this dtype, if they have these shapes.

    Raises:
        ShapeError, TypeError: they do not fit; says which.
    """
    if len(arrays) != len(shapes):
        raise ShapeError(f"the network has {len(shapes)} operands but {len(arrays)} were given")
    return tuple(
        [fitting_operand(i, array, shapes[i], dtype, convert) for i, array in enumerate(arrays)]
    )


def fitting_operand(
    position: int,
    array: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    convert: _Convert = np.ndarray.astype,
) -> Array:
    """One operand of `fitting_operands`."""
    operand = as_array(array, f"operand {position}")
    if operand.shape != shape:
        raise ShapeError(f"operand {position} has shape {operand.shape}, expected {shape}")
    if operand.dtype == dtype and operand.dtype.isnative:
        return operand
    if not np.can_cast(operand.dtype, dtype, "same_kind"):
        raise TypeError(
            f"operand {position} has dtype {operand.dtype}, which a program for "
            f"{dtype} does not accept; compile it for another dtype"
        )
    return convert(operand, dtype)


class _Compiled(Protocol):
    @property
    def footprint(self) -> int: ...


P = TypeVar("P", bound=_Compiled)


class _Cache:
    """Programs, least recently used first out, bounded by the bytes they roughly take."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._programs: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any) -> Any:
        with self._lock:
            found = self._programs.get(key)
            if found is None:
                return None
            program, before = found
            self._programs[key] = program, program.footprint  # it may have compiled variants since
            self._programs.move_to_end(key)
            self._bytes += program.footprint - before
            return program

    def put(self, key: Any, program: _Compiled) -> None:
        size = program.footprint
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


def recall(key: Hashable, make: Callable[[], P]) -> P:
    """The program remembered under `key`, made if there is none; the cache is that of `lower`."""
    program: P | None = _cache.get(key)
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
        dtype: one of `arrays.SUPPORTED_DTYPES`.
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


def run_operands(program: Program, *operands: Any, **options: Any) -> Any:
    """A run as an operation, whose operands are arguments of their own."""
    return program(*operands, **options)
