"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.rules.registry import rule
from ...ops import multiply
from ...tape import as_operands, operation
from ..module import Module, Shape
from ..randomness import generator_of

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, entries zero by chance, and the others larger so that the mean stays the same.

    In evaluation mode, x. (Srivastava et al. 2014.)

    Args:
        rate: the chance of each entry; at least 0, less than 1.
        seed: of the layer's own generator, whose state is saved with the model.

    Attributes:
        noise: the generator.

    Complexity: three passes over x; it keeps an array of its size for the gradient.

    >>> Dropout(0.5, seed=1)(np.ones(8)).tolist()
    [2.0, 2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        if not 0 <= rate < 1:
            raise ValueError(f"the rate of Dropout is at least 0 and less than 1, not {rate}")
        self.rate = rate

    def build(self, input_shape: Shape) -> None:
        self.noise = generator_of(self._seed)

    def forward(self, x: Any) -> Any:
        if not self.training or not self.rate:
            return x
        (x,) = as_operands([x])
        single = x.dtype in (np.float32, np.complex64, np.float16)
        dtype = np.float32 if single else np.float64
        drawn = self.noise.random(x.shape, dtype)
        factors = np.multiply(drawn >= self.rate, dtype(1 / (1 - self.rate)), out=drawn)
        return _scaled(x, factors.astype(np.float16) if x.dtype == np.float16 else factors)


@operation
def _scaled(x: Any, factors: Any) -> Any:
    return x * factors


rule(_scaled, lambda g, y, x, factors: multiply(g, factors), keeps=(1,))
