"""The sweep backwards over what was recorded: it knows no operation but addition.

Records are visited from the latest to the earliest, so each has all of its cotangents when its
turn comes; nothing is recursive. A record is let go as soon as it has been visited, and with it the
arrays that only it has kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..errors import ShapeError, TensorNetError
from ..ops import add, cast
from ..records import Origin, Record, has_rule, rule_of, state
from ..tape import tensor_of

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
    found: dict[Origin, Any] = dict.fromkeys(sources)
    horizon = min([record.order for record, _ in sources], default=0)
    pending: dict[int, tuple[Record, list[Any]]] = {}
    latest: list[int] = []  # a heap of negated orders
    _collect(pending, latest, horizon, origins, cotangents)
    origins.clear()
    cotangents.clear()
    while latest:
        record, arrived = pending.pop(-heappop(latest))
        for place, cotangent in enumerate(arrived):
            if (record, place) in found:
                found[record, place] = cotangent
        if record.function is not None and record.order > horizon:
            _collect(pending, latest, horizon, record.parents, _pull(record, arrived))
            if release:
                record.args, record.parents, record.results = (), (), ()
    return [found[source] for source in sources]


def _collect(
    pending: dict[int, tuple[Record, list[Any]]],
    latest: list[int],
    horizon: int,
    origins: Iterable[Origin | None],
    cotangents: Iterable[Any],
) -> None:
    """Add cotangents to what waits for their records; those made before every source are left."""
    for origin, cotangent in zip(origins, cotangents):
        if origin is None or cotangent is None:
            continue
        record, place = origin
        if record.order < horizon:
            continue
        if not record.results:
            raise TensorNetError(
                "these gradients have been taken, and what was recorded for them is gone: use "
                "GradientTape(persistent=True) to take gradients more than once"
            )
        waiting = pending.get(record.order)
        if waiting is None:
            waiting = pending[record.order] = record, [None] * len(record.results)
            heappush(latest, -record.order)
        known = waiting[1][place]
        waiting[1][place] = cotangent if known is None else add(known, cotangent)


def _pull(record: Record, arrived: list[Any]) -> Sequence[Any]:
    """The cotangents of a record's arguments, of their shapes and dtypes."""
    rule = rule_of(record.function)
    if not has_rule(record.function) or rule is None:
        raise TypeError(
            f"{_name(record.function)} has no gradient rule; give it one with tensornet.custom_op, "
            "or keep what it is applied to from being differentiated with tensornet.stop_gradient"
        )
    args, results, parents = record.args, record.results, record.parents
    if state.depth:  # the sweep is recorded, so what it reads is tracked
        args = [
            tensor_of(x, origin) if origin and type(x) is np.ndarray else x
            for x, origin in zip(args, parents)
        ]
        results = [
            tensor_of(x, (record, k)) if type(x) is np.ndarray else x for k, x in enumerate(results)
        ]
    needed = [parent is not None for parent in parents]
    g, result = (arrived, tuple(results)) if record.is_tuple else (arrived[0], results[0])
    pulled = rule.pull(g, result, needed, args, record.options)
    return [
        _fitted(record, parent, cotangent)
        if parent is not None and cotangent is not None
        else None
        for parent, cotangent in zip(parents, pulled)
    ]


def _fitted(record: Record, parent: Origin, cotangent: Any) -> Any:
    """A cotangent in the dtype of what it belongs to; its shape must be right already."""
    maker, place = parent
    if maker.results:
        outline = maker.results[place]
        if cotangent.shape != outline.shape:
            raise ShapeError(
                f"the gradient rule of {_name(record.function)} made a gradient of shape "
                f"{cotangent.shape} for an operand of shape {outline.shape}"
            )
        if cotangent.dtype != outline.dtype:
            return cast(cotangent, outline.dtype)
    return cotangent


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
