"""Pooling: the largest or the average of what each window sees, and the way back for gradients.

Every function at the end takes `Windows`, and its derivative is one of them again: picking what an
index says and returning it to where it was picked are each other's transpose, and so are an
average and its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..arrays import Array, as_numeric
from ..errors import ShapeError
from ..tape import operation
from .shaping import reshape, shape
from .slides import array_shape, check_shape, check_volume, floating, real_slide
from .windows import DATA_FORMATS, Windows, place_windows

__all__ = [
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "avg_pool_gradient",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_gather",
    "max_pool_gradient",
    "max_pool_with_argmax",
]

Extents = int | Sequence[int]
Padding = str | int | Sequence[Any]


def max_pool1d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NWC",
    dilation: Extents = 1,
) -> Any:
    """`max_pool2d` with one spatial axis; data_format "NWC" or "NCW"."""
    return max_pool(x, _place("max_pool1d", x, kernel, stride, padding, data_format, dilation, 1))


def max_pool2d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NHWC",
    dilation: Extents = 1,
) -> Any:
    """The largest entry that each window sees, channel by channel; NaN where it sees one.

    Args:
        x: of shape (batch, height, width, channels), or with data_format "NCHW" (batch, channels,
            height, width); float16, float32 or float64.
        kernel: extents of a window: a number for all axes, or one for each.
        stride: from one window to the next; `kernel` by default.
        padding: "VALID", "SAME" as TensorFlow pads, a number for all axes, or a number or a pair
            (in front, behind) for each; padding is never the largest.
        dilation: from one position within a window to the next.

    Returns:
        an array or a Tensor of the windows' counts, in the same format and dtype.

    Raises:
        ShapeError: arguments that do not fit, or windows that see nothing but padding.
        TypeError: another dtype.

    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> max_pool2d(x, 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return max_pool(x, _place("max_pool2d", x, kernel, stride, padding, data_format, dilation, 2))


def max_pool3d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NDHWC",
    dilation: Extents = 1,
) -> Any:
    """`max_pool2d` with three spatial axes; data_format "NDHWC" or "NCDHW"."""
    return max_pool(x, _place("max_pool3d", x, kernel, stride, padding, data_format, dilation, 3))


def avg_pool1d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NWC",
    count_include_padding: bool = False,
) -> Any:
    """`avg_pool2d` with one spatial axis; data_format "NWC" or "NCW"."""
    windows = _place("avg_pool1d", x, kernel, stride, padding, data_format, 1, 1)
    return avg_pool(x, windows, count_include_padding)


def avg_pool2d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NHWC",
    count_include_padding: bool = False,
) -> Any:
    """The average of the entries that each window sees, channel by channel.

    Args:
        x: as for `max_pool2d`, also complex.
        kernel: extents of a window.
        stride: from one window to the next; `kernel` by default.
        padding: as for `max_pool2d`.
        count_include_padding: whether padding counts as zeros. By default it does not, as in
            TensorFlow; torch's average pooling counts it unless told otherwise.

    Raises:
        ShapeError: arguments that do not fit, or windows that see nothing that counts.
        TypeError: another dtype.

    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> avg_pool2d(x, 2, padding="SAME")[0, :, :, 0]
    array([[2. , 3.5],
           [6.5, 8. ]])
    """
    windows = _place("avg_pool2d", x, kernel, stride, padding, data_format, 1, 2)
    return avg_pool(x, windows, count_include_padding)


def avg_pool3d(
    x: Any,
    kernel: Extents,
    stride: Extents | None = None,
    padding: Padding = "VALID",
    data_format: str = "NDHWC",
    count_include_padding: bool = False,
) -> Any:
    """`avg_pool2d` with three spatial axes; data_format "NDHWC" or "NCDHW"."""
    windows = _place("avg_pool3d", x, kernel, stride, padding, data_format, 1, 3)
    return avg_pool(x, windows, count_include_padding)


def global_max_pool1d(x: Any, keep_dims: bool = False, data_format: str = "NWC") -> Any:
    """`global_max_pool2d` with one spatial axis."""
    return _global("global_max_pool1d", max_pool, x, keep_dims, data_format, 1)


def global_max_pool2d(x: Any, keep_dims: bool = False, data_format: str = "NHWC") -> Any:
    """The largest entry of each channel: (batch, channels), or with `keep_dims` 1 for each extent.

    >>> global_max_pool2d(np.arange(12.0).reshape(1, 2, 3, 2))
    array([[10., 11.]])
    """
    return _global("global_max_pool2d", max_pool, x, keep_dims, data_format, 2)


def global_max_pool3d(x: Any, keep_dims: bool = False, data_format: str = "NDHWC") -> Any:
    """`global_max_pool2d` with three spatial axes."""
    return _global("global_max_pool3d", max_pool, x, keep_dims, data_format, 3)


def global_avg_pool1d(x: Any, keep_dims: bool = False, data_format: str = "NWC") -> Any:
    """`global_avg_pool2d` with one spatial axis."""
    return _global("global_avg_pool1d", avg_pool, x, keep_dims, data_format, 1)


def global_avg_pool2d(x: Any, keep_dims: bool = False, data_format: str = "NHWC") -> Any:
    """The average of each channel: (batch, channels), or with `keep_dims` 1 for each extent.

    >>> global_avg_pool2d(np.arange(12.0).reshape(1, 2, 3, 2))
    array([[5., 6.]])
    """
    return _global("global_avg_pool2d", avg_pool, x, keep_dims, data_format, 2)


def global_avg_pool3d(x: Any, keep_dims: bool = False, data_format: str = "NDHWC") -> Any:
    """`global_avg_pool2d` with three spatial axes."""
    return _global("global_avg_pool3d", avg_pool, x, keep_dims, data_format, 3)


def _place(
    name: str,
    x: Any,
    kernel: Extents,
    stride: Extents | None,
    padding: Padding,
    data_format: str,
    dilation: Extents,
    spatial: int,
) -> Windows:
    step = kernel if stride is None else stride
    return place_windows(name, shape(x), kernel, step, padding, dilation, data_format, spatial)


def _global(name: str, pool: Any, x: Any, keep_dims: bool, data_format: str, spatial: int) -> Any:
    extents = shape(x)
    last = data_format == DATA_FORMATS[spatial][0]
    kernel = extents[1:-1] if last else extents[2:]
    windows = place_windows(name, extents, kernel, 1, "VALID", 1, data_format, spatial)
    pooled = pool(x, windows)
    return pooled if keep_dims else reshape(pooled, (windows.batch, windows.channels))


# With windows placed


@operation
def max_pool(x: Any, windows: Windows) -> Any:
    """The largest entry that each window sees; see `max_pool2d`. One pass over x."""
    array = _pooled("max_pool", x, windows)
    return real_slide("max", windows, array)


@operation
def max_pool_with_argmax(x: Any, windows: Windows) -> Any:
    """`max_pool`, and where in its window each largest entry stands.

    Returns:
        (values, argmax), both of the shape of results. The positions of a window are numbered in C
        order; of equal entries the first is the largest, but the last of several NaN. argmax is
        uint8 for windows of up to 256 positions, else int32.

    >>> x = np.array([1.0, 3.0, 3.0, 2.0]).reshape(1, 4, 1)
    >>> values, argmax = max_pool_with_argmax(x, place_windows("pool", x.shape, 4, spatial=1,
    ...                                                        data_format="NWC"))
    >>> argmax
    array([[[1]]], dtype=uint8)
    """
    array = _pooled("max_pool_with_argmax", x, windows)
    argmax = np.empty(windows.shape(windows.channels), _index_dtype(windows))
    return real_slide("argmax", windows, array, index=argmax), argmax


@operation
def max_pool_gather(x: Any, argmax: Any, windows: Windows) -> Any:
    """What stands where `argmax` says, window by window: linear in x.

    Args:
        x: of the shape that the windows slide over.
        argmax: as `max_pool_with_argmax` returns it.

    Raises:
        ShapeError, TypeError: operands that are not so.
    """
    array = _pooled("max_pool_gather", x, windows)
    places = _argmax("max_pool_gather", argmax, windows)
    return real_slide("pick", windows, array, index=places)


@operation
def max_pool_gradient(g: Any, argmax: Any, windows: Windows) -> Any:
    """The transpose of `max_pool_gather`: each position has the sum over the windows that chose it.

    Args:
        g: of the shape of results.
        argmax: as `max_pool_with_argmax` returns it.

    Raises:
        ShapeError, TypeError: operands that are not so.

    >>> x = np.array([1.0, 3.0, 3.0, 2.0]).reshape(1, 4, 1)
    >>> windows = place_windows("pool", x.shape, 2, spatial=1, data_format="NWC")
    >>> values, argmax = max_pool_with_argmax(x, windows)
    >>> max_pool_gradient(np.ones((1, 3, 1)), argmax, windows).ravel()
    array([0., 2., 1., 0.])
    """
    gradient = _gradient("max_pool_gradient", g, windows)
    places = _argmax("max_pool_gradient", argmax, windows)
    return real_slide("pick", windows, gradient, index=places, transposed=True)


@operation
def avg_pool(x: Any, windows: Windows, count_include_padding: bool = False) -> Any:
    """The average of what each window sees; see `avg_pool2d`. Linear in x, one pass over it."""
    array = floating("avg_pool", x, "x", complex_too=True)
    check_shape("avg_pool", "x", array, array_shape(windows))
    return _average("avg_pool", array, windows, count_include_padding, False)


@operation
def avg_pool_gradient(g: Any, windows: Windows, count_include_padding: bool = False) -> Any:
    """The transpose of `avg_pool`: each position has its shares of the windows that see it.

    Args:
        g: of the shape of results.

    Raises:
        ShapeError, TypeError: an operand that is not so.
    """
    gradient = _gradient("avg_pool_gradient", g, windows, complex_too=True)
    return _average("avg_pool_gradient", gradient, windows, count_include_padding, True)


def _average(name: str, array: Array, windows: Windows, padded: bool, transposed: bool) -> Array:
    check_volume(name, windows)
    if not padded:
        _check_seen(name, windows)
    if array.dtype.kind != "c":
        return real_slide("average", windows, array, padded=padded, transposed=transposed)
    # two real channels for each complex one; where channels are first, each plane has these two
    real = np.ascontiguousarray(array).view(array.real.dtype)
    result_shape = array_shape(windows) if transposed else windows.shape(windows.channels)
    if windows.channels_last:
        pairs = windows._replace(channels=2 * windows.channels)
    else:
        planes = windows.batch * windows.channels
        pairs = windows._replace(batch=planes, channels=2, channels_last=True)
        real = real.reshape(planes, *array.shape[2:], 2)
    result = real_slide("average", pairs, real, padded=padded, transposed=transposed)
    return result.view(array.dtype).reshape(result_shape)


def _pooled(name: str, x: Any, windows: Windows) -> Array:
    array = floating(name, x, "x")
    check_shape(name, "x", array, array_shape(windows))
    check_volume(name, windows)
    _check_seen(name, windows)
    return array


def _gradient(name: str, g: Any, windows: Windows, complex_too: bool = False) -> Array:
    gradient = floating(name, g, "g", complex_too=complex_too)
    check_shape(name, "g", gradient, windows.shape(windows.channels))
    return gradient


def _index_dtype(windows: Windows) -> np.dtype[Any]:
    return np.dtype("uint8" if prod(windows.kernel) <= 256 else "int32")


def _argmax(name: str, given: Any, windows: Windows) -> Array:
    argmax = as_numeric(given, "argmax")
    if argmax.dtype != _index_dtype(windows):
        raise TypeError(
            f"{name}: argmax of these windows is {_index_dtype(windows)}, not {argmax.dtype}"
        )
    check_shape(name, "argmax", argmax, windows.shape(windows.channels))
    return np.require(argmax, _index_dtype(windows), "A")


def _check_seen(name: str, windows: Windows) -> None:
    """Raise ShapeError if a window sees nothing but padding."""
    if not any(windows.before) and not any(windows.after):
        return
    for axis, (extent, count) in enumerate(zip(windows.extents, windows.counts)):
        stride, dilation = windows.stride[axis], windows.dilation[axis]
        reach = (windows.kernel[axis] - 1) * dilation
        begin = -windows.before[axis]
        # those in between see something as long as a step within a window is not over the array
        ends = range(count) if dilation > extent else {0, count - 1} if count else ()
        for o in ends:
            first = begin + o * stride
            seen = range(first, first + reach + 1, dilation)
            if not any(
                0 <= p < extent for p in (seen if dilation > extent else _near(seen, extent))
            ):
                raise ShapeError(
                    f"{name}: window {o} sees nothing but padding on spatial axis {axis}, of "
                    f"extent {extent}"
                )


def _near(seen: range, extent: int) -> tuple[int, ...]:
    """Of positions no further apart than the extent, one within it if there is any."""
    first = seen[0]
    if first >= 0:
        return (first,)
    at = -(first // seen.step)
    return (seen[at],) if at < len(seen) else ()
