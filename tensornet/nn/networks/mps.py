"""A classifier that is a matrix product state."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...api import einsum
from ...errors import ShapeError
from ...ops import concatenate, matmul, reshape, stack
from ...tape import Tensor, as_operands
from ..module import Module, Shape

__all__ = ["MPSClassifier"]


class MPSClassifier(Module):
    """Scores that are multilinear in features of all inputs: a matrix product state.

    Each input x becomes the features (1 - x, x), which choose between two matrices of its site.
    The matrices of all sites are multiplied, half of them on either side of a core with the
    classes. Stoudenmire and Schwab, Supervised learning with tensor networks, 2016; the matrices
    begin as identities with some noise, as in Efthymiou et al., TensorNetwork for machine learning,
    2019.

    Args:
        classes: extent of the result.
        bond_dim: rows and columns of the matrices.
        deviation: of the noise.

    Shapes: x (batch, ...), of entries from 0 to 1; sites (inputs, 2, bond, bond), centre (bond,
    classes, bond), result (batch, classes), to be used as logits.

    Complexity: 2 bond ** 2 + bond ** 3 multiply-adds per input and example; all products of
    neighbours at once, log2(inputs) times.

    >>> layer = MPSClassifier(10, 6, seed=0)
    >>> layer(np.zeros((2, 28, 28), np.float32)).shape
    (2, 10)
    """

    sites: Tensor
    centre: Tensor

    def __init__(
        self, classes: int, bond_dim: int = 10, deviation: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(**options)
        if classes < 1 or bond_dim < 1:
            raise ValueError(f"{classes} classes with bonds of {bond_dim} make no classifier")
        self.classes = classes
        self.bond_dim = bond_dim
        self.deviation = deviation

    def build(self, input_shape: Shape) -> None:
        inputs = prod([self.known_extent(input_shape, k) for k in range(1, len(input_shape))])
        if inputs < 2:
            raise ShapeError(f"{self.label} expects at least two inputs, not {inputs}")
        bond = self.bond_dim
        self.add_parameter("sites", (inputs, 2, bond, bond), self._near_identity)
        self.add_parameter("centre", (bond, self.classes, bond), self._centre)

    def _near_identity(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return np.eye(shape[-1]) + generator.normal(0, self.deviation, shape)

    def _centre(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return generator.normal(0, 1 / shape[0], shape)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        inputs = self.sites.shape[0]
        self.check_input(x, "batch", *x.shape[1:])
        rows = reshape(x, (x.shape[0], prod(x.shape[1:])))
        self.check_input(rows, "batch", inputs)
        features = stack([1 - rows, rows], axis=2)
        matrices = einsum("nsf,sfab->snab", features, self.sites)
        left = _product(matrices[: inputs // 2])
        right = _product(matrices[inputs // 2 :])
        return einsum("nab,bcd,nda->nc", left, self.centre, right)

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        inputs, bond = self.sites.shape[0], self.bond_dim
        each = 2 * inputs * bond**2 + (inputs - 1) * bond**3 + self.classes * bond**2
        return input_shape[0] * each

    def to_dense(self) -> Any:
        """Scores for every choice of one feature per input: 2 ** inputs rows of classes.

        Shape (2, ..., 2, classes), for tests of few inputs.
        """
        inputs = self.sites.shape[0]
        ring = [*range(inputs // 2), None, *range(inputs // 2, inputs)]
        label = inputs + len(ring)  # of the classes
        operands: list[Any] = []
        for place, site in enumerate(ring):
            left, right = inputs + place, inputs + (place + 1) % len(ring)
            if site is None:
                operands += [self.centre, [left, label, right]]
            else:
                operands += [self.sites[site], [site, left, right]]
        return einsum(*operands, [*range(inputs), label])


def _product(matrices: Any) -> Any:
    """The product along the first axis of (sites, batch, bond, bond), neighbours first."""
    while (count := matrices.shape[0]) > 1:
        pairs = matmul(matrices[0 : count - 1 : 2], matrices[1:count:2])
        matrices = concatenate([pairs, matrices[count - 1 :]], axis=0) if count % 2 else pairs
    return matrices[0]
