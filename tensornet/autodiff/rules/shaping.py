"""Rules of what moves, picks and joins entries and never computes with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...ops import (
    broadcast_to,
    copy,
    diagflat,
    diagonal,
    embed_diagonal,
    flip,
    getitem,
    hconj,
    pivot,
    reshape,
    roll,
    scatter_add,
    take,
    take_along_axis,
    take_slice,
    transpose,
    tril,
    triu,
)
from ...ops.indexing import grid
from ...ops.joining import inside, joined, pad_constant
from .registry import joint_rule, like, rule

__all__: list[str] = []


def _inverse(a: Any, perm: Any) -> tuple[int, ...] | None:
    return None if perm is None else tuple(np.argsort(np.mod(perm, len(a.shape))).tolist())


rule(broadcast_to, lambda g, y, a, shape: like(g, a), keeps=())
rule(reshape, lambda g, y, a, shape: reshape(g, a.shape), keeps=())
rule(pivot, lambda g, y, a, pivot_axis=-1: reshape(g, a.shape), keeps=())
rule(copy, lambda g, y, a: g, keeps=())
rule(transpose, lambda g, y, a, perm=None: transpose(g, _inverse(a, perm)), keeps=())
rule(hconj, lambda g, y, a, perm=None: hconj(g, _inverse(a, perm)), keeps=())
rule(flip, lambda g, y, a, axis=None: flip(g, axis), keeps=())
rule(tril, lambda g, y, a, k=0: tril(g, k), keeps=())
rule(triu, lambda g, y, a, k=0: triu(g, k), keeps=())
rule(
    roll,
    lambda g, y, a, shift, axis=None: roll(g, [-int(k) for k in np.ravel(shift)], axis),
    keeps=(),
)


# What is picked, and put back


def _back(g: Any, _: Any, a: Any, starts: Any, sizes: Any) -> Any:
    key = tuple([slice(int(k), int(k) + int(n)) for k, n in zip(starts, sizes)])
    return scatter_add(g, key, a.shape)


def _of_take(g: Any, _: Any, a: Any, indices: Any, axis: int | None = None) -> Any:
    shape, place = _indexed(a, axis)
    places = np.asarray(indices, np.int64)  # of booleans, too: as a key they were a mask
    key = (*[slice(None)] * (place % len(shape)), places)
    return reshape(scatter_add(g, key, shape), a.shape)


def _of_take_along_axis(g: Any, _: Any, a: Any, indices: Any, axis: int | None = -1) -> Any:
    shape, place = _indexed(a, axis)
    key = grid(np.asarray(indices), place, shape)
    return reshape(scatter_add(g, key, shape), a.shape)


def _indexed(a: Any, axis: int | None) -> tuple[tuple[int, ...], int]:
    """The shape that indices along an axis refer to, with one axis at least, and the axis."""
    return ((prod(a.shape),), 0) if axis is None else (a.shape or (1,), axis)


rule(getitem, lambda g, y, a, key: scatter_add(g, key, a.shape), keeps=(1,))
rule(scatter_add, lambda g, y, values, key, shape: getitem(g, key), keeps=(1,))
rule(take_slice, _back, keeps=())
rule(take, _of_take, keeps=(1,))
rule(take_along_axis, _of_take_along_axis, keeps=(1,))
rule(
    diagonal,
    lambda g, y, a, offset=0, axis1=-2, axis2=-1: embed_diagonal(g, a.shape, offset, axis1, axis2),
    keeps=(),
)
rule(
    embed_diagonal,
    lambda g, y, values, shape, offset=0, axis1=-2, axis2=-1: diagonal(g, offset, axis1, axis2),
    keeps=(),
)
rule(diagflat, lambda g, y, a, k=0: reshape(diagonal(g, k), a.shape), keeps=())


# What is joined


def _of_joined(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> list[Any]:
    axis = args[0] % len(g.shape)
    pulled, start = [None], 0
    for part, wanted in zip(args[1:], needed[1:]):
        stop = start + part.shape[axis]
        key = (*[slice(None)] * axis, slice(start, stop))
        pulled.append(getitem(g, key) if wanted else None)
        start = stop
    return pulled


joint_rule(joined, _of_joined, keeps=())
rule(
    pad_constant,
    lambda g, y, a, widths, value=0: getitem(g, inside(a.shape, widths)),
    keeps=(),
)
