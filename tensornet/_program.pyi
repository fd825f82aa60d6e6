from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np

from .expr import Expr

DTYPE_CODES: dict[np.dtype[Any], int]

class Facts(TypedDict):
    steps: int
    slices: int
    chunks: int
    workers: int
    threads: int
    arena_bytes: int
    output_bytes: int
    saved_bytes: int
    macs: float
    forward_macs: float
    invariant_macs: float
    invariant_steps: int
    chunks_at: int
    sums_at: int
    sums_bytes: int
    places: int

class Executor:
    dtype: np.dtype[Any]
    output_shape: tuple[int, ...]
    def __init__(
        self,
        expr: Expr,
        steps: tuple[tuple[int, int], ...],
        sliced: tuple[int, ...],
        dtype: np.dtype[Any],
        largest: int,
        threads: int,
        strip: bool,
        needed: tuple[int, ...] = ...,
    ) -> None: ...
    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def info(self) -> Facts: ...
    def empty(self) -> np.ndarray[Any, Any]: ...
    def accepts(self, arrays: tuple[Any, ...]) -> bool: ...
    def quick(
        self, arrays: tuple[Any, ...], target: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any] | None: ...
    def arena_bytes(
        self, arrays: tuple[np.ndarray[Any, Any], ...], out: np.ndarray[Any, Any]
    ) -> int: ...
    @property
    def n_compiled(self) -> int: ...
    def step_lines(self) -> list[str]: ...
    def run(
        self,
        arrays: tuple[np.ndarray[Any, Any], ...],
        out: np.ndarray[Any, Any],
        progress: Callable[[float, float], object] | None = None,
    ) -> int | None: ...

class Run:
    starts: list[int]
    chunks: np.ndarray[Any, Any]
    def __init__(
        self,
        executor: Executor,
        arrays: tuple[np.ndarray[Any, Any], ...],
        out: np.ndarray[Any, Any],
        clear: bool = True,
    ) -> None: ...
    @property
    def done(self) -> int: ...
    @property
    def whole(self) -> bool: ...
    def sums(self, chunk: int) -> np.ndarray[Any, Any]: ...
    def restore(
        self, chunk: int, next: int, exponent: int, sums: np.ndarray[Any, Any] | None
    ) -> None: ...
    def proceed(
        self,
        first: int,
        last: int,
        progress: Callable[[float, float], object] | None = None,
        seconds: float = 0,
        patience: float = 0,
    ) -> bool: ...
    def finish(self) -> int | None: ...
