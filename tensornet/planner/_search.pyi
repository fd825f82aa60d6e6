from collections.abc import Callable

MAX_EXACT: int

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
    report: Callable[[], None] | None = None,
) -> Steps: ...
def optimal(inputs: Terms, output: tuple[int, ...], sizes: tuple[int, ...]) -> Steps: ...
def slice_steps(
    inputs: Terms,
    output: tuple[int, ...],
    sizes: tuple[int, ...],
    steps_in: Steps,
    limit: float,
) -> tuple[Steps, tuple[int, ...]]: ...
