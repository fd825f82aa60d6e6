"""Work: a network and its operands, which any process can sum a chunk of slices of further.

Whoever does it gets the same bits: on the way arrays keep their strides, on which the choice of
kernels depends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ._kernels import info
from ._program import Executor, Run
from .arrays import Array
from .config import get_num_threads, installed_version
from .errors import TensorNetError

__all__ = ["Network", "State", "Work"]

State = tuple[int, int, Any]  # of a chunk: next slice, exponent and bytes of its sums, or None


class Network(NamedTuple):
    """What the compiled program is made from, whatever the number of threads."""

    expr: Any
    steps: Any
    sliced: tuple[int, ...]
    dtype: np.dtype[Any]
    largest: int
    strip: bool

    def compile(self, threads: int) -> Executor:
        """The program, with bits that do not depend on `threads`."""
        return Executor(*self[:5], threads, self.strip)


class Work:
    """A network and its operands. Other processes rebuild it to the same bits, strides included.

    Attributes:
        plan, inputs, key: names of what is computed, of the entries it is computed from, of both.
        cancelled: nobody waits for the result any more.
    """

    def __init__(self, network: Network, operands: Sequence[Array], out: Array) -> None:
        self.network = network
        self.operands = tuple(operands)
        self.layout = _strides(out)
        self.built = _build()
        self.plan = _digest([*network, *self.built])
        packed = map(_packed, operands)
        self.inputs = _digest(chain([self.layout], chain.from_iterable(packed)))
        self.key = self.plan + self.inputs
        self.cancelled = False
        self._idle: list[Run] = []

    def __getstate__(self) -> dict[str, Any]:
        packed = [_packed(operand) for operand in self.operands]
        return {**self.__dict__, "operands": packed, "cancelled": False, "_idle": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.operands = tuple([_unpacked(*packed) for packed in state["operands"]])

    def advance(self, chunk: int, state: State, seconds: float) -> tuple[State, float]:
        """Sum a chunk further, from `state` on, for about so long or to its end.

        Returns:
            its state then, and how many seconds it took.
        """
        if self.built != _build():
            theirs, ours = (" ".join(built) for built in (self.built, _build()))
            raise TensorNetError(
                f"a worker has tensornet {ours} but the caller {theirs}, and their sums may differ "
                f"in the last bits: use one version, and one TENSORNET_ISA, everywhere"
            )
        start = time.monotonic()
        try:
            run = self._idle.pop()
        except IndexError:
            run = self._prepare()
        run.restore(chunk, *state)
        run.proceed(chunk, chunk + 1, self._listen, seconds)
        slice_, exponent = run.chunks[chunk].tolist()
        after = slice_, exponent, run.sums(chunk).copy()
        self._idle.append(run)
        return after, time.monotonic() - start

    def _prepare(self) -> Run:
        """A run of a worker's own: with one thread, for the worker shares the machine."""
        named = os.environ.get("TENSORNET_NUM_THREADS", "").strip()
        door = self.network.compile(get_num_threads() if named else 1)
        out = _with_strides(door.output_shape, self.layout, self.network.dtype)
        return Run(door, self.operands, out, clear=False)

    def _listen(self, done: float, total: float) -> None:
        if self.cancelled:
            raise CancelledError


def _digest(parts: Iterable[object]) -> str:
    """A name for these values, arrays in C order; equal ones have equal names everywhere."""
    found = sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(part.reshape(-1).view(np.uint8).data)
        else:
            found.update(repr(part).encode())
        found.update(b"\0")
    return found.hexdigest()


def _build() -> tuple[str, str]:
    """What the bits of a sum depend on besides the network: our version, the instruction set."""
    return installed_version(), info()["isa"]


def _strides(array: Array) -> tuple[int, ...]:
    """Bytes between entries along each axis; nothing steps along an axis of extent 1."""
    return tuple([s if n > 1 else 0 for n, s in zip(array.shape, array.strides)])


def _with_strides(shape: Sequence[int], strides: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """A new array of undefined entries with just these strides."""
    reach = [(n - 1) * s for n, s in zip(shape, strides)]
    first, last = sum([r for r in reach if r < 0]), sum([r for r in reach if r > 0])
    memory = np.empty(last - first + dtype.itemsize, np.uint8)
    array: Array = np.ndarray(tuple(shape), dtype, memory, -first, tuple(strides))
    return array


def _packed(array: Array) -> tuple[Array, tuple[int, ...], tuple[int, ...]]:
    """The entries of an array, repeated ones once, with its shape and strides."""
    strides = _strides(array)
    once = tuple([slice(None) if s else slice(1) for s in strides])
    return np.ascontiguousarray(array[once]), array.shape, strides


def _unpacked(entries: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    entries = entries.reshape([n if s else 1 for n, s in zip(shape, strides)])
    if entries.shape == shape and _strides(entries) == strides:
        return entries
    array = _with_strides(shape, strides, entries.dtype)
    array[tuple([slice(None) if s else slice(1) for s in strides])] = entries
    return array
