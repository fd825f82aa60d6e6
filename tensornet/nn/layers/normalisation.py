"""Batch and layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...autodiff import stop_gradient
from ...errors import ShapeError
from ...tape import Tensor, as_operands
from ..module import Module, Shape
from ..normalise import normalise

__all__ = ["BatchNorm", "LayerNorm"]


class BatchNorm(Module):
    """Every channel made to have mean 0 and variance 1 over the batch, scaled and shifted.

    In training it takes the statistics of the batch and keeps running means of them, which take
    their place in evaluation mode. (Ioffe and Szegedy 2015.)

    Args:
        momentum: how much of the running means each batch leaves. This is Keras's; PyTorch's is
            1 - momentum, 0.1 by default.
        epsilon: added to the variance; PyTorch's is 1e-5 by default.
        center, scale: have a shift and a scale to be learned?

    Attributes:
        gamma, beta: scale and shift of each channel (PyTorch: weight and bias), or None.
        running_mean, running_variance: arrays; the variance is the unbiased one, as in PyTorch.

    Shapes: x (batch, ..., channels), all parameters (channels,), result as x.

    Raises, when called:
        ShapeError: another number of channels; nothing to take statistics of.

    Complexity: six passes over x forwards, ten backwards; keeps x for the gradient.

    >>> layer = BatchNorm(epsilon=0)
    >>> layer(np.array([[1.0], [3.0]], np.float32)).array.ravel()
    array([-1.,  1.], dtype=float32)
    """

    gamma: Tensor | None = None
    beta: Tensor | None = None
    running_mean: np.ndarray[Any, Any]
    running_variance: np.ndarray[Any, Any]

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale

    def build(self, input_shape: Shape) -> None:
        channels = (self.known_extent(input_shape, -1),)
        if self.scale:
            self.add_parameter("gamma", channels, "ones")
        if self.center:
            self.add_parameter("beta", channels, "zeros")
        self.running_mean = np.zeros(channels, self.dtype)
        self.running_variance = np.ones(channels, self.dtype)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        self.check_input(x, "batch", *x.shape[1:-1], len(self.running_mean))
        if not self.training:
            return self._by_running_means(x)
        axes = tuple(range(len(x.shape) - 1))
        count = prod(x.shape[:-1])
        if not count:
            raise ShapeError(f"{self.label} has nothing to take statistics of: shape {x.shape}")
        result, mean, inverse = normalise(x, self.gamma, self.beta, axes=axes, epsilon=self.epsilon)
        mean, inverse = (np.asarray(stop_gradient(each)).ravel() for each in (mean, inverse))
        self._learn(mean, inverse, count)
        return result

    def _learn(self, mean: Any, inverse: Any, count: int) -> None:
        """Move the running means towards the statistics of a batch."""
        variance = (1 / (inverse * inverse) - self.epsilon) * (count / max(count - 1, 1))
        for running, new in ((self.running_mean, mean), (self.running_variance, variance)):
            running *= self.momentum
            running += (1 - self.momentum) * new

    def _by_running_means(self, x: Any) -> Any:
        inverse = 1 / np.sqrt(self.running_variance + self.epsilon)
        factor = inverse if self.gamma is None else self.gamma * inverse
        shift = -self.running_mean * factor
        return x * factor + (shift if self.beta is None else shift + self.beta)


class LayerNorm(Module):
    """The last axes of every example made to have mean 0 and variance 1, scaled and shifted.

    (Ba et al. 2016.)

    Args:
        axes: how many of the last axes; PyTorch gives their extents, as normalized_shape.
        epsilon: added to the variance; PyTorch's is 1e-5 by default.
        center, scale: have a shift and a scale to be learned?

    Attributes:
        gamma, beta: scale and shift (PyTorch: weight and bias), or None.

    Shapes: x (..., \\*extents), gamma and beta (\\*extents), result as x.

    Complexity: six passes over x forwards, ten backwards; keeps x for the gradient.

    >>> layer = LayerNorm(epsilon=0)
    >>> layer(np.array([[1.0, 3.0]], np.float32))
    Tensor([[-1.,  1.]], dtype=float32)
    """

    gamma: Tensor | None = None
    beta: Tensor | None = None

    def __init__(
        self,
        axes: int = 1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if axes < 1:
            raise ValueError(f"{self.label} needs a positive number of axes, not {axes}")
        self.axes = axes
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.extents: Sequence[int] = ()

    def build(self, input_shape: Shape) -> None:
        self.extents = [self.known_extent(input_shape, k) for k in range(-self.axes, 0)]
        if not prod(self.extents):
            raise ShapeError(f"{self.label} has nothing to take statistics of: {input_shape}")
        if self.scale:
            self.add_parameter("gamma", self.extents, "ones")
        if self.center:
            self.add_parameter("beta", self.extents, "zeros")

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        self.check_input(x, "...", *self.extents)
        rank = len(x.shape)
        axes = tuple(range(rank - self.axes, rank))
        return normalise(x, self.gamma, self.beta, axes=axes, epsilon=self.epsilon)[0]
