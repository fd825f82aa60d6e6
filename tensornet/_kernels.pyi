from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

class Info(TypedDict):
    isa: str
    available_isas: list[str]
    l1d: int | None
    l2: int | None
    l3: int | None

def trim() -> None: ...
def keep_at_most(bytes: int) -> None: ...
def kept() -> int: ...
def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]: ...
def info() -> Info: ...
def winograd(
    x: NDArray[Any],
    w: NDArray[Any],
    y: NDArray[Any],
    before: Sequence[int],
    channels_last: bool,
    to_weights: bool,
    threads: int,
) -> None: ...
