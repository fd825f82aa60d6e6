"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..ops import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, tanh

__all__ = ["ACTIVATIONS", "Activate", "ActivationLike", "activation_of"]

Activate: TypeAlias = "Callable[[Any], Any]"
ActivationLike: TypeAlias = "str | Activate | None"

ACTIVATIONS: dict[str, Activate] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "silu": silu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def activation_of(given: ActivationLike) -> Activate | None:
    """The function meant by a name, or by itself; None for None and "linear".

    Raises:
        ValueError: an unknown name.

    >>> activation_of("relu")([-1.0, 2.0])
    array([0., 2.])
    """
    if given is None or callable(given):
        return given
    if given == "linear":
        return None
    if given not in ACTIVATIONS:
        raise ValueError(
            f"no activation is called {given!r}; there are linear, {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[given]
