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
from ..records import MISSING, Origin, Record, rule_of, state
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
    wanted = {record for record, _ in sources if record.function is not None}
    pending: dict[int, tuple[Record, list[Any]]] = {}
    latest: list[int] = []  # a heap of negated orders
    _collect(found, pending, latest, horizon, None, origins, cotangents)
    origins.clear()
    cotangents.clear()
    while latest:
        record, arrived = pending.pop(-heappop(latest))
        if record in wanted:
            found |= {(record, k): g for k, g in enumerate(arrived) if (record, k) in found}
        if record.order > horizon:
            pulled = _pull(record, arrived)
            _collect(found, pending, latest, horizon, record, record.parents, pulled)
            if release:
                record.args = record.parents = record.results = ()
                record.saved = None
    return [found[source] for source in sources]


def _collect(
    found: dict[Origin, Any],
    pending: dict[int, tuple[Record, list[Any]]],
    latest: list[int],
    horizon: int,
    puller: Record | None,
    origins: Iterable[Origin | None],
    cotangents: Iterable[Any],
) -> None:
    """Add cotangents, which `puller` has pulled back, to what waits for their records.

    Those of variables are added to what has been found, if they are sources; those of records made
    before every source are left.
    """
    for origin, cotangent in zip(origins, cotangents):
        if origin is None or cotangent is None or origin[0].order < horizon:
            continue
        record, place = origin
        cotangent = _fitted(cotangent, record, place, puller)
        order = record.order
        if record.function is None:
            if origin in found:
                known = found[origin]
                found[origin] = cotangent if known is None else add(known, cotangent)
        elif order in pending:
            waiting = pending[order][1]
            known = waiting[place]
            waiting[place] = cotangent if known is None else add(known, cotangent)
        else:
            waiting = [None] * len(record.results)
            waiting[place] = cotangent
            pending[order] = record, waiting
            heappush(latest, -order)


def _fitted(cotangent: Any, record: Record, place: int, puller: Record | None) -> Any:
    """A cotangent in the dtype of the result that it belongs to; its shape must be right."""
    if not record.results:
        raise TensorNetError(
            "these gradients have been taken, and what was recorded for them is gone: use "
            "GradientTape(persistent=True) to take gradients more than once"
        )
    made = record.results[place]
    if cotangent.shape != made.shape:
        raise ShapeError(
            f"the gradient rule of {_name(puller)} made a gradient of shape "
            f"{cotangent.shape} for an operand of shape {made.shape}"
        )
    return cotangent if cotangent.dtype == made.dtype else cast(cotangent, made.dtype)


def _pull(record: Record, arrived: list[Any]) -> Sequence[Any]:
    """What the rule of a record makes of the cotangents of its results, for each argument."""
    rule = rule_of(record.function)
    if rule is MISSING or rule is None:
        raise TypeError(
            f"{_name(record)} has no gradient rule; give it one with tensornet.custom_op, "
            "or keep what it is applied to from being differentiated with tensornet.stop_gradient"
        )
    args, results, parents = record.args, record.results, record.parents
    options = record.options
    if rule.forward is not None:
        options = {**options, "saved": None if state.depth else record.saved}
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
    return rule.pull(g, result, needed, args, options)


def _name(record: Record | None) -> str:
    function = record and record.function
    return getattr(function, "__name__", type(function).__name__)
