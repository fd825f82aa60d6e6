"""Sums over windows of any arrays that `tensornet.ops.convolution` is made of.

Here the axes are always in one order, whatever the order in memory: x and y are [batch, spatial
axes, channels], w is [groups, spatial axes, channels of x in a group, channels of y in a group].
Views do for all else: other formats, weights read backwards or exchanged, results with gaps between
their entries.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import config
from .._kernels import convolve, convolve_to_weights
from .._program import DTYPE_CODES
from ..api import einsum
from ..arrays import Array

__all__ = [
    "LANE_BYTES",
    "can_widen",
    "slide",
    "slide_to_weights",
    "slide_to_weights_wide",
    "slide_wide",
]

Extents = tuple[int, ...]

# Bytes of the columns that kernels compute at once; with fewer, time is lost.
LANE_BYTES = 64

_KERNELS = {d: code for d, code in DTYPE_CODES.items() if d.kind in "fc" and d.itemsize > 2}


def slide(
    x: Array, w: Array, y: Array, stride: Extents, dilation: Extents, before: Extents
) -> None:
    """Write to y, window by window, the sum of what the window sees times w.

    Window o sees the positions ``o * stride - before + t * dilation`` of x; those that x does not
    have count as zeros. As many windows as y has entries; `before` may be negative.

    Cost: one multiply-add per entry of y, position of a window and channel in a group; workspace of
    some 400 KB a thread, and the weights once more.
    """
    code = _KERNELS.get(x.dtype)
    if code is not None:
        convolve(code, x, w, y, stride, dilation, before, config.get_num_threads())
        return
    terms = _terms(y.ndim - 2)
    seen = _windows(x, w, y.shape[1:-1], stride, dilation, before)
    grouped = y.reshape(*y.shape[:-1], w.shape[0], w.shape[-1])  # a view: axes are only split
    grouped[...] = einsum(seen, terms[0], w, terms[1], terms[2])


def slide_to_weights(
    x: Array, y: Array, w: Array, stride: Extents, dilation: Extents, before: Extents
) -> None:
    """Write to w the sum over all windows of what they see, times y there; as `slide`."""
    code = _KERNELS.get(x.dtype)
    if code is not None:
        convolve_to_weights(code, x, y, w, stride, dilation, before, config.get_num_threads())
        return
    terms = _terms(y.ndim - 2)
    seen = _windows(x, w, y.shape[1:-1], stride, dilation, before)
    grouped = y.reshape(*y.shape[:-1], w.shape[0], w.shape[-1])
    w[...] = einsum(seen, terms[0], grouped, terms[2], terms[1])


def _terms(spatial: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of windows, weights and results: batch 0, group 1, channels 2 and 3, then spatial."""
    outer = list(range(4, 4 + spatial))
    inner = list(range(4 + spatial, 4 + 2 * spatial))
    return [0, *outer, *inner, 1, 2], [1, *inner, 2, 3], [0, *outer, 1, 3]


def _windows(
    x: Array, w: Array, counts: Extents, stride: Extents, dilation: Extents, before: Extents
) -> Array:
    """All windows, padding included: [batch, windows, positions in one, groups, channels]."""
    kernel = w.shape[1:-2]
    spans = [
        (n - 1) * s + (k - 1) * d + 1 if n else 0
        for n, s, k, d in zip(counts, stride, kernel, dilation)
    ]
    padded = np.zeros((x.shape[0], *spans, x.shape[-1]), x.dtype)
    inside, outside = [slice(None)], [slice(None)]
    for extent, span, front in zip(x.shape[1:], spans, before):
        last = max(min(span, extent + front), max(front, 0))
        inside.append(slice(max(front, 0), last))
        outside.append(slice(max(-front, 0), max(-front, 0) + last - max(front, 0)))
    padded[tuple(inside)] = x[tuple(outside)]
    steps = padded.strides[1:-1]
    return as_strided(
        padded,
        (x.shape[0], *counts, *kernel, w.shape[0], w.shape[-2]),
        (
            padded.strides[0],
            *[t * s for t, s in zip(steps, stride)],
            *[t * d for t, d in zip(steps, dilation)],
            padded.strides[-1] * w.shape[-2],
            padded.strides[-1],
        ),
        writeable=False,
    )


def slide_wide(
    x: Array,
    w: Array,
    y: Array,
    picks: Array,
    stride: Extents,
    dilation: Extents,
    before: Extents,
) -> None:
    """`slide` for few channels of y: neighbours along the last spatial axis are made together.

    So many neighbours are taken for one entry with as many times the channels, and the weights, in
    one group, are written out for each of them, with zeros between. It takes a quarter to three
    quarters of the time, but what is not finite in x, times a zero, reaches all of the neighbours.

    Args:
        picks: [positions, neighbours], which position along the last axis of w a neighbour has
            there, -1 for none; a divisor of the last spatial axis of y are the neighbours.
    """
    view = _blocks(y, picks.shape[1])
    zero = np.zeros((*w.shape[:-3], 1, *w.shape[-2:]), w.dtype)
    chosen = np.concatenate([w, zero], axis=-3)[..., picks, :, :]  # [.., neighbour, in, out]
    wide = chosen.swapaxes(-3, -2).reshape(*chosen.shape[:-3], w.shape[-2], view.shape[-1])
    slide(x, wide, view, stride, dilation, before)


def slide_to_weights_wide(
    x: Array,
    y: Array,
    w: Array,
    picks: Array,
    stride: Extents,
    dilation: Extents,
    before: Extents,
) -> None:
    """`slide_to_weights` with the neighbours of `slide_wide`, added to w."""
    view = _blocks(y, picks.shape[1])
    shape = (*w.shape[:-3], len(picks), w.shape[-2])
    wide = np.empty((*shape, view.shape[-1]), w.dtype)
    slide_to_weights(x, view, wide, stride, dilation, before)
    split = wide.reshape(*shape, picks.shape[1], w.shape[-1])
    for tap in range(w.shape[-3]):
        positions, neighbours = np.nonzero(picks == tap)
        w[..., tap, :, :] += split[..., positions, :, neighbours, :].sum(0)


def _blocks(y: Array, neighbours: int) -> Array:
    """A view of y in which so many neighbours along the last spatial axis are channels, too."""
    channels = y.shape[-1]
    *outer, pixel, channel = y.strides
    shape = (*y.shape[:-2], y.shape[-2] // neighbours, neighbours * channels)
    joined = pixel if channels == 1 else channel
    return as_strided(y, shape, (*outer, pixel * neighbours, joined))


def can_widen(y: Array) -> bool:
    """Are entries of all channels next to each other along the last spatial axis?"""
    return bool(y.shape[-1] == 1 or y.strides[-2] == y.shape[-1] * y.strides[-1])
