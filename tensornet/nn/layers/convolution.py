"""Convolutions, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ...ops.convolution import convolve
from ...ops.depthwise import depthwise
from ...tape import Tensor, as_operands
from ..activations import ActivationLike, activation_of
from ..affine import affine
from ..initialisers import Initialiser
from ..module import Shape
from .windows import Windowed

__all__ = ["Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D"]


class _Convolution(Windowed):
    """What convolutions over any number of spatial axes have in common."""

    kernel: Tensor
    bias: Tensor | None = None

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str | int | Sequence[Any] = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initialiser: Initialiser = "glorot_uniform",
        bias_initialiser: Initialiser = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, dilation, **options)
        if filters < 1 or groups < 1 or filters % groups:
            raise ValueError(f"{filters} filters cannot be shared out to {groups} groups")
        self.filters = filters
        self.groups = groups
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initialiser = kernel_initialiser
        self.bias_initialiser = bias_initialiser

    def build(self, input_shape: Shape) -> None:
        channels = self.known_extent(input_shape, -1)
        if channels % self.groups:
            raise ValueError(f"{self.label}: {channels} channels are not {self.groups} groups")
        shape = (*self.window, channels // self.groups, self.filters)
        self.add_parameter("kernel", shape, self.kernel_initialiser)
        if self.use_bias:
            self.add_parameter("bias", (self.filters,), self.bias_initialiser)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        windows = self.windows_over(x, self.kernel.shape[-2] * self.groups)
        options = {"windows": windows, "groups": self.groups}
        return affine(convolve, x, self.kernel, self.bias, self.activation, **options)

    def convolved(self, x: Any) -> Any:
        """Without bias and activation."""
        (x,) = as_operands([x])
        windows = self.windows_over(x, self.kernel.shape[-2] * self.groups)
        return convolve(x, self.kernel, windows=windows, groups=self.groups)

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return prod(output_shape) * prod(self.kernel.shape[:-1])


class Conv1D(_Convolution):
    """``activation(x * kernel + bias)``, the windows of x along one axis.

    Shapes: x (batch, width, channels), kernel (kernel_size, channels / groups, filters), result
    (batch, new width, filters). Arguments, errors and cost are those of `Conv2D`.
    """

    spatial = 1


class Conv2D(_Convolution):
    """``activation(x * kernel + bias)``, where * slides the kernel over height and width.

    Args:
        filters: channels of the result; PyTorch calls them out_channels.
        kernel_size, strides, dilation: a number, or one per axis.
        padding: "valid" for none; "same", in any case, for ceil(extent / stride) windows; or as
            PyTorch gives it: a number, or one or a pair per axis.
        groups: channels fall into so many groups, each with filters of its own.
        activation: a name, a function, or None.
        use_bias: add a bias?
        kernel_initialiser, bias_initialiser: see `tensornet.nn.initialisers`.

    Shapes: x (batch, height, width, channels), kernel (\\*kernel_size, channels / groups, filters),
    bias (filters,), result (batch, new height, new width, filters). PyTorch's weight is
    kernel.transpose(3, 2, 0, 1), and has x with channels first.

    Raises, when called:
        ShapeError, TypeError: inputs of another number of channels or dtype, or smaller than the
            kernel; they name the layer or the operation.

    Complexity: one multiply-add for each entry of the result, position in the window, and channel
    of a group. For the gradient it keeps x, and with relu the result.

    >>> import numpy as np
    >>> layer = Conv2D(8, 3, padding="same", activation="relu", seed=0)
    >>> layer(np.zeros((2, 28, 28, 1), np.float32)).shape
    (2, 28, 28, 8)
    """

    spatial = 2


class Conv3D(_Convolution):
    """``activation(x * kernel + bias)``, where * slides the kernel over three axes.

    Shapes: x (batch, depth, height, width, channels), kernel (\\*kernel_size, channels / groups,
    filters), result (batch, new depth, new height, new width, filters). Arguments, errors and
    cost are those of `Conv2D`.
    """

    spatial = 3


class DepthwiseConv2D(Windowed):
    """``activation(x * kernel + bias)``, each channel convolved with kernels of its own.

    Args:
        kernel_size, strides, padding, dilation, activation, use_bias, kernel_initialiser,
            bias_initialiser: as for `Conv2D`.
        depth_multiplier: results per channel; those of channel c stand at c * depth_multiplier and
            behind.

    Shapes: x (batch, height, width, channels), kernel (\\*kernel_size, 1, channels *
    depth_multiplier), bias (channels * depth_multiplier,), result (batch, new height, new width,
    channels * depth_multiplier). PyTorch has Conv2d with groups=channels for it.

    Raises, when called:
        ShapeError, TypeError: as `Conv2D`.

    Complexity: one multiply-add for each entry of the result and position in the window.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, depth_multiplier=2, seed=0)(np.zeros((1, 9, 9, 4), np.float32)).shape
    (1, 7, 7, 8)
    """

    spatial = 2

    kernel: Tensor
    bias: Tensor | None = None

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str | int | Sequence[Any] = "valid",
        dilation: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initialiser: Initialiser = "glorot_uniform",
        bias_initialiser: Initialiser = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, dilation, **options)
        if depth_multiplier < 1:
            raise ValueError(f"depth_multiplier is a positive number, not {depth_multiplier}")
        self.depth_multiplier = depth_multiplier
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initialiser = kernel_initialiser
        self.bias_initialiser = bias_initialiser

    def build(self, input_shape: Shape) -> None:
        outputs = self.known_extent(input_shape, -1) * self.depth_multiplier
        self.add_parameter("kernel", (*self.window, 1, outputs), self.kernel_initialiser)
        if self.use_bias:
            self.add_parameter("bias", (outputs,), self.bias_initialiser)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        windows = self.windows_over(x, self.kernel.shape[-1] // self.depth_multiplier)
        return affine(depthwise, x, self.kernel, self.bias, self.activation, windows=windows)

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return prod(output_shape) * prod(self.window)
