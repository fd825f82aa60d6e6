from typing import Any, TypedDict

import numpy as np

Array = np.ndarray[Any, Any]

class Info(TypedDict):
    isa: str
    available_isas: list[str]
    l1d: int | None
    l2: int | None
    l3: int | None

def trim() -> None: ...
def keep_at_most(bytes: int) -> None: ...
def kept() -> int: ...
def info() -> Info: ...
def winograd(
    x: Array,
    w: Array,
    y: Array,
    before: tuple[int, ...],
    to_weights: bool,
    threads: int,
) -> None: ...
def convolve(
    dtype: int,
    x: Array,
    w: Array,
    y: Array,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    before: tuple[int, ...],
    threads: int,
) -> None: ...
def convolve_to_weights(
    dtype: int,
    x: Array,
    y: Array,
    w: Array,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    before: tuple[int, ...],
    threads: int,
) -> None: ...

SLIDE_KINDS: dict[str, int]

def slide(
    kind: str,
    windows: Any,
    source: Array,
    threads: int,
    *,
    transposed: bool = False,
    weights: Array | None = None,
    index: Array | None = None,
    padded: bool = False,
) -> Array: ...
def slide_weights(
    windows: Any, source: Array, gradient: Array, weights: Array, threads: int
) -> None: ...
def add_bias(y: Array, bias: Array, rectify: bool, threads: int) -> None: ...
def relu_gradient(g: Array, y: Array, threads: int) -> Array: ...
def curve(
    name: str, x: Array, threads: int, *, parameter: float = 0, g: Array | None = None
) -> Array: ...
def adam(
    w: Array,
    g: Array,
    total: Array,
    squares: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    rate: float,
    threads: int,
) -> None: ...
def empty(shape: tuple[int, ...], dtype: Any) -> Array: ...
