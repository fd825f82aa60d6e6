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
def empty(shape: tuple[int, ...], dtype: Any) -> Array: ...
