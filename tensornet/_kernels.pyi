from collections.abc import Sequence
from typing import Any, TypedDict

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
def info() -> Info: ...
def winograd(
    x: NDArray[Any],
    w: NDArray[Any],
    y: NDArray[Any],
    before: Sequence[int],
    channels_last: bool,
    threads: int,
) -> None: ...
