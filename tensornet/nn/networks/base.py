"""Dense layers whose kernel is a tensor network, contracted with the inputs in a planned order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from ...api import contract_expr
from ...expr import Expr, from_labels
from ...ops import add, reshape
from ...planning import plan_expr
from ...tape import Tensor, as_operands
from ..activations import ActivationLike, activation_of
from ..initialisers import Initialiser, initial
from ..module import Module, Shape

__all__ = ["DenseNetwork", "Wiring", "scaled"]

Term = tuple[Hashable, ...]

_DRAWN = 2**20  # entries of a dense kernel that are drawn to see their variance


class Wiring(NamedTuple):
    """A kernel as a network: labels of the axes of each core, and which of them are open.

    Attributes:
        cores: labels of each core.
        inputs, outputs: open labels, in the order in which they make up one axis each.
        sizes: the extent of each label.
    """

    cores: Sequence[Term]
    inputs: Term
    outputs: Term
    sizes: dict[Hashable, int]

    def extents(self, term: Term) -> tuple[int, ...]:
        return tuple([self.sizes[label] for label in term])

    @property
    def bonds(self) -> int:
        """Terms of the sum that makes an entry: the product of the extents of all inner labels."""
        open_ones = {*self.inputs, *self.outputs}
        return prod([n for label, n in self.sizes.items() if label not in open_ones])


def scaled(shapes: Sequence[Sequence[int]], bonds: int, dense: Any) -> list[Any]:
    """Random cores, the network of which has entries of the variance of those of a dense kernel.

    Args:
        shapes: of the cores.
        bonds: how many products of entries, one of each core, are summed to one of the kernel.
        dense: ``(variance, generator)`` of the entries of the dense kernel.
    """
    variance, generator = dense
    deviation = (variance / bonds) ** (0.5 / len(shapes))
    return [generator.normal(0.0, deviation, tuple(shape)) for shape in shapes]


def dense_variance(
    initialiser: Initialiser, inputs: int, units: int, generator: np.random.Generator
) -> float:
    """The variance that an initialiser gives the entries of a dense kernel, by drawing one.

    Instead of a kernel that is too large a smaller one is drawn, and the variance taken to go by
    the inverse of the extents.
    """
    shrink = max(1, round(sqrt(inputs * units / _DRAWN)))
    shape = max(1, inputs // shrink), max(1, units // shrink)
    drawn = initial(initialiser, shape, np.float64, generator, "the kernel")
    return float(np.mean(drawn**2)) * sum(shape) / (inputs + units)


class DenseNetwork(Module):
    """``activation(x @ kernel + bias)`` with a kernel that is never made: a network of cores.

    A subclass says in `wire` what the network looks like, for inputs of known extent. The network
    is contracted with the inputs in an order that is planned once for each batch size.

    Shapes: x (..., inputs), bias (units,), result (..., units).
    """

    cores: list[Tensor]
    bias: Tensor | None = None
    _wiring: Wiring

    def __init__(
        self,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initialiser: Initialiser = "glorot_uniform",
        bias_initialiser: Initialiser = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initialiser = kernel_initialiser
        self.bias_initialiser = bias_initialiser
        self._exprs: dict[int, Expr] = {}

    def wire(self, inputs: int) -> Wiring:
        """The network of the kernel, for inputs of this extent."""
        raise TypeError(f"{type(self).__name__} has no method wire")

    def build(self, input_shape: Shape) -> None:
        self._wiring = wiring = self.wire(self.known_extent(input_shape, -1))
        inputs, units = (prod(wiring.extents(term)) for term in (wiring.inputs, wiring.outputs))
        self._make_cores(inputs, units)
        if self.use_bias:
            self.add_parameter("bias", (units,), self.bias_initialiser)

    def _make_cores(self, inputs: int, units: int) -> None:
        """Cores whose network has the variance that the initialiser gives a dense kernel."""
        wiring = self._wiring
        variance = dense_variance(self.kernel_initialiser, inputs, units, self.generator)
        shapes = [wiring.extents(term) for term in wiring.cores]
        made = scaled(shapes, wiring.bonds, (variance, self.generator))
        self.cores = [Tensor(np.asarray(core, self.dtype)) for core in made]

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        wiring = self._wiring
        factors = wiring.extents(wiring.inputs)
        self.check_input(x, "...", prod(factors))
        lead = x.shape[:-1]
        rows = reshape(x, (prod(lead), *factors))
        y = contract_expr(self._expr(prod(lead)), [rows, *self.cores])
        y = reshape(y, (*lead, prod(y.shape[1:])))
        if self.bias is not None:
            y = add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def _expr(self, batch: int) -> Expr:
        if batch not in self._exprs:
            wiring = self._wiring
            terms = [("batch", *wiring.inputs), *wiring.cores]
            sizes = {**wiring.sizes, "batch": batch}
            self._exprs[batch] = from_labels(terms, ("batch", *wiring.outputs), sizes)
        return self._exprs[batch]

    def to_dense(self) -> Any:
        """The kernel as one array or Tensor of shape (inputs, units)."""
        wiring = self._wiring
        output = (*wiring.inputs, *wiring.outputs)
        kernel = contract_expr(from_labels(wiring.cores, output, wiring.sizes), self.cores)
        return reshape(kernel, (prod(wiring.extents(wiring.inputs)), -1))

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return plan_expr(self._expr(prod(input_shape[:-1]))).macs
