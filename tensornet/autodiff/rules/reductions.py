"""Rules of sums, products and extremes along axes."""

from __future__ import annotations

from math import inf
from math import prod as product
from typing import Any

import numpy as np

from ...ops import (
    argmax,
    argmin,
    broadcast_to,
    cast,
    concatenate,
    cumsum,
    equal,
    flip,
    maximum,
    mean,
    prod,
    reshape,
    transpose,
    var,
)
from ...ops import max as greatest
from ...ops import min as least
from ...ops import sum as sum_of
from ..functional import vjp
from .registry import constant, rule

__all__ = ["widened"]

constant(argmax, argmin)


def reduced_axes(a: Any, axis: Any) -> list[int]:
    """The axes that a reduction over `axis` takes away, counted from the front."""
    rank = len(a.shape)
    if axis is None:
        return list(range(rank))
    return [int(k) % rank for k in np.atleast_1d(axis)] if rank else []


def widened(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's result, or the cotangent of it, as it is broadcast to the shape of `a`."""
    if keepdims or axis is None:  # a number is broadcast to anything
        return g
    over = reduced_axes(a, axis)
    return reshape(g, tuple([1 if k in over else n for k, n in enumerate(a.shape)]))


def _of_sum(g: Any, _: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return broadcast_to(widened(g, a, axis, keepdims), a.shape)


def _counting(x: Any) -> Any:
    """The entries in a dtype that holds their number, too: float16 ends at 65504."""
    return cast(x, np.float32) if x.dtype == np.float16 else x


def _of_mean(g: Any, _: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    count = product(a.shape if axis is None else [a.shape[k] for k in reduced_axes(a, axis)])
    return broadcast_to(widened(_counting(g) / count, a, axis, keepdims), a.shape)


def _of_var(g: Any, _: Any, a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    count = product([a.shape[k] for k in reduced_axes(a, axis)])
    slope = 2 / (count - ddof) if count > ddof else inf
    return widened(g, a, axis, keepdims) * (slope * (a - mean(a, axis, True)))


def _of_extreme(g: Any, y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The extreme entries share the cotangent evenly; where the extreme is nan nobody gets any."""
    chosen = _counting(cast(equal(a, widened(y, a, axis, keepdims)), a.dtype))
    count = maximum(sum_of(chosen, axis, True), 1)
    return chosen * (widened(g, a, axis, keepdims) / count)


def _of_prod(g: Any, _: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """By products of halves, whose derivatives of every order are right also where zeros are."""
    if 0 in a.shape:
        return np.zeros(a.shape, a.dtype)
    over = reduced_axes(a, axis)
    kept = [k for k in range(len(a.shape)) if k not in over]
    rows = reshape(
        transpose(a, [*kept, *over]),
        (product([a.shape[k] for k in kept]), product([a.shape[k] for k in over])),
    )
    _, pullback = vjp(_halved, rows)
    (pulled,) = pullback(reshape(g, (rows.shape[0], 1)))
    moved = reshape(pulled, [a.shape[k] for k in (*kept, *over)])
    order = [*kept, *over]
    return transpose(moved, [order.index(k) for k in range(len(order))])


def _halved(rows: Any) -> Any:
    """The product along the second axis, which stays as 1."""
    while rows.shape[1] > 1:
        half = rows.shape[1] // 2
        halves = rows[:, :half] * rows[:, half : 2 * half]
        rows = concatenate([halves, rows[:, 2 * half :]], 1)
    return rows


def _of_cumsum(g: Any, _: Any, a: Any, axis: int | None = None) -> Any:
    return reshape(flip(cumsum(flip(g, axis), axis), axis), a.shape)


rule(sum_of, _of_sum, keeps=())
rule(mean, _of_mean, keeps=())
rule(var, _of_var)
rule(greatest, _of_extreme, keeps_result=True)
rule(least, _of_extreme, keeps_result=True)
rule(prod, _of_prod)
rule(cumsum, _of_cumsum, keeps=())
