"""Activations of neural networks, of every entry of a real tensor.

TypeError for complex entries; whole numbers become float64 where the result is not whole.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from ..tape import operation
from .choosing import choose
from .elementwise import real_operand
from .errorfunction import erf_of

__all__ = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus"]


@operation
def relu(tensor: Any) -> Any:
    """The entry if it is positive, else 0, where the gradient is 0, too.

    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return np.maximum(real_operand(tensor, "relu"), 0)


@operation
def leaky_relu(tensor: Any, negative_slope: float = 0.01) -> Any:
    """The entry if it is positive, else `negative_slope` times it.

    >>> leaky_relu([-1.0, 2.0])
    array([-0.01,  2.  ])
    """
    array = real_operand(tensor, "leaky_relu")
    if 0 < negative_slope <= 1:
        return np.maximum(array, np.multiply(array, negative_slope))
    return choose(np.greater(array, 0), array, np.multiply(array, negative_slope))


@operation
def elu(tensor: Any, alpha: float = 1.0) -> Any:
    """The entry x if it is positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2015).

    >>> elu([-1.0, 2.0]).round(3)
    array([-0.632,  2.   ])
    """
    array = real_operand(tensor, "elu")
    below = np.tanh(0.5 * np.minimum(array, 0))  # exp(x) - 1 = 2 t / (1 - t) with t = tanh(x / 2)
    return choose(np.greater(array, 0), array, (2 * alpha) * below / (1 - below))


@operation
def gelu(tensor: Any, approximate: str = "none") -> Any:
    """x times the chance that a normal variable is below it (Hendrycks and Gimpel 2016).

    Args:
        approximate: "none" for ``x * (1 + erf(x / sqrt(2))) / 2``, or "tanh" for the paper's
            ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``, in a third of the time.

    Raises:
        ValueError: another `approximate`.

    >>> gelu([-1.0, 2.0]).round(3)
    array([-0.159,  1.954])
    """
    array = np.asarray(real_operand(tensor, "gelu"))
    if approximate == "tanh":
        inner = np.square(array) * 0.044715
        inner += 1
        inner *= array
        inner *= sqrt(2 / pi)
        weight = np.tanh(inner)
    elif approximate == "none":
        weight = erf_of(array * sqrt(0.5))
    else:
        raise ValueError(f"approximate is 'none' or 'tanh', not {approximate!r}")
    weight += 1
    weight *= 0.5
    return weight * array


@operation
def sigmoid(tensor: Any) -> Any:
    """1 / (1 + exp(-x)), of full relative precision for entries x of any size.

    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return _sigmoid(real_operand(tensor, "sigmoid"))


@operation
def silu(tensor: Any) -> Any:
    """x times the sigmoid of x, also called swish.

    >>> silu([-1.0, 2.0]).round(3)
    array([-0.269,  1.762])
    """
    array = real_operand(tensor, "silu")
    return _sigmoid(array) * array


@operation
def softplus(tensor: Any) -> Any:
    """log(1 + exp(x)), without overflow.

    >>> softplus([-1000.0, 0.0, 100.0]).round(1)
    array([  0. ,   0.7, 100. ])
    """
    array = real_operand(tensor, "softplus")
    small = np.asarray(np.exp(-np.abs(array)))
    above = small + 1
    step = above - 1  # small, as it was rounded; log(above) is to be as much too great or too small
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = choose(step == 0, small, np.log(above) * (small / step))
    return logarithm + np.maximum(array, 0)


def _sigmoid(array: Any) -> Any:
    with np.errstate(over="ignore"):  # exp(-x) may be inf, and 1 / inf is right
        weights = np.asarray(np.exp(np.negative(array)))
    weights += 1
    return np.reciprocal(weights, out=weights)
