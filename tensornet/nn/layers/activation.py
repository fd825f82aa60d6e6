"""Activations as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ops import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, tanh
from ..activations import ActivationLike, activation_of
from ..module import Module

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]


class Activation(Module):
    """A function of every entry, or of the last axis: by name, or any function of one array.

    Args:
        function: a name among `tensornet.nn.activations.ACTIVATIONS`, or a function.

    Raises:
        ValueError: an unknown name.

    >>> Activation("relu")([-1.0, 2.0])
    array([0., 2.])
    """

    def __init__(self, function: ActivationLike, **options: Any) -> None:
        super().__init__(**options)
        self.function = activation_of(function)

    def forward(self, x: Any) -> Any:
        return x if self.function is None else self.function(x)


class ReLU(Module):
    """``max(x, 0)``."""

    def forward(self, x: Any) -> Any:
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, elsewhere `negative_slope` times x."""

    def __init__(self, negative_slope: float = 0.01, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return leaky_relu(x, self.negative_slope)


class ELU(Module):
    """x where it is positive, elsewhere ``alpha * (exp(x) - 1)``."""

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return elu(x, self.alpha)


class GELU(Module):
    """x times the normal distribution function of x; `approximate` is "none" or "tanh"."""

    def __init__(self, approximate: str = "none", **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return gelu(x, self.approximate)


class SiLU(Module):
    """``x * sigmoid(x)``, also called swish."""

    def forward(self, x: Any) -> Any:
        return silu(x)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def forward(self, x: Any) -> Any:
        return sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return tanh(x)


class Softmax(Module):
    """``exp(x)`` divided by its sum over an axis, by default the last."""

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return softmax(x, self.axis)


class LogSoftmax(Module):
    """The logarithm of `Softmax`."""

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return log_softmax(x, self.axis)
