"""A convolution, and the largest of its results in windows: bias and relu wait until after that.

Adding a bias and cutting off below zero never change the order of numbers, not by rounding either,
so ``pool(relu(convolution + bias))`` is ``relu(pool(convolution) + bias)`` to the last bit, with
fewer entries to go through forwards, backwards, and for the gradient of the bias.
"""

from __future__ import annotations

from typing import Any

from ...autodiff.rules.registry import joint_rule
from ...ops import relu
from ...tape import operation
from ..affine import affine
from ..module import Module
from .convolution import _Convolution
from .pooling import _MaxPool

__all__ = ["convolve_and_pool", "may_exchange"]


def may_exchange(layer: Module, after: Module) -> bool:
    """Is it a convolution and the largest of windows, none of which lies in padding only?"""
    return (
        isinstance(layer, _Convolution)
        and isinstance(after, _MaxPool)
        and layer.activation in (None, relu)
        and after.padding in ("SAME", "VALID")
        and type(layer).forward is _Convolution.forward  # no subclass has another idea
        and type(after).forward is _MaxPool.forward
        and layer._observer is None
    )


def convolve_and_pool(layer: Any, after: Module, x: Any) -> Any:
    """What the second layer returns for what the first does."""
    if not layer._ready:
        layer._prepare((x,))
    y = after(layer.convolved(x))
    if layer.bias is None and layer.activation is None:
        return y
    return affine(_copied, y, None, layer.bias, layer.activation)


@operation
def _copied(y: Any, _: None) -> Any:
    return y.copy()


joint_rule(_copied, lambda g, *_: (g, None), keeps=())
