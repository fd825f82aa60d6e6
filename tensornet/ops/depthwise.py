"""Depthwise convolution: each channel with weights of its own, and its two gradients.

The three functions are one trilinear form's partial derivatives, so that gradients of each are
again among them. Nothing is conjugated.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .. import _kernels
from ..arrays import Array
from ..config import get_num_threads
from ..errors import ShapeError
from ..tape import operation
from .slides import array_shape, check_shape, check_volume, floating, real_slide
from .windows import Windows

__all__ = ["depthwise", "depthwise_data_gradient", "depthwise_weight_gradient"]


@operation
def depthwise(x: Any, w: Any, windows: Windows) -> Any:
    """Convolve each channel with weights of its own, without flipping them.

    Args:
        x: of the shape that the windows slide over; float16, float32, float64, or complex.
        w: of shape (kernel, 1, channels * multiplier) where channels are last, else (channels *
            multiplier, 1, kernel); channel c of x has the weights and results c * multiplier to
            (c + 1) * multiplier - 1.
        windows: from `place_windows`.

    Returns:
        an array or a Tensor of the windows' counts, with channels * multiplier channels. float16 is
        computed in float32.

    Raises:
        ShapeError: operands that do not fit the windows.
        TypeError: another dtype.

    Cost: one multiply-add per weight and result, with neither a copy of the windows nor of x where
    the multiplier is 1; four times as much for complex operands.

    >>> from tensornet.ops.windows import place_windows
    >>> x = np.arange(4.0).reshape(1, 4, 1)
    >>> windows = place_windows("conv", x.shape, 2, spatial=1, data_format="NWC")
    >>> depthwise(x, np.array([1.0, 10.0]).reshape(2, 1, 1), windows).ravel()
    array([10., 21., 32.])
    """
    return _through_real_parts(_convolved, "depthwise", (x, "x"), (w, "w"), windows)


@operation
def depthwise_data_gradient(g: Any, w: Any, windows: Windows) -> Any:
    """The transpose of `depthwise` in x: what each position has from the windows that see it.

    Args:
        g: of the shape of results, of channels * multiplier channels.
        w: as for `depthwise`.

    Raises:
        ShapeError, TypeError: as for `depthwise`.
    """
    return _through_real_parts(
        _brought_back, "depthwise_data_gradient", (g, "g"), (w, "w"), windows
    )


@operation
def depthwise_weight_gradient(x: Any, g: Any, windows: Windows) -> Any:
    """The transpose of `depthwise` in w, of the shape of weights.

    Args:
        x: as for `depthwise`.
        g: of the shape of results, of channels * multiplier channels.

    Raises:
        ShapeError, TypeError: as for `depthwise`.

    The sums are in an order that does not depend on threads.
    """
    return _through_real_parts(
        _summed_weights, "depthwise_weight_gradient", (x, "x"), (g, "g"), windows
    )


Bilinear = Callable[[str, Array, Array, Windows], Array]


def _through_real_parts(
    function: Bilinear, name: str, left: tuple[Any, str], right: tuple[Any, str], windows: Windows
) -> Array:
    """A bilinear function of operands of one dtype; complex ones part by part."""
    a, b = [floating(name, *each, complex_too=True) for each in (left, right)]
    check_volume(name, windows)
    dtype = np.result_type(a, b)
    if dtype.kind != "c":
        computed = np.result_type(dtype, np.float32)
        result = function(
            name, a.astype(computed, copy=False), b.astype(computed, copy=False), windows
        )
        return result.astype(dtype, copy=False)
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)

    def part(p: Array, q: Array) -> Array:
        return function(name, p, q, windows)

    real = part(a.real, b.real)
    result = np.empty(real.shape, dtype)
    np.subtract(real, part(a.imag, b.imag), out=result.real)
    np.add(part(a.real, b.imag), part(a.imag, b.real), out=result.imag)
    return result


def _convolved(name: str, x: Array, w: Array, windows: Windows) -> Array:
    check_shape(name, "x", x, array_shape(windows))
    multiplier = _multiplier(name, w, windows)
    return real_slide(
        "weigh",
        _widened(windows, multiplier),
        _repeated(x, multiplier, windows),
        weights=_taps(w, windows),
    )


def _brought_back(name: str, g: Array, w: Array, windows: Windows) -> Array:
    multiplier = _multiplier(name, w, windows)
    check_shape(name, "g", g, windows.shape(windows.channels * multiplier))
    wide = _widened(windows, multiplier)
    result = real_slide("weigh", wide, g, weights=_taps(w, windows), transposed=True)
    if multiplier == 1:
        return result
    axis = result.ndim if windows.channels_last else 2
    shape = array_shape(windows)
    total: Array = result.reshape(*shape[:axis], multiplier, *shape[axis:]).sum(axis)
    return total


def _summed_weights(name: str, x: Array, g: Array, windows: Windows) -> Array:
    check_shape(name, "x", x, array_shape(windows))
    channels = g.shape[-1 if windows.channels_last else 1] if g.ndim > 1 else 0
    check_shape(name, "g", g, windows.shape(channels))
    multiplier = _divided(name, "g", channels, windows)
    shape = (
        (*windows.kernel, 1, channels) if windows.channels_last else (channels, 1, *windows.kernel)
    )
    w = np.empty(shape, x.dtype)
    _kernels.slide_weights(
        _widened(windows, multiplier),
        _repeated(x, multiplier, windows),
        g,
        _taps(w, windows),
        get_num_threads(),
    )
    return w


def _widened(windows: Windows, multiplier: int) -> Windows:
    if multiplier == 1:
        return windows
    return windows._replace(channels=windows.channels * multiplier)


def _repeated(x: Array, multiplier: int, windows: Windows) -> Array:
    """x with each channel `multiplier` times."""
    if multiplier == 1:
        return x
    shape = array_shape(_widened(windows, multiplier))
    if not multiplier:
        return np.empty(shape, x.dtype)
    axis = x.ndim if windows.channels_last else 2
    return np.stack([x] * multiplier, axis).reshape(shape)


def _multiplier(name: str, w: Array, windows: Windows) -> int:
    """How many results a channel has; raises ShapeError unless these are weights for windows."""
    last = windows.channels_last
    taps = w.shape[:-1] if last else w.shape[1:]
    if taps != ((*windows.kernel, 1) if last else (1, *windows.kernel)):
        kernel = ", ".join(map(str, windows.kernel))
        wanted = f"({kernel}, 1, channels)" if last else f"(channels, 1, {kernel})"
        raise ShapeError(f"{name}: w has shape {w.shape}, its windows take {wanted}")
    return _divided(name, "w", w.shape[-1 if last else 0], windows)


def _divided(name: str, what: str, channels: int, windows: Windows) -> int:
    if windows.channels == channels == 0:
        return 1
    if not windows.channels or channels % windows.channels:
        raise ShapeError(
            f"{name}: {what} has {channels} channels, which is no multiple of the "
            f"{windows.channels} of x"
        )
    return channels // windows.channels


def _taps(w: Array, windows: Windows) -> Array:
    """The weights as a matrix (taps, channels); a view of contiguous ones."""
    taps = prod(windows.kernel)
    if windows.channels_last:
        return w.reshape(taps, w.shape[-1])
    by_tap: Array = w.reshape(w.shape[0], taps).T
    return by_tap
