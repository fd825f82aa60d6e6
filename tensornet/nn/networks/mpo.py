"""Kernels that are matrix product operators, which are known as tensor trains, too."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any, TypeVar

import numpy as np

from ... import linalg
from ...errors import ShapeError
from ...tape import Tensor
from .base import DenseNetwork, Wiring
from .factors import Factors, checked_factors

__all__ = ["DenseDecomp", "DenseMPO", "chain_terms", "tensor_train", "train_of"]

Self = TypeVar("Self", bound="DenseMPO")


def chain_terms(count: int) -> list[tuple[Any, ...]]:
    """Labels of the cores of an operator: bond, input, output, bond; the ends have one bond."""
    terms: list[tuple[Any, ...]] = []
    for k in range(count):
        left = [("bond", k)] if k else []
        right = [("bond", k + 1)] if k + 1 < count else []
        terms.append((*left, ("in", k), ("out", k), *right))
    return terms


def tensor_train(
    kernel: Any,
    inputs: Sequence[int],
    outputs: Sequence[int],
    rank: int | None = None,
    tolerance: float | None = None,
) -> list[Any]:
    """The cores of an operator that is, or is close to, a matrix.

    One singular value decomposition after the other: Oseledets, Tensor-train decomposition, SIAM J.
    Sci. Comput. 33, 2011, algorithm 1.

    Args:
        kernel: of shape (prod(inputs), prod(outputs)).
        inputs, outputs: factors, as many of either.
        rank: the largest bond.
        tolerance: the Frobenius norm of the error, relative to that of the kernel.

    Returns:
        arrays of the axes (bond, input, output, bond), the first and last with one bond.

    Raises:
        ShapeError: a kernel of another shape.

    >>> cores = tensor_train(np.eye(4), (2, 2), (2, 2), tolerance=1e-12)
    >>> [core.shape for core in cores]
    [(2, 2, 1), (1, 2, 2)]
    """
    if np.shape(kernel) != (prod(inputs), prod(outputs)):
        raise ShapeError(
            f"a kernel of shape {np.shape(kernel)} is none of {tuple(inputs)} inputs and "
            f"{tuple(outputs)} outputs"
        )
    count = len(inputs)
    order = [axis for k in range(count) for axis in (k, count + k)]
    pairs = list(zip(inputs, outputs))
    if count == 1:
        return [kernel]
    chain = np.reshape(kernel, (*inputs, *outputs)).transpose(order)
    cores = train_of(chain[np.newaxis, ..., np.newaxis], pairs, rank, tolerance)
    return [cores[0][0], *cores[1:-1], cores[-1][..., 0]]


def train_of(
    tensor: Any,
    pairs: Sequence[tuple[int, int]],
    rank: int | None = None,
    tolerance: float | None = None,
) -> list[Any]:
    """The cores (bond, input, output, bond) of a tensor whose outer axes are the outer bonds.

    Args:
        tensor: of shape (first bond, input, output, input, output, ..., last bond).
        pairs: the extents of the input and output of each core.
        rank, tolerance: as for `tensor_train`.

    >>> cores = train_of(np.ones((2, 3, 4, 3, 2, 5)), [(3, 4), (3, 2)], tolerance=1e-12)
    >>> [core.shape for core in cores]
    [(2, 3, 4, 1), (1, 3, 2, 5)]
    """
    chain = tensor.reshape(len(tensor), *map(prod, pairs), tensor.shape[-1])
    steps = chain.ndim - 3
    allowed = None
    if tolerance is not None:
        allowed = tolerance * float(linalg.norm(chain)) / sqrt(max(steps, 1))
    cores, rest = [], chain
    for _ in range(steps):
        u, s, vh, _ = linalg.svd(rest, 2, max_singular_values=rank, max_truncation_error=allowed)
        if not len(s):  # nothing is left of it, but a bond has an extent
            u, s, vh = (
                np.zeros((*u.shape[:-1], 1), u.dtype),
                np.zeros(1, s.dtype),
                np.zeros((1, *vh.shape[1:]), vh.dtype),
            )
        cores.append(u)
        rest = s.reshape(-1, *[1] * (vh.ndim - 1)) * vh
    return [core.reshape(len(core), *pair, -1) for core, pair in zip([*cores, rest], pairs)]


class DenseMPO(DenseNetwork):
    """A dense layer whose kernel is a matrix product operator.

    Core k has one factor of the inputs and one of the units, and bonds to its neighbours: 784 =
    4 * 7 * 4 * 7 pixels and 1024 units with bonds of 8 take 5,184 parameters instead of 802,816.
    Novikov et al., Tensorizing neural networks, 2015; google/TensorNetwork has a Keras layer of
    this name.

    Args:
        units: factors of the extent of the result, or their product.
        bond_dim: extent of the bonds.
        inputs: factors of the extent of the inputs, as many; by default nearly equal ones.
        num_nodes: how many cores, if `units` does not say.
        activation, use_bias, kernel_initialiser, bias_initialiser: as for `Dense`; the cores begin
            so that the kernel has the variance that the initialiser gives it.

    Shapes: x (..., prod(inputs)), cores (bond, input, output, bond), result (..., prod(units)).

    Raises:
        ValueError: factors that are not as many positive numbers.
        ShapeError: inputs of another extent, when called.

    >>> layer = DenseMPO((4, 8, 4, 8), 8, inputs=(4, 7, 4, 7), seed=0)
    >>> x = np.ones((2, 784), np.float32)
    >>> bool(np.allclose(layer(x).array, x @ layer.to_dense().array, atol=1e-5))
    True
    """

    def __init__(
        self,
        units: Factors,
        bond_dim: int = 8,
        inputs: Sequence[int] | None = None,
        num_nodes: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        count = num_nodes if inputs is None else len(inputs)
        self.units = checked_factors(units, count, "units")
        self.input_factors = None
        if inputs is not None:
            self.input_factors = checked_factors(inputs, len(self.units), "inputs")
        if bond_dim < 1:
            raise ValueError(f"the bonds have a positive extent, not {bond_dim}")
        self.bond_dim = bond_dim

    def wire(self, inputs: int) -> Wiring:
        count = len(self.units)
        factors = self.input_factors or checked_factors(inputs, count, "inputs")
        if prod(factors) != inputs:
            raise ShapeError(
                f"{self.label} expects inputs of extent {prod(factors)} = "
                f"{' * '.join(map(str, factors))}, not {inputs}"
            )
        sizes: dict[Any, int] = {("bond", k): self.bond_dim for k in range(1, count)}
        sizes.update({("in", k): n for k, n in enumerate(factors)})
        sizes.update({("out", k): n for k, n in enumerate(self.units)})
        into, out = (tuple([(kind, k) for k in range(count)]) for kind in ("in", "out"))
        return Wiring(chain_terms(count), into, out, sizes)

    @classmethod
    def from_dense(
        cls: type[Self],
        kernel: Any,
        inputs: Sequence[int],
        units: Sequence[int],
        rank: int | None = None,
        tolerance: float | None = None,
        bias: Any = None,
        **options: Any,
    ) -> Self:
        """A layer whose kernel is, or is close to, a given one; see `tensor_train`.

        Args:
            kernel: of shape (prod(inputs), prod(units)), such as `Dense.kernel`.
            rank, tolerance: the largest bond, and the relative error of the kernel.
            bias: of shape (prod(units),); None for none.

        >>> layer = DenseMPO.from_dense(np.eye(6), (2, 3), (2, 3), tolerance=1e-9)
        >>> [core.shape for core in layer.cores]
        [(2, 2, 1), (1, 3, 3)]
        """
        array = kernel.array if type(kernel) is Tensor else np.asarray(kernel)
        options.setdefault("dtype", array.dtype)
        layer = cls(tuple(units), 1, inputs, use_bias=bias is not None, **options)
        cores = tensor_train(array, inputs, units, rank, tolerance)
        layer.build((None, prod(inputs)))
        layer.cores = [Tensor(np.array(core, layer.dtype, order="C")) for core in cores]
        sizes = layer._wiring.sizes
        sizes.update({("bond", k): len(core) for k, core in enumerate(cores) if k})
        if bias is not None:
            given = bias.array if type(bias) is Tensor else bias
            layer.add_parameter("bias", (prod(units),), np.asarray(given))
        return layer


class DenseDecomp(DenseNetwork):
    """A dense layer whose kernel is a product of two matrices of small rank.

    Args:
        units: extent of the last axis of the result.
        decomp_size: the rank: how many columns the first matrix has.
        activation, use_bias, kernel_initialiser, bias_initialiser: as for `DenseMPO`.

    Shapes: x (..., inputs), cores (inputs, decomp_size) and (decomp_size, units), result (...,
    units).

    >>> DenseDecomp(10, 3, seed=0)(np.ones((2, 50), np.float32)).shape
    (2, 10)
    """

    def __init__(self, units: int, decomp_size: int, **options: Any) -> None:
        super().__init__(**options)
        if units < 1 or decomp_size < 1:
            raise ValueError(f"{units} units of rank {decomp_size} make no layer")
        self.units = units
        self.decomp_size = decomp_size

    def wire(self, inputs: int) -> Wiring:
        sizes: dict[Any, int] = {"in": inputs, "rank": self.decomp_size, "out": self.units}
        return Wiring([("in", "rank"), ("rank", "out")], ("in",), ("out",), sizes)

    @classmethod
    def from_dense(
        cls,
        kernel: Any,
        rank: int | None = None,
        tolerance: float | None = None,
        bias: Any = None,
        **options: Any,
    ) -> DenseDecomp:
        """A layer whose kernel is the best of its rank; arguments as for `DenseMPO.from_dense`.

        >>> DenseDecomp.from_dense(np.diag([2.0, 1.0, 0.0]), tolerance=1e-6).decomp_size
        2
        """
        array = kernel.array if type(kernel) is Tensor else np.asarray(kernel)
        allowed = None if tolerance is None else tolerance * float(linalg.norm(array))
        u, s, vh, _ = linalg.svd(array, 1, rank, allowed)
        root = np.sqrt(s)
        options.setdefault("dtype", array.dtype)
        layer = cls(array.shape[1], max(1, len(s)), use_bias=bias is not None, **options)
        layer.build((None, len(array)))
        if len(s):
            parts = (u * root, root[:, None] * vh)
            layer.cores = [Tensor(np.array(part, layer.dtype)) for part in parts]
        if bias is not None:
            given = bias.array if type(bias) is Tensor else bias
            layer.add_parameter("bias", (array.shape[1],), np.asarray(given))
        return layer
