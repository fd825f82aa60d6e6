"""Cases of pooling and depthwise convolution: (name, ours, torch's), each in one memory format.

Each of the two is a function without arguments that computes what the name says; `ours` on NumPy
arrays, torch's on its tensors of the same entries in the memory format of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tensornet.ops import depthwise as dw
from tensornet.ops import pooling
from tensornet.ops.windows import place_windows

Case = tuple[str, Callable[[], Any], Callable[[], Any]]

# (batch, channels, extent, kernel, stride, padding)
DEPTHWISE = [
    (8, 128, 56, 3, 1, 1),
    (8, 128, 56, 3, 2, 1),
    (8, 128, 56, 5, 1, 2),
    (8, 512, 14, 3, 1, 1),
    (16, 960, 7, 3, 1, 1),
    (1, 32, 112, 3, 1, 1),
    (8, 3, 112, 3, 1, 1),
    (8, 17, 57, 3, 1, 1),
]
POOLING = [
    (32, 64, 56, 2, 2, 0),
    (64, 32, 28, 2, 2, 0),
    (8, 64, 112, 3, 2, 1),
    (64, 32, 28, 3, 1, 1),
    (1, 64, 56, 2, 2, 0),
    (16, 3, 112, 2, 2, 0),
    (16, 17, 57, 3, 2, 1),
]


def cases(*formats: str) -> Iterator[Case]:
    """All cases in the data formats "NHWC" and "NCHW", or in those named."""
    for data_format in formats or ("NHWC", "NCHW"):
        for shape in DEPTHWISE:
            yield from depthwise_cases(data_format, *shape)
        for shape in POOLING:
            for kind in ("max", "average"):
                yield from pooling_cases(data_format, kind, *shape)


def _arrays(data_format: str, shape: tuple[int, int, int, int]) -> tuple[Any, Any]:
    """The same entries for both."""
    import torch

    planes = np.random.default_rng(0).standard_normal(shape).astype("float32")
    theirs = torch.asarray(planes)
    if data_format == "NCHW":
        return planes, theirs
    ours = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return ours, theirs.contiguous(memory_format=torch.channels_last)


def _both(title: str, forward: Any, backward: Any, of: Any, given: Any) -> Iterator[Case]:
    """The cases forward and backward; `of` is torch's function of `given`."""
    import torch

    def plain() -> Any:
        with torch.no_grad():
            return of()

    for each in given:
        each.requires_grad_()
    result = of()
    ones = torch.ones_like(result)
    yield f"{title} forward", forward, plain
    yield (
        f"{title} backward",
        backward,
        lambda: torch.autograd.grad(result, given, ones, retain_graph=True),
    )


def depthwise_cases(
    data_format: str, n: int, c: int, extent: int, kernel: int, stride: int, padding: int
) -> Iterator[Case]:
    import torch

    x, theirs = _arrays(data_format, (n, c, extent, extent))
    shape = (kernel, kernel, 1, c) if data_format == "NHWC" else (c, 1, kernel, kernel)
    w = np.ones(shape, "float32")
    weights = torch.ones((c, 1, kernel, kernel))
    windows = place_windows("conv", x.shape, kernel, stride, padding, 1, data_format)
    g = np.ones(windows.shape(c), "float32")
    yield from _both(
        f"depthwise {data_format} {(n, c, extent)} {kernel}x{kernel}/{stride}",
        lambda: dw.depthwise(x, w, windows),
        lambda: (
            dw.depthwise_data_gradient(g, w, windows),
            dw.depthwise_weight_gradient(x, g, windows),
        ),
        lambda: torch.nn.functional.conv2d(theirs, weights, None, stride, padding, groups=c),
        (theirs, weights),
    )


def pooling_cases(
    data_format: str, kind: str, n: int, c: int, extent: int, kernel: int, stride: int, padding: int
) -> Iterator[Case]:
    import torch

    x, theirs = _arrays(data_format, (n, c, extent, extent))
    windows = place_windows("pool", x.shape, kernel, stride, padding, 1, data_format)
    g = np.ones(windows.shape(c), "float32")
    title = f"{kind} pooling {data_format} {(n, c, extent)} {kernel}x{kernel}/{stride}"
    functional = torch.nn.functional
    if kind == "max":
        argmax = pooling.max_pool_with_argmax(x, windows)[1]
        yield from _both(
            title,
            lambda: pooling.max_pool_with_argmax(x, windows),
            lambda: pooling.max_pool_gradient(g, argmax, windows),
            lambda: functional.max_pool2d(theirs, kernel, stride, padding),
            (theirs,),
        )
        return
    yield from _both(
        title,
        lambda: pooling.avg_pool(x, windows),
        lambda: pooling.avg_pool_gradient(g, windows),
        lambda: functional.avg_pool2d(theirs, kernel, stride, padding, count_include_pad=False),
        (theirs,),
    )
