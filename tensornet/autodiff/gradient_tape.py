"""GradientTape: record what is computed within a block, then ask for gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tape import own
from ..errors import TensorNetError
from ..records import state
from ..tape import Tensor, tensor_of
from .engine import pull_back
from .functional import _seed
from .structure import leaves_of, rebuilt
from .variables import track, tracked

__all__ = ["GradientTape"]


class GradientTape:
    """Records the operations of a ``with`` block on watched Tensors, as TensorFlow's class does.

    Args:
        persistent: may gradients be taken more than once? Otherwise `gradient` lets go of what was
            recorded, and its memory.

    What is recorded hangs on the Tensors that were computed, and goes when they do. Only the thread
    that entered the block records. Tapes may be nested; gradients taken within a block are recorded
    by it, which gives second derivatives.

    >>> from tensornet import Tensor
    >>> x = Tensor(3.0)
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> tape.gradient(y, x)
    Tensor(6., dtype=float64)
    """

    def __init__(self, persistent: bool = False) -> None:
        self._persistent = persistent
        self._shared = False  # do other tapes need the same records?
        self._active = False

    def __enter__(self) -> GradientTape:
        if self._active:
            raise TensorNetError("this GradientTape is recording already: make another one")
        self._active = True
        self._shared = bool(state.depth)
        for other in state.tapes:
            other._shared = True
        state.tapes.append(self)
        state.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        state.depth -= 1
        state.tapes.remove(self)
        self._active = False

    def watch(self, tensors: Any) -> None:
        """Make Tensors variables, to differentiate with respect to.

        Args:
            tensors: a Tensor, or lists, tuples and dicts of them. They stay variables after the
                block, which costs nothing while no tape records.

        Raises:
            TypeError: not a Tensor, or one without floating point entries.
        """
        for tensor in leaves_of(tensors):
            if type(tensor) is not Tensor:
                raise TypeError(
                    f"a GradientTape watches Tensors, not {type(tensor).__name__}: make one with "
                    "tensornet.Tensor(array)"
                )
            track(tensor, "a watched tensor")

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """The gradient of a target, summed over its entries, with respect to sources.

        Args:
            target: a Tensor, or a structure of them; their gradients add up.
            sources: watched Tensors or what was computed from them; a Tensor or lists, tuples and
                dicts of them.
            output_gradients: cotangents of the targets, by default ones.
            unconnected_gradients: what sources get that the target does not depend on: "none", or
                "zero" for zeros of their shape.

        Returns:
            Tensors in the structure of `sources`, of their shapes and dtypes.

        Raises:
            TypeError: a source that is not a Tensor, a complex target without `output_gradients`,
                or an operation without a rule.
            TensorNetError: gradients have been taken from a tape that is not persistent.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"unconnected_gradients is 'none' or 'zero', not {unconnected_gradients!r}"
            )
        targets, wanted = leaves_of(target), leaves_of(sources)
        for each in wanted:
            if type(each) is not Tensor:
                raise TypeError(f"gradients are with respect to Tensors, not {type(each).__name__}")
        given = [None] * len(targets) if output_gradients is None else leaves_of(output_gradients)
        seeds = [
            _ones(y) if g is None else _seed(g, (y.shape, y.dtype)) for y, g in zip(targets, given)
        ]
        known = [tracked(each) for each in wanted]
        release = not (self._persistent or self._shared or state.depth)
        origins = [tracked(each) for each in targets]
        found = pull_back(origins, seeds, [each for each in known if each], release)
        connected = iter(found)
        seen: set[int] = set()
        gradients = [
            _result(next(connected) if origin else None, source, unconnected_gradients, seen)
            for origin, source in zip(known, wanted)
        ]
        return rebuilt(sources, iter(gradients))


def _ones(target: Any) -> Any:
    if target.dtype.kind != "f":
        raise TypeError(
            f"a target of dtype {target.dtype} needs output_gradients: only that of a real target "
            "is 1 by itself"
        )
    return np.ones(target.shape, target.dtype)


def _result(cotangent: Any, source: Tensor, unconnected: str, seen: set[int]) -> Tensor | None:
    if cotangent is None:
        return None if unconnected == "none" else tensor_of(np.zeros_like(source._array))
    if type(cotangent) is Tensor:
        return cotangent
    return tensor_of(own(np.asarray(cotangent), seen))
