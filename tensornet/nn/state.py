"""Named arrays that are to be loaded, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..records import Outline

__all__ = ["check_arrays", "outline_of"]


def outline_of(array: np.ndarray[Any, Any]) -> Outline:
    """The shape and dtype of an array."""
    return Outline(array.shape, array.dtype)


def check_arrays(
    arrays: Mapping[str, Any], own: Mapping[str, Outline], label: str, hint: str = ""
) -> None:
    """Complain of arrays that do not fit in the place of one's own, by name, shape and kind.

    Args:
        own: what is expected; dtypes are converted within a kind, float64 to float32 for example.
        label: whose state this should be.
        hint: the end of the message.

    Raises:
        CheckpointError: with a list of all that is wrong.

    >>> check_arrays({"w": np.zeros(2)}, {"w": outline_of(np.zeros(2, "float32"))}, "a model")
    """
    wrong = []
    if missing := [name for name in own if name not in arrays]:
        wrong.append(f"missing: {', '.join(missing)}")
    if unexpected := [name for name in arrays if name not in own]:
        wrong.append(f"unexpected: {', '.join(unexpected)}")
    for name, outline in own.items():
        if name not in arrays:
            continue
        given = np.asarray(arrays[name])
        if given.shape != outline.shape:
            wrong.append(f"{name} has shape {given.shape} instead of {outline.shape}")
        elif not np.can_cast(given.dtype, outline.dtype, "same_kind"):
            wrong.append(f"{name} is {given.dtype} instead of {outline.dtype}")
    if wrong:
        raise CheckpointError(f"this is no state of {label}: {'; '.join(wrong)}{hint}")
