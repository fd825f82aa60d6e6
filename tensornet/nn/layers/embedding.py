"""The embedding of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import take
from ...tape import Tensor, as_operands
from ..initialisers import Initialiser
from ..module import Module, Shape

__all__ = ["Embedding", "checked_numbers"]


class Embedding(Module):
    """Rows of a table: ``table[x]``.

    Args:
        input_size: how many numbers there are: 0 to input_size - 1. Keras calls it input_dim.
        output_size: extent of a row. Keras: output_dim; PyTorch: embedding_dim.
        initialiser: of the table; see `tensornet.nn.initialisers`.

    Shapes: x (...), of whole numbers; table (input_size, output_size); result (..., output_size).

    Raises, when called:
        TypeError: x is not of whole numbers.
        ValueError: a number out of range, which it names.

    >>> layer = Embedding(10, 4, seed=0)
    >>> layer(np.array([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    table: Tensor

    def __init__(
        self,
        input_size: int,
        output_size: int,
        initialiser: Initialiser = "uniform",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if input_size < 1 or output_size < 1:
            raise ValueError(f"an embedding of {input_size} numbers in {output_size} is none")
        self.input_size = input_size
        self.output_size = output_size
        self.initialiser = initialiser

    @property
    def input_dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int64)

    def build(self, input_shape: Shape) -> None:
        self.add_parameter("table", (self.input_size, self.output_size), self.initialiser)

    def forward(self, x: Any) -> Any:
        return take(self.table, checked_numbers(self, x, self.input_size), axis=0)


def checked_numbers(module: Module, x: Any, count: int) -> Any:
    """Whole numbers from 0 to count - 1, as an array.

    Raises:
        TypeError, ValueError: they are not; names the module.
    """
    (x,) = as_operands([x])
    numbers = x.array if type(x) is Tensor else x
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{module.label} expects whole numbers, not {numbers.dtype}")
    if numbers.size:
        for extreme in (numbers.min(), numbers.max()):
            if not 0 <= extreme < count:
                raise ValueError(
                    f"{module.label} expects numbers from 0 to {count - 1}, not {extreme}"
                )
    return numbers
