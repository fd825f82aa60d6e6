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
    macs: float
    invariant_steps: int

class Executor:
    dtype: np.dtype[Any]
    shapes: tuple[tuple[int, ...], ...]
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
    ) -> None: ...
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
