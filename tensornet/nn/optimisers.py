"""The optimisers: SGD, Adam, AdamW, RMSprop, Adagrad. Their formulas are those of PyTorch.

g is the gradient, w the variable, r the learning rate; what else has a name is remembered.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from .. import _kernels
from ..config import get_num_threads
from ..tape import Tensor
from .optimiser import Array, Optimiser
from .schedules import Rate

__all__ = ["OPTIMISERS", "SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "optimiser_of"]


class SGD(Optimiser):
    """Stochastic gradient descent, with momentum if wanted.

    ``w -= r * g``; with momentum ``m = momentum * m + g`` and ``w -= r * m``; with Nesterov's
    ``w -= r * (g + momentum * m)``. (Sutskever et al. 2013.)

    Args:
        learning_rate, weight_decay, clip_value, clip_norm: see `Optimiser`.

    >>> w = Tensor([1.0])
    >>> loss = SGD(0.25).minimize(lambda: w * w, [w])
    >>> w
    Tensor([0.5], dtype=float64)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        _check_fraction("momentum", momentum)
        if nesterov and not momentum:
            raise ValueError("Nesterov's SGD needs a momentum")
        self.momentum = momentum
        self.nesterov = nesterov
        self.slots = ("momentum",) if momentum else ()

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        g = self._decayed(variable, gradient, scratch[0])
        if self.momentum:
            (m,) = slots
            m *= self.momentum
            m += g
            if self.nesterov:
                g = np.add(g, np.multiply(m, self.momentum, out=scratch[1]), out=scratch[1])
            else:
                g = m
        variable -= np.multiply(g, rate, out=scratch[1])


class Adam(Optimiser):
    """Steps by the mean of gradients, in proportion to the root of the mean of their squares.

    ``w -= r * mean(g) / (sqrt(mean(g * g)) + epsilon)``, in which a gradient that came k moves of
    this variable ago has the weight ``beta ** k``. (Kingma and Ba 2015; their moments are
    ``(1 - beta)`` times the weighted sums that are remembered here.)

    Args:
        learning_rate, weight_decay, clip_value, clip_norm: see `Optimiser`.

    >>> w = Tensor([1.0])
    >>> loss = Adam(0.5).minimize(lambda: w * w, [w])
    >>> round(float(w), 6)
    0.5
    """

    slots = ("sum", "squares")
    block = sys.maxsize  # which the kernel passes over once

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        _check_fraction("beta_1", beta_1)
        _check_fraction("beta_2", beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        g = self._decayed(variable, gradient, scratch[0])
        within = np.result_type(variable, np.float32)  # float16 is computed in float32
        moved = variable, *slots
        w, total, squares = (each.astype(within, copy=False) for each in moved)
        root = sqrt(_weights(self.beta_2, count))
        _kernels.adam(
            w,
            g.astype(within, copy=False),
            total,
            squares,
            self.beta_1,
            self.beta_2,
            self.epsilon * root,
            rate * root / _weights(self.beta_1, count),
            get_num_threads(),
        )
        for array, computed in zip(moved, (w, total, squares)):
            if computed is not array:
                array[...] = computed


def _weights(beta: float, count: int) -> float:
    """The sum of ``beta ** k`` for k < count."""
    return (1 - beta**count) / (1 - beta)


class AdamW(Adam):
    """Adam, with weight decay apart from the gradient: first ``w -= r * weight_decay * w``.

    (Loshchilov and Hutter 2019.) Arguments are those of `Adam`.

    >>> w = Tensor([1.0])
    >>> AdamW(0.5, weight_decay=1.0).apply_gradients([(Tensor([0.0]), w)])
    >>> w
    Tensor([0.5], dtype=float64)
    """

    def __init__(
        self, learning_rate: Rate = 0.001, weight_decay: float = 0.01, **options: Any
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **options)

    def _decayed(self, variable: Array, gradient: Array, scratch: Array) -> Array:
        return gradient

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        variable *= 1 - rate * self.weight_decay
        super()._update(variable, gradient, slots, scratch, rate, count)


class RMSprop(Optimiser):
    """Gradients divided by the root of the running mean of their squares.

    ``v = rho * v + (1 - rho) * g * g``; if `centered` its variance instead, ``v - a * a`` with
    ``a = rho * a + (1 - rho) * g``; ``w -= r * g / (sqrt(v) + epsilon)``, or with momentum
    ``m = momentum * m + g / (sqrt(v) + epsilon)`` and ``w -= r * m``. (Tieleman and Hinton 2012.)

    Args:
        rho: PyTorch calls it alpha, 0.99 by default.
        learning_rate, weight_decay, clip_value, clip_norm: see `Optimiser`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        _check_fraction("rho", rho)
        _check_fraction("momentum", momentum)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered
        self.slots = ("square",) + ("mean",) * centered + ("momentum",) * bool(momentum)

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        g = self._decayed(variable, gradient, scratch[0])
        square, spare = slots[0], scratch[1]
        np.multiply(g, g, out=spare)
        spare *= 1 - self.rho
        square *= self.rho
        square += spare
        if self.centered:
            mean = slots[1]
            mean *= self.rho
            mean += np.multiply(g, 1 - self.rho, out=spare)
            np.multiply(mean, mean, out=spare)
            np.subtract(square, spare, out=spare)
            np.sqrt(spare, out=spare)
        else:
            np.sqrt(square, out=spare)
        spare += self.epsilon
        np.divide(g, spare, out=spare)
        if self.momentum:
            m = slots[-1]
            m *= self.momentum
            m += spare
            np.multiply(m, rate, out=spare)
        else:
            spare *= rate
        variable -= spare


class Adagrad(Optimiser):
    """Gradients divided by the root of the sum of their squares so far.

    ``s += g * g`` and ``w -= r * g / (sqrt(s) + epsilon)``. (Duchi et al. 2011.)

    Args:
        initial: of s, of both parts of complex entries.
        learning_rate, weight_decay, clip_value, clip_norm: see `Optimiser`.
    """

    slots = ("square",)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        initial: float = 0.0,
        epsilon: float = 1e-10,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial = initial
        self.epsilon = epsilon

    def _fresh(self, variable: Tensor) -> list[Array]:
        is_complex = variable.dtype.kind == "c"  # moved as pairs of real numbers
        begin = complex(self.initial, self.initial) if is_complex else self.initial
        return [np.full(variable.shape, begin, variable.dtype)]

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        g = self._decayed(variable, gradient, scratch[0])
        (square,), spare = slots, scratch[1]
        square += np.multiply(g, g, out=spare)
        np.sqrt(square, out=spare)
        spare += self.epsilon
        np.divide(g, spare, out=spare)
        spare *= rate
        variable -= spare


OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}


def optimiser_of(given: str | Optimiser) -> Optimiser:
    """The optimiser meant by a name in any case, with its defaults, or by itself.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(given, Optimiser):
        return given
    if given.lower() not in OPTIMISERS:
        raise ValueError(f"no optimiser is called {given!r}; there are {', '.join(OPTIMISERS)}")
    made = OPTIMISERS[given.lower()]
    return made()  # type: ignore[call-arg]


def _check_fraction(name: str, given: float) -> None:
    if not 0 <= given < 1:
        raise ValueError(f"{name} is at least 0 and less than 1, not {given}")
