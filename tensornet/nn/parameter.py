"""Parameters: Tensors that a tape watches and an optimiser moves, unless they are frozen.

A Tensor cannot be subclassed, and need not be: a parameter is one that tapes watch from the
beginning. A frozen one is not watched, so nothing is recorded and no gradient computed for it, and
its array is read-only, so nothing can move it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..autodiff.variables import track
from ..tape import Tensor

__all__ = ["freeze", "is_trainable", "overwrite", "recast", "thaw"]


def is_trainable(tensor: Tensor) -> bool:
    """May an optimiser move it? Not if it is frozen, or holds no floating point numbers."""
    return tensor.array.flags.writeable and tensor.dtype.kind in "fc"


def freeze(tensor: Tensor) -> None:
    """Keep a parameter as it is: no gradient is computed for it, and its array is read-only.

    Raises:
        TypeError: anything but a Tensor; modules have `trainable`.

    >>> w = Tensor([1.0, 2.0])
    >>> freeze(w)
    >>> is_trainable(w)
    False
    """
    _check(tensor)
    tensor.array.flags.writeable = False
    tensor._origin = None


def thaw(tensor: Tensor) -> None:
    """Let a parameter be watched and moved again; does nothing to Tensors of whole numbers.

    An array that cannot be made writeable, such as one mapped from a file, is copied.

    Raises:
        TypeError: anything but a Tensor; modules have `trainable`.
    """
    _check(tensor)
    if tensor.dtype.kind not in "fc":
        return
    _make_writeable(tensor)
    track(tensor)


def overwrite(tensor: Tensor, entries: Any) -> None:
    """Put other entries of the same shape in the place of a parameter's, frozen or not."""
    frozen = not tensor.array.flags.writeable
    _make_writeable(tensor)
    tensor.array[...] = entries
    if frozen:
        freeze(tensor)


def recast(tensor: Tensor, dtype: DTypeLike) -> None:
    """Give a parameter another dtype, frozen or not; it remains the same Tensor."""
    array = tensor.array
    if array.dtype == dtype or array.dtype.kind not in "fc":
        return
    _replace(tensor, array.astype(dtype))
    if not array.flags.writeable:
        freeze(tensor)


def _check(tensor: Any) -> None:
    if type(tensor) is not Tensor:
        raise TypeError(
            f"freeze and thaw take a parameter, a Tensor, not {type(tensor).__name__}: for all of "
            "a module set its trainable to False or True"
        )


def _make_writeable(tensor: Tensor) -> None:
    try:
        tensor.array.flags.writeable = True
    except ValueError:  # the memory is not ours
        _replace(tensor, np.array(tensor.array, order="C"))


def _replace(tensor: Tensor, array: Any) -> None:
    tracked, tensor._origin, tensor._array = tensor._origin, None, array
    if tracked:
        track(tensor)
