from collections.abc import Callable

MAX_EXACT: int
MODES: dict[str, int]

Terms = tuple[tuple[int, ...], ...]
Steps = tuple[tuple[int, int], ...]

def search(
    inputs: Terms,
    output: tuple[int, ...],
    sizes: tuple[int, ...],
    mode: str,
    seed: int,
    samples: int,
    seconds: float,
    threads: int,
    report: Callable[[float, float], None] | None = None,
    objective: tuple[float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0),
    stopped: list[BaseException] | None = None,
) -> Steps: ...
def slice_steps(
    inputs: Terms,
    output: tuple[int, ...],
    sizes: tuple[int, ...],
    steps_in: Steps,
    limit: float,
    most: float = ...,
    seed: int = 0,
    samples: int = 0,
    seconds: float = ...,
    threads: int = 1,
    report: Callable[[float, float], None] | None = None,
    stopped: list[BaseException] | None = None,
) -> tuple[Steps, tuple[int, ...]] | None: ...
def canonical(
    inputs: Terms, output: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[Terms, tuple[int, ...], tuple[int, ...]]: ...
def tree_costs(
    inputs: Terms,
    output: tuple[int, ...],
    sizes: tuple[int, ...],
    steps: Steps,
    sliced: tuple[int, ...],
) -> tuple[int, int, int]: ...
