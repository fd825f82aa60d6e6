"""The sweep backwards over what was recorded: it knows no operation but addition and casts.

Records are visited from the latest to the earliest, so each has all of its cotangents when its
turn comes; nothing is recursive. A record is let go as soon as it has been visited, and with it the
arrays that only it has kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._tape import sweep_back
from ..ops import add, cast
from ..records import Origin

__all__ = ["pull_back"]


def pull_back(
    origins: list[Origin | None],
    cotangents: list[Any],
    sources: Sequence[Origin],
    release: bool = False,
) -> list[Any]:
    """The cotangents of the sources, given those of results.

    It is itself recorded if something else is being differentiated; then it computes with Tensors,
    otherwise with arrays.

    Args:
        origins: of the results; the list is emptied, so that records can be let go on the way.
        cotangents: theirs, of the same shapes; emptied, too.
        sources: what to differentiate with respect to.
        release: make the records unusable as they are visited, also for those who hold them.

    Returns:
        for each source an array or Tensor of its shape and dtype, or None: nothing depends on it.

    Raises:
        TypeError: an operation on the way has no rule.
        ShapeError: a rule returned a cotangent of another shape than its operand's.
        TensorNetError: the records have been released.
    """
    return sweep_back(origins, cotangents, sources, release, add, cast)
