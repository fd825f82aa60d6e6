"""An embedding whose table is a tensor train."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...api import contract_expr
from ...expr import from_labels
from ...ops import reshape, take
from ...tape import Tensor
from ..initialisers import Initialiser
from ..layers.embedding import checked_numbers
from ..module import Module, Shape
from .base import dense_variance, scaled
from .factors import checked_factors
from .mpo import chain_terms, tensor_train

__all__ = ["TTEmbedding"]


class TTEmbedding(Module):
    """Rows of a table that is a tensor train, so that a row is a product of a slice of each core.

    The digits of a number, in the mixed base of the input factors, choose the slices: Hrinchuk et
    al., Tensorized embedding layers, 2020.

    Args:
        inputs: factors of how many numbers there are; the first digit counts most.
        outputs: factors of the extent of a row, as many.
        bond_dim: extent of the bonds.
        initialiser: of the table, whose variance the cores begin with.

    Shapes: x (...), of whole numbers; cores (bond, input, output, bond); result (...,
    prod(outputs)).

    Raises:
        TypeError, ValueError: as `Embedding`.

    >>> layer = TTEmbedding((10, 10, 10), (2, 2, 4), bond_dim=5, seed=0)
    >>> layer(np.array([[1, 999]])).shape, layer.count_parameters()
    ((1, 2, 16), 800)
    """

    cores: list[Tensor]

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        bond_dim: int = 8,
        initialiser: Initialiser = "uniform",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.inputs = checked_factors(inputs, None, "inputs")
        self.outputs = checked_factors(outputs, len(self.inputs), "outputs")
        if bond_dim < 1:
            raise ValueError(f"the bonds have a positive extent, not {bond_dim}")
        self.bond_dim = bond_dim
        self.initialiser = initialiser

    @property
    def input_dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int64)

    def build(self, input_shape: Shape) -> None:
        count = len(self.inputs)
        bonds = [1, *[self.bond_dim] * (count - 1), 1]
        shapes = [
            (*bonds[k : k + 1][: k > 0], rows, columns, *bonds[k + 1 : k + 2][: k + 1 < count])
            for k, (rows, columns) in enumerate(zip(self.inputs, self.outputs))
        ]
        sizes = prod(self.inputs), prod(self.outputs)
        variance = dense_variance(self.initialiser, *sizes, self.generator)
        made = scaled(shapes, prod(bonds), (variance, self.generator))
        self.cores = [Tensor(np.asarray(core, self.dtype)) for core in made]

    def forward(self, x: Any) -> Any:
        numbers = checked_numbers(self, x, prod(self.inputs))
        digits = np.unravel_index(numbers.ravel(), self.inputs)
        slices = [
            take(core, d, axis=min(k, 1)) for k, (core, d) in enumerate(zip(self.cores, digits))
        ]
        terms: list[tuple[Any, ...]] = [
            tuple(["batch" if label[0] == "in" else label for label in term])
            for term in chain_terms(len(self.cores))
        ]
        sizes = {label: n for term, x in zip(terms, slices) for label, n in zip(term, x.shape)}
        output = ("batch", *[("out", k) for k in range(len(self.outputs))])
        rows = contract_expr(from_labels(terms, output, sizes), slices)
        return reshape(rows, (*numbers.shape, prod(self.outputs)))

    def to_dense(self) -> Any:
        """The table as one array or Tensor of shape (prod(inputs), prod(outputs))."""
        terms = chain_terms(len(self.cores))
        sizes = {
            label: n for term, core in zip(terms, self.cores) for label, n in zip(term, core.shape)
        }
        output = [(kind, k) for kind in ("in", "out") for k in range(len(terms))]
        table = contract_expr(from_labels(terms, output, sizes), self.cores)
        return reshape(table, (prod(self.inputs), prod(self.outputs)))

    @classmethod
    def from_dense(
        cls,
        table: Any,
        inputs: Sequence[int],
        outputs: Sequence[int],
        rank: int | None = None,
        tolerance: float | None = None,
        **options: Any,
    ) -> TTEmbedding:
        """A layer whose table is, or is close to, a given one; see `tensor_train`."""
        array = table.array if type(table) is Tensor else np.asarray(table)
        options.setdefault("dtype", array.dtype)
        layer = cls(inputs, outputs, 1, **options)
        layer.build((None,))
        cores = tensor_train(array, layer.inputs, layer.outputs, rank, tolerance)
        layer.cores = [Tensor(np.array(core, layer.dtype, order="C")) for core in cores]
        return layer
