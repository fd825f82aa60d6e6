"""Activations of neural networks, of every entry of a real tensor.

TypeError for complex entries; whole numbers become float64 where the result is not whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import operation
from .choosing import choose
from .curves import curve
from .elementwise import real_operand

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
    below = np.multiply(np.minimum(array, 0), negative_slope)  # others might overflow
    return choose(np.greater(array, 0), array, below)


@operation
def elu(tensor: Any, alpha: float = 1.0) -> Any:
    """The entry x if it is positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2015).

    >>> elu([-1.0, 2.0]).round(3)
    array([-0.632,  2.   ])
    """
    return curve("elu", real_operand(tensor, "elu"), alpha)


@operation
def gelu(tensor: Any, approximate: str = "none") -> Any:
    """x times the chance that a normal variable is below it (Hendrycks and Gimpel 2016).

    Args:
        approximate: "none" for ``x * (1 + erf(x / sqrt(2))) / 2``, or "tanh" for the paper's
            ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``.

    Raises:
        ValueError: another `approximate`.

    >>> gelu([-1.0, 2.0]).round(3)
    array([-0.159,  1.954])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate is 'none' or 'tanh', not {approximate!r}")
    return curve("gelu_tanh" if approximate == "tanh" else "gelu", real_operand(tensor, "gelu"))


@operation
def sigmoid(tensor: Any) -> Any:
    """1 / (1 + exp(-x)), of full relative precision for entries x of any size.

    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return curve("sigmoid", real_operand(tensor, "sigmoid"))


@operation
def silu(tensor: Any) -> Any:
    """x times the sigmoid of x, also called swish.

    >>> silu([-1.0, 2.0]).round(3)
    array([-0.269,  1.762])
    """
    return curve("silu", real_operand(tensor, "silu"))


@operation
def softplus(tensor: Any) -> Any:
    """log(1 + exp(x)), without overflow.

    >>> softplus([-1000.0, 0.0, 100.0]).round(1)
    array([  0. ,   0.7, 100. ])
    """
    return curve("softplus", real_operand(tensor, "softplus"))
