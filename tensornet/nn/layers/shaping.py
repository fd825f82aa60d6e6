"""Layers that compute nothing: other shapes for the same entries."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ...errors import ShapeError
from ...ops import reshape, shape

__all__ = ["Flatten", "Reshape"]

from ..module import Module


class Flatten(Module):
    """All axes but the first as one, in C order.

    >>> import numpy as np
    >>> Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def forward(self, x: Any) -> Any:
        batch, *rest = shape(x)
        return reshape(x, (batch, prod(rest)))


class Reshape(Module):
    """Another shape for every example.

    Args:
        target_shape: without the batch axis; one extent may be -1, as many as are left.

    >>> import numpy as np
    >>> Reshape((2, -1))(np.zeros((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def forward(self, x: Any) -> Any:
        batch, *rest = shape(x)
        size, known = prod(rest), prod([extent for extent in self.target_shape if extent != -1])
        target = tuple([size // max(known, 1) if n == -1 else n for n in self.target_shape])
        if prod(target) != size:
            raise ShapeError(
                f"{self.label} expects examples of a shape that becomes {self.target_shape}, "
                f"not {tuple(rest)}"
            )
        return reshape(x, (batch, *target))
