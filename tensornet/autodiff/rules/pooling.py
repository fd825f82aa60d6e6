"""Rules of pooling and depthwise convolution, each made of the operations in the same file.

Where the largest stood counts as a constant.
"""

from __future__ import annotations

from typing import Any

from ...ops.depthwise import depthwise, depthwise_data_gradient, depthwise_weight_gradient
from ...ops.pooling import (
    avg_pool,
    avg_pool_gradient,
    max_pool,
    max_pool_gather,
    max_pool_gradient,
    max_pool_with_argmax,
)
from ...tape import Tensor
from .registry import conjugated, rule

__all__: list[str] = []


def _plain(places: Any) -> Any:
    return places.array if type(places) is Tensor else places


def _of_max(g: Any, _: Any, x: Any, windows: Any) -> Any:
    x = x.array if type(x) is Tensor else x
    return max_pool_gradient(g, max_pool_with_argmax(x, windows)[1], windows)


rule(max_pool, _of_max)
rule(
    max_pool_with_argmax,
    lambda g, results, x, windows: (
        None if g[0] is None else max_pool_gradient(g[0], _plain(results[1]), windows)
    ),
    keeps=(),
    keeps_result=True,
)
rule(
    max_pool_gather,
    lambda g, _, x, places, windows: max_pool_gradient(g, places, windows),
    keeps=(1,),
)
rule(
    max_pool_gradient,
    lambda g, _, y, places, windows: max_pool_gather(g, places, windows),
    keeps=(1,),
)
rule(
    avg_pool,
    lambda g, _, x, windows, count_include_padding=False: avg_pool_gradient(
        g, windows, count_include_padding
    ),
    keeps=(),
)
rule(
    avg_pool_gradient,
    lambda g, _, y, windows, count_include_padding=False: avg_pool(
        g, windows, count_include_padding
    ),
    keeps=(),
)
rule(
    depthwise,
    lambda g, _, x, w, windows: depthwise_data_gradient(g, conjugated(w), windows),
    lambda g, _, x, w, windows: depthwise_weight_gradient(conjugated(x), g, windows),
    keeps=((1,), (0,)),
)
rule(
    depthwise_data_gradient,
    lambda g, _, y, w, windows: depthwise(g, conjugated(w), windows),
    lambda g, _, y, w, windows: depthwise_weight_gradient(g, conjugated(y), windows),
    keeps=((1,), (0,)),
)
rule(
    depthwise_weight_gradient,
    lambda g, _, x, y, windows: depthwise_data_gradient(conjugated(y), g, windows),
    lambda g, _, x, y, windows: depthwise(conjugated(x), g, windows),
    keeps=((1,), (0,)),
)
