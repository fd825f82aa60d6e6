"""The dense layer."""

from __future__ import annotations

from math import prod
from typing import Any

from ...ops import matmul, reshape
from ...tape import Tensor, as_operands
from ..activations import ActivationLike, activation_of
from ..affine import affine
from ..initialisers import Initialiser
from ..module import Module, Shape

__all__ = ["Dense"]


class Dense(Module):
    """``activation(x @ kernel + bias)``; PyTorch calls it Linear, whose weight is kernel.T.

    Args:
        units: extent of the last axis of the result.
        activation: a name, a function, or None.
        use_bias: add a bias?
        kernel_initialiser, bias_initialiser: see `tensornet.nn.initialisers`.

    Shapes: x (..., inputs), kernel (inputs, units), bias (units,), result (..., units).

    Raises, when called:
        ShapeError, TypeError: inputs of another extent or dtype; they name the layer.

    Complexity: inputs * units multiply-adds per row. For the gradient it keeps x, and with relu the
    result.

    >>> import numpy as np
    >>> layer = Dense(2, kernel_initialiser="ones")
    >>> layer(np.ones((1, 3), np.float32))
    Tensor([[3., 3.]], dtype=float32)
    """

    kernel: Tensor
    bias: Tensor | None = None

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initialiser: Initialiser = "glorot_uniform",
        bias_initialiser: Initialiser = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if units < 1:
            raise ValueError(f"a dense layer has a positive number of units, not {units}")
        self.units = units
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initialiser = kernel_initialiser
        self.bias_initialiser = bias_initialiser

    def build(self, input_shape: Shape) -> None:
        inputs = self.known_extent(input_shape, -1)
        self.add_parameter("kernel", (inputs, self.units), self.kernel_initialiser)
        if self.use_bias:
            self.add_parameter("bias", (self.units,), self.bias_initialiser)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        shape = x.shape
        self.check_input(x, "...", self.kernel.shape[0])
        rows = x if len(shape) == 2 else reshape(x, (prod(shape[:-1]), shape[-1]))
        y = affine(matmul, rows, self.kernel, self.bias, self.activation)
        return y if len(shape) == 2 else reshape(y, (*shape[:-1], self.units))

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return prod(output_shape) * input_shape[-1]
