"""The NumPy reference: slow, plain, and independent of the package that it judges."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, Any]

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]
LAYOUTS = ["C", "F", "reversed", "strided", "broadcast", "unaligned", "overlapping"]


class Network(Protocol):
    """What the oracle needs of an Expr."""

    @property
    def inputs(self) -> Sequence[Sequence[int]]: ...
    @property
    def output(self) -> Sequence[int]: ...
    @property
    def sizes(self) -> Sequence[int]: ...


def contract(expr: Network, arrays: Sequence[Array], dtype: Any = None) -> Array:
    """Contract from left to right with two-operand np.einsum calls, in the given dtype.

    Each call numbers its own indices, so that any number of them may be in the network as long as
    no two neighbours have more than 52 together.
    """
    dtype = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
    value = np.ones((), dtype)
    term: list[int] = []
    last_use: dict[int, int] = {}
    for position, labels in enumerate(expr.inputs):
        last_use.update(dict.fromkeys(labels, position))
    last_use.update(dict.fromkeys(expr.output, len(expr.inputs)))
    for position, (labels, array) in enumerate(zip(expr.inputs, arrays)):
        number = {label: k for k, label in enumerate(dict.fromkeys([*term, *labels]))}
        kept = [label for label in number if last_use[label] > position]
        if value.size and array.size:
            value = np.einsum(
                value,
                [number[label] for label in term],
                np.asarray(array).astype(dtype),
                [number[label] for label in labels],
                [number[label] for label in kept],
            )
        else:  # NumPy 2.4 may write behind the end of a result of size 0
            value = np.zeros([expr.sizes[label] for label in kept], dtype)
        term = kept
    return np.transpose(value, [term.index(label) for label in expr.output])


class _Rest(NamedTuple):
    """All operands of a network but one, and the cotangent of its output."""

    inputs: list[list[int]]
    output: list[int]
    sizes: Sequence[int]


def gradient(expr: Network, arrays: Sequence[Array], cotangent: Array, operand: int) -> Array:
    """The gradient of a real loss: the cotangent times the conjugates of all other operands.

    An index that only this operand has is summed, so that the gradient is the same along it; one
    that it has twice is its diagonal, off which the gradient is zero.
    """
    own = expr.inputs[operand]
    axes = list(dict.fromkeys(own))
    dtype = np.result_type(*arrays, cotangent)
    ones = np.ones([expr.sizes[i] for i in axes], dtype)
    others = [k for k in range(len(arrays)) if k != operand]
    terms = [*[list(expr.inputs[k]) for k in others], list(expr.output), axes]
    rest = [*[np.conj(arrays[k]) for k in others], cotangent, ones]
    along = contract(_Rest(terms, axes, expr.sizes), rest, dtype)
    made = np.zeros([expr.sizes[i] for i in own], dtype)
    points = np.indices(along.shape)
    made[tuple([points[axes.index(i)] for i in own])] = along
    return made


def magnitude(expr: Network, arrays: Sequence[Array]) -> Array:
    """The contraction of the absolute values: what rounding errors are measured by."""
    return contract(expr, [np.abs(np.asarray(a).astype(wide(a.dtype))) for a in arrays])


def wide(dtype: Any) -> np.dtype[Any]:
    """A dtype in which the reference of floats is computed: at least as wide as `dtype`."""
    return np.result_type(dtype, np.longdouble)


def assert_close(got: Any, expr: Network, arrays: Sequence[Array], dtype: Any = None) -> None:
    """Exact for integers and bool; else within c*(K+2)*eps*|A||B| of every element.

    K is the number of terms in each sum, |A||B| the contraction of the absolute values.
    """
    dtype = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
    got = np.asarray(got)
    assert got.dtype == dtype
    assert got.shape == tuple(expr.sizes[i] for i in expr.output)
    if dtype.kind not in "fc":
        np.testing.assert_array_equal(got, contract(expr, arrays, dtype))
        return
    want = contract(expr, arrays, wide(dtype))
    summed = set(range(len(expr.sizes))) - set(expr.output)
    terms = prod([expr.sizes[i] for i in summed]) * len(expr.inputs)
    factor = 4 if dtype.kind == "c" else 2
    bound = factor * (terms + 2) * float(np.finfo(dtype).eps) * magnitude(expr, arrays)
    error = np.abs(got.astype(want.dtype) - want)
    assert (error <= bound).all(), f"error {error.max()} above bound {bound.max()}"


def assert_exact(got: Any, expr: Network, arrays: Sequence[Array], dtype: Any = None) -> None:
    """Equal to the exact result, where that and every partial sum is a number of the dtype."""
    dtype = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
    if dtype.kind in "fc":
        largest = np.max(magnitude(expr, arrays), initial=0)
        if largest > 1 / np.finfo(dtype).eps:
            assert_close(got, expr, arrays, dtype)
            return
    exact = np.complex128 if dtype.kind == "c" else np.float64 if dtype.kind == "f" else dtype
    got = np.asarray(got)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, contract(expr, arrays, exact).astype(dtype), strict=True)


def small_integers(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Array:
    """Values of which sums of products stay exact: -2 to 2, 0 and 1 for bool, 0 to 4 unsigned."""
    dtype = np.dtype(dtype)
    low, high = {"b": (0, 2), "u": (0, 5)}.get(dtype.kind, (-2, 3))
    values = rng.integers(low, high, shape)
    if dtype.kind == "c":
        return (values + 1j * rng.integers(low, high, shape)).astype(dtype)
    return values.astype(dtype)


def arrange(values: Array, layout: str) -> Array:
    """An array of these values in another memory layout.

    "broadcast" repeats the first entry of the first axis with stride 0; "overlapping" is a
    read-only sliding window over memory. Only these two change the values.
    """
    shape, dtype = values.shape, values.dtype
    if values.ndim == 0 or values.size == 0 or layout == "C":
        return values
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        reverse = (slice(None, None, -1),) * values.ndim
        return values[reverse].copy()[reverse]
    if layout == "strided":
        memory = np.zeros([2 * n + 1 for n in shape], dtype)
        view = memory[tuple([slice(1, None, 2)] * values.ndim)]
        view[...] = values
        return view
    if layout == "broadcast":
        return np.broadcast_to(values[:1], shape)
    if layout == "unaligned":
        buffer = np.zeros(values.nbytes + 1, np.uint8)
        view = np.frombuffer(buffer.data, dtype, values.size, offset=1).reshape(shape)
        view[...] = values
        return view
    assert layout == "overlapping"
    flat = values.reshape(-1)[: sum(shape) - values.ndim + 1]
    step = [dtype.itemsize] * values.ndim
    return np.lib.stride_tricks.as_strided(flat, shape, step, writeable=False)


def sliding(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> Array:
    """All windows over x [batch, channels, spatial axes]: [batch, channels, windows, positions]."""
    spatial = range(2, x.ndim)
    padded = np.pad(x, [(0, 0), (0, 0), *padding])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    every = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(spatial))
    steps = [slice(None, None, s) for s in (*stride, *dilation)]
    return every[(slice(None), slice(None), *steps)]


def convolution(
    x: Array,
    w: Array,
    y: Array | None,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Array, Array, Array]:
    """x [batch, channels, ..] convolved with w [outputs, channels / groups, ..], and the gradients
    of the sum of y times that to x and to w; y is ones by default."""
    n = x.ndim - 2
    windows, kernel = list(range(4, 4 + n)), list(range(4 + n, 4 + 2 * n))
    seen = sliding(x, w.shape[2:], stride, padding, dilation)
    seen = seen.reshape(len(x), groups, x.shape[1] // groups, *seen.shape[2:])
    parts = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    of_seen, of_parts, of_y = [0, 1, 2, *windows, *kernel], [1, 3, 2, *kernel], [0, 1, 3, *windows]
    result = np.einsum(seen, of_seen, parts, of_parts, of_y)
    shape = (len(x), w.shape[0], *result.shape[3:])
    y = np.ones(shape, result.dtype) if y is None else y
    cotangent = y.reshape(result.shape)
    to_w = np.einsum(seen, of_seen, cotangent, of_y, of_parts).reshape(w.shape)
    to_x = np.zeros(np.pad(x, [(0, 0), (0, 0), *padding]).shape, result.dtype)
    for tap in np.ndindex(*w.shape[2:]):
        where = [
            slice(t * d, t * d + (count - 1) * s + 1, s) if count else slice(0, 0)
            for t, d, s, count in zip(tap, dilation, stride, shape[2:])
        ]
        part = np.einsum(
            cotangent, of_y, parts[(..., *tap)], [1, 3, 2], [0, 1, 2, *windows]
        ).reshape(len(x), x.shape[1], *shape[2:])
        to_x[(slice(None), slice(None), *where)] += part
    inside = [slice(before, before + extent) for (before, _), extent in zip(padding, x.shape[2:])]
    return result.reshape(shape), to_x[(slice(None), slice(None), *inside)], to_w
