"""Which slides over windows make a convolution, and which make it transposed.

To each position of x, a transposed convolution adds y times w over all windows that see it.
Positions that lie a stride apart, a phase, meet every stride-th position of a window at most: each
phase is a convolution of y of its own, with a part of the weights and stride 1. All of them write
where their results belong, so that nothing is added up from different places.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .sliding import (
    LANE_BYTES,
    can_widen,
    slide,
    slide_to_weights,
    slide_to_weights_wide,
    slide_wide,
)
from .windows import Windows

__all__ = ["slide_back", "slide_for_weights", "slide_forward"]

_MUCH = 1 << 18  # multiply-adds


class _Phase(NamedTuple):
    """Every step-th position of one axis of x, from `start`, as windows over y."""

    start: int
    step: int
    taps: slice  # the positions of the window that it sees, backwards
    dilation: int
    before: int


class _Neighbours(NamedTuple):
    """What `slide_wide` takes besides the arrays."""

    picks: Array
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]


def slide_forward(x: Array, w: Array, y: Array, windows: Windows) -> None:
    """Write the convolution of x with w to y; axes as in `tensornet.ops.sliding`."""
    if not y.size:
        return
    if _is_narrow(w, y):
        _slide_forward_wide(x, w, y, windows)
    else:
        slide(x, w, y, windows.stride, windows.dilation, windows.before)


def slide_for_weights(x: Array, y: Array, w: Array, windows: Windows) -> None:
    """Write the sum over all windows of what they see in x times y to w."""
    if y.size and _is_narrow(w, y):
        w[...] = 0
        for part, how in _neighbouring(y if can_widen(y) else y.copy("C"), windows):
            slide_to_weights_wide(x, part, w, *how)
    else:
        slide_to_weights(x, y, w, windows.stride, windows.dilation, windows.before)


def slide_back(y: Array, w: Array, x: Array, windows: Windows) -> None:
    """Write y, convolved with w transposed, to x; axes as in `tensornet.ops.sliding`."""
    if not x.size:
        return
    back = w.swapaxes(-1, -2)
    if not _is_narrow(back, x):
        axes = [_phases(*each) for each in _axes(windows)]
        _slide_phases(y, back, x, axes)
    elif can_widen(x):
        _slide_back_wide(y, back, x, windows)
    else:
        packed = np.empty(x.shape, x.dtype)
        _slide_back_wide(y, back, packed, windows)
        x[...] = packed


def _axes(windows: Windows) -> list[tuple[int, int, int, int, int]]:
    return list(
        zip(windows.extents, windows.kernel, windows.stride, windows.dilation, windows.before)
    )


def _is_narrow(w: Array, y: Array) -> bool:
    """Would more than half of the columns be computed in vain, and much?"""
    if (
        2 * y.shape[-1] * y.dtype.itemsize > LANE_BYTES
        or w.shape[0] > 1
        or y.dtype.kind not in "fc"
    ):
        return False
    return y.shape[-2] > 1 and y.size * w[..., 0].size > _MUCH


@lru_cache(maxsize=1024)
def _phases(extent: int, kernel: int, stride: int, dilation: int, before: int) -> list[_Phase]:
    """The phases of an axis; those that no window sees have no taps."""
    found = []
    common = gcd(stride, dilation)
    for start in range(min(stride, extent)):
        # window o sees position i at tap t if o * stride == i + before - t * dilation
        meeting = [
            t for t in range(stride // common) if (start + before - t * dilation) % stride == 0
        ]
        first = meeting[0] if meeting else kernel
        step = stride // common
        count = len(range(first, kernel, step))
        if not count:
            found.append(_Phase(start, stride, slice(0, 0), 1, 0))
            continue
        last = first + (count - 1) * step
        stop = first - step
        taps = slice(last, stop if stop >= 0 else None, -step)
        origin = (start + before - last * dilation) // stride
        found.append(_Phase(start, stride, taps, step * dilation // stride, -origin))
    return found


def _slide_phases(y: Array, back: Array, x: Array, axes: list[list[_Phase]]) -> None:
    """One slide per combination of phases."""
    ones = (1,) * len(axes)
    for part, seen, dilation, before in _combinations(x, back, axes):
        slide(y, seen, part, ones, dilation, before)


def _combinations(
    x: Array, back: Array, axes: list[list[_Phase]]
) -> Iterator[tuple[Array, Array, tuple[int, ...], tuple[int, ...]]]:
    """Parts of x and of the weights that belong together, with dilations and padding in front;
    parts of x that no window sees become zero."""
    for phases in product(*axes):
        where = [slice(None), *[slice(p.start, None, p.step) for p in phases]]
        part = x[tuple(where)]
        taps = [slice(None), *[p.taps for p in phases]]
        seen = back[tuple(taps)]
        if all(seen.shape[1:-2]):
            yield part, seen, tuple([p.dilation for p in phases]), tuple([p.before for p in phases])
        else:
            part[...] = 0


def _slide_back_wide(y: Array, back: Array, x: Array, windows: Windows) -> None:
    """As `_slide_phases`, but neighbours along the last axis at once, whatever their phases."""
    *outer, (extent, kernel, stride, dilation, before) = _axes(windows)
    most = max(1, LANE_BYTES // x.dtype.itemsize // x.shape[-1] // stride) * stride
    neighbours = most if most < extent else extent
    rest = extent % neighbours
    whole = extent - rest
    pieces = [(0, whole, neighbours), (whole, rest, rest)]
    axes = [_phases(*each) for each in outer]
    for part, seen, dilations, befores in _combinations(x, back, axes):
        for start, count, width in pieces:
            if not count:
                continue
            first, picks = _picks_back(start + before, width, kernel, stride, dilation)
            slide_wide(
                y,
                seen,
                part[..., start : start + count, :],
                picks,
                (1,) * len(outer) + (max(1, width // stride),),  # the last part: a single window
                (*dilations, 1),
                (*befores, -first),
            )


@lru_cache(maxsize=1024)
def _picks_back(start: int, width: int, kernel: int, stride: int, dilation: int) -> tuple[int, Any]:
    """The first window that sees one of `width` positions from start on, and for each window from
    there at which tap it sees each of them, -1 if it does not."""
    last = (start + width - 1) // stride
    first = min(-(-(start - (kernel - 1) * dilation) // stride), last)
    picks = np.full((last - first + 1, width), -1)
    for tap in range(kernel):
        for b in range(width):
            window, off = divmod(start + b - tap * dilation, stride)
            if not off:
                picks[window - first, b] = tap
    return first, picks


def _slide_forward_wide(x: Array, w: Array, y: Array, windows: Windows) -> None:
    """Neighbouring windows along the last axis at once."""
    target = y if can_widen(y) else np.empty(y.shape, y.dtype)
    for part, how in _neighbouring(target, windows):
        slide_wide(x, w, part, *how)
    if target is not y:
        y[...] = target


def _neighbouring(y: Array, windows: Windows) -> Iterator[tuple[Array, _Neighbours]]:
    """Parts of y along its last spatial axis, and how to make them."""
    kernel, stride, dilation = windows.kernel[-1], windows.stride[-1], windows.dilation[-1]
    count = y.shape[-2]
    neighbours = min(max(1, LANE_BYTES // y.dtype.itemsize // y.shape[-1]), count)
    rest = count % neighbours
    for start, part, width in ((0, count - rest, neighbours), (count - rest, rest, rest)):
        if part:
            yield (
                y[..., start : start + part, :],
                _Neighbours(
                    _picks_forward(width, kernel, stride, dilation),
                    (*windows.stride[:-1], width * stride),
                    (*windows.dilation[:-1], 1),
                    (*windows.before[:-1], windows.before[-1] - start * stride),
                ),
            )


@lru_cache(maxsize=1024)
def _picks_forward(width: int, kernel: int, stride: int, dilation: int) -> Any:
    """At which tap each of `width` windows sees each position that one of them reaches, or -1."""
    picks = np.full(((width - 1) * stride + (kernel - 1) * dilation + 1, width), -1)
    for b in range(width):
        picks[b * stride : b * stride + (kernel - 1) * dilation + 1 : dilation, b] = range(kernel)
    return picks
