"""Convolutions whose kernel is a tensor network: an operator, or a Tucker or CP decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any, ClassVar, TypeVar

import numpy as np

from ... import linalg
from ...api import contract_expr, einsum
from ...errors import ShapeError
from ...expr import from_labels
from ...ops import add, matmul, reshape
from ...ops.convolution import convolve
from ...ops.depthwise import depthwise
from ...ops.windows import Windows
from ...tape import Tensor, as_operands
from ..activations import ActivationLike, activation_of
from ..affine import affine
from ..initialisers import Initialiser
from ..layers.windows import Windowed
from ..module import Shape
from .base import dense_variance, scaled
from .canonical import canonical_factors, canonical_rank
from .factors import Factors, checked_factors
from .mpo import train_of

__all__ = ["CPConv2D", "Conv2DMPO", "TuckerConv2D"]

Self = TypeVar("Self", bound="_Factored")


class _Factored(Windowed):
    """What these layers have in common: cores in place of a kernel, a bias, an activation."""

    spatial: ClassVar[int] = 2

    cores: list[Tensor]
    bias: Tensor | None = None
    filters: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str | int | Sequence[Any] = "valid",
        dilation: int | Sequence[int] = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initialiser: Initialiser = "glorot_uniform",
        bias_initialiser: Initialiser = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, dilation, **options)
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel_initialiser = kernel_initialiser
        self.bias_initialiser = bias_initialiser

    def shapes(self, channels: int) -> list[tuple[int, ...]]:
        """Of the cores."""
        raise TypeError(f"{type(self).__name__} has no method shapes")

    @property
    def bonds(self) -> int:
        """Products of entries of cores that are summed to one entry of the kernel."""
        raise TypeError(f"{type(self).__name__} has no property bonds")

    def to_dense(self) -> Any:
        """The kernel as one array or Tensor of shape (\\*window, channels, filters)."""
        raise TypeError(f"{type(self).__name__} has no method to_dense")

    def build(self, input_shape: Shape) -> None:
        channels = self.known_extent(input_shape, -1)
        fans = prod(self.window) * channels, prod(self.window) * self.filters
        shapes = self.shapes(channels)
        variance = dense_variance(self.kernel_initialiser, *fans, self.generator)
        made = scaled(shapes, self.bonds, (variance, self.generator))
        self.cores = [Tensor(np.asarray(core, self.dtype)) for core in made]
        if self.use_bias:
            self.add_parameter("bias", (self.filters,), self.bias_initialiser)

    def _finish(self, y: Any) -> Any:
        if self.bias is not None:
            y = add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def _put(self: Self, cores: Sequence[Any], bias: Any) -> Self:
        """With these cores, and this bias."""
        self.cores = [Tensor(np.array(core, self.dtype, order="C")) for core in cores]
        if bias is not None:
            given = bias.array if type(bias) is Tensor else bias
            self.add_parameter("bias", (self.filters,), np.asarray(given))
        return self


class Conv2DMPO(_Factored):
    """A convolution whose kernel is a matrix product operator from channels to filters.

    The first core has the height of the window, the last its width. The kernel is made from the
    cores in each call, which takes little beside the convolution; what is saved is parameters.
    google/TensorNetwork has a Keras layer of this name.

    Args:
        filters: factors of the number of filters, or their product.
        kernel_size, strides, padding, dilation, activation, use_bias, kernel_initialiser,
            bias_initialiser: as for `Conv2D`.
        bond_dim: extent of the bonds.
        channels: factors of the number of channels, as many; by default nearly equal ones.
        num_nodes: how many cores, at least 2, if `filters` does not say.

    Shapes: x (batch, height, width, channels), cores (bond, channels, filters, bond), the first
    with the height of the window before, the last with its width behind; result (batch, new height,
    new width, filters).

    >>> layer = Conv2DMPO((4, 4), 3, bond_dim=5, channels=(2, 4), padding="same", seed=0)
    >>> layer(np.zeros((1, 6, 6, 8), np.float32)).shape, layer.to_dense().shape
    ((1, 6, 6, 16), (3, 3, 8, 16))
    """

    def __init__(
        self,
        filters: Factors,
        kernel_size: int | Sequence[int],
        bond_dim: int = 8,
        channels: Sequence[int] | None = None,
        num_nodes: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, **options)
        count = num_nodes if channels is None else len(channels)
        self.filter_factors = checked_factors(filters, count, "filters")
        self.filters = prod(self.filter_factors)
        self.channel_factors = None
        if channels is not None:
            self.channel_factors = checked_factors(channels, count, "channels")
        if len(self.filter_factors) < 2 or bond_dim < 1:
            raise ValueError(
                f"an operator has at least two cores and positive bonds, not "
                f"{len(self.filter_factors)} and {bond_dim}"
            )
        self.bond_dim = bond_dim

    def shapes(self, channels: int) -> list[tuple[int, ...]]:
        count, bond = len(self.filter_factors), self.bond_dim
        factors = self.channel_factors or checked_factors(channels, count, "channels")
        if prod(factors) != channels:
            raise ShapeError(
                f"{self.label} expects {prod(factors)} = {' * '.join(map(str, factors))} channels, "
                f"not {channels}"
            )
        self.channel_factors = factors
        pairs = zip(factors, self.filter_factors)
        shapes: list[tuple[int, ...]] = [(bond, i, o, bond) for i, o in pairs]
        shapes[0] = (self.window[0], *shapes[0][1:])
        shapes[-1] = (*shapes[-1][:-1], self.window[1])
        return shapes

    @property
    def bonds(self) -> int:
        return int(self.bond_dim ** (len(self.filter_factors) - 1))

    def to_dense(self) -> Any:
        count = len(self.cores)
        terms = [(("bond", k), ("in", k), ("out", k), ("bond", k + 1)) for k in range(count)]
        sizes: dict[Any, int] = {
            label: n for term, core in zip(terms, self.cores) for label, n in zip(term, core.shape)
        }
        ends = [("bond", 0), ("bond", count)]
        output = [*ends, *[(kind, k) for kind in ("in", "out") for k in range(count)]]
        kernel = contract_expr(from_labels(terms, output, sizes), self.cores)
        return reshape(kernel, (*self.window, -1, self.filters))

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        channels = prod(self.channel_factors or ())
        windows = self.windows_over(x, channels)
        options = {"windows": windows, "groups": 1}
        return affine(convolve, x, self.to_dense(), self.bias, self.activation, **options)

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return prod(output_shape) * prod(self.window) * input_shape[-1]

    @classmethod
    def from_dense(
        cls,
        kernel: Any,
        channels: Sequence[int],
        filters: Sequence[int],
        rank: int | None = None,
        tolerance: float | None = None,
        bias: Any = None,
        **options: Any,
    ) -> Conv2DMPO:
        """A layer whose kernel is, or is close to, a given one; see `mpo.train_of`.

        Args:
            kernel: of shape (height, width, channels, filters), such as `Conv2D.kernel`.
            channels, filters: factors, as many of either.
            rank: the largest bond.
            tolerance: the Frobenius norm of the error, relative to that of the kernel.
            bias: of shape (filters,); None for none.

        Raises:
            ShapeError: factors that do not make up the kernel.

        >>> layer = Conv2DMPO.from_dense(np.ones((3, 3, 4, 6)), (2, 2), (2, 3), tolerance=1e-9)
        >>> [core.shape for core in layer.cores]
        [(3, 2, 2, 1), (1, 2, 3, 3)]
        """
        array = _kernel_of(kernel)
        layer, count = _made(cls, array, bias, options, tuple(filters), 1, channels), len(channels)
        if layer.filters != array.shape[3]:
            raise ShapeError(f"{layer.filters} filters are none of a kernel of {array.shape}")
        pairs = list(zip(channels, layer.filter_factors))
        order = [0, *[axis for k in range(count) for axis in (2 + k, 2 + count + k)], 1]
        chain = array.reshape(*array.shape[:2], *channels, *filters).transpose(order)
        cores = train_of(chain, pairs, rank, tolerance)
        layer.bond_dim = max(map(len, cores[1:]))
        return layer._put(cores, bias)


class TuckerConv2D(_Factored):
    """A convolution between two products with matrices: fewer channels, windows, more filters.

    The kernel is a Tucker decomposition in channels and filters: Kim et al., Compression of deep
    convolutional neural networks, 2016.

    Args:
        filters, kernel_size, strides, padding, dilation, activation, use_bias, kernel_initialiser,
            bias_initialiser: as for `Conv2D`.
        rank: channels of the convolution in between, and its filters; one number for both.

    Shapes: x (batch, height, width, channels), cores (channels, rank), (\\*kernel_size, rank, rank)
    and (rank, filters), result (batch, new height, new width, filters).

    >>> layer = TuckerConv2D(16, 3, rank=(2, 4), seed=0)
    >>> layer(np.zeros((1, 8, 8, 6), np.float32)).shape
    (1, 6, 6, 16)
    """

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], rank: Factors, **options: Any
    ) -> None:
        super().__init__(kernel_size, **options)
        self.filters = filters
        self.rank = checked_factors((rank, rank) if isinstance(rank, int) else rank, 2, "rank")

    def shapes(self, channels: int) -> list[tuple[int, ...]]:
        into, out = self.rank
        return [(channels, into), (*self.window, into, out), (out, self.filters)]

    @property
    def bonds(self) -> int:
        return prod(self.rank)

    def to_dense(self) -> Any:
        return einsum("ir,hwrs,so->hwio", *self.cores)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        first, core, last = self.cores
        windows = self.windows_over(x, first.shape[0])
        narrow = windows._replace(channels=first.shape[1])
        return self._finish(
            matmul(convolve(matmul(x, first), core, windows=narrow, groups=1), last)
        )

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        first, core, last = self.cores
        before, after = prod(input_shape[:-1]), prod(output_shape[:-1])
        return before * first.size + after * (core.size + last.size)

    @classmethod
    def from_dense(
        cls,
        kernel: Any,
        rank: Factors | None = None,
        tolerance: float | None = None,
        bias: Any = None,
        **options: Any,
    ) -> TuckerConv2D:
        """A layer whose kernel is, or is close to, a given one.

        By the leading singular vectors of channels and of filters: De Lathauwer et al., A
        multilinear singular value decomposition, SIAM J. Matrix Anal. Appl. 21, 2000.

        Args:
            kernel: of shape (height, width, channels, filters), such as `Conv2D.kernel`.
            rank: the most that are kept of both, or of each.
            tolerance: the Frobenius norm of the error, relative to that of the kernel.
            bias: of shape (filters,); None for none.
        """
        array = _kernel_of(kernel)
        most = (rank, rank) if rank is None or isinstance(rank, int) else tuple(rank)
        allowed = None
        if tolerance is not None:
            allowed = tolerance * float(linalg.norm(array)) / sqrt(2)
        bases = []
        for axis, limit in zip((2, 3), most):
            unfolded = np.moveaxis(array, axis, 0)
            u, *_ = linalg.svd(unfolded, 1, limit, allowed)
            bases.append(u if u.shape[1] else np.eye(len(u), 1, dtype=u.dtype))
        into, out = bases
        core = np.einsum("hwio,ir,os->hwrs", array, into.conj(), out.conj())
        ranks = into.shape[1], out.shape[1]
        layer = _made(cls, array, bias, options, array.shape[3], ranks)
        return layer._put([into, core, out.T], bias)


class CPConv2D(_Factored):
    """A convolution in four steps: channels mixed, windows along one axis, the other, mixed again.

    The kernel is a sum of products of one vector per axis: Lebedev et al., Speeding-up
    convolutional neural networks using fine-tuned CP-decomposition, 2015.

    Args:
        filters, kernel_size, strides, padding, dilation, activation, use_bias, kernel_initialiser,
            bias_initialiser: as for `Conv2D`.
        rank: how many products are summed.

    Shapes: x (batch, height, width, channels), cores (channels, rank), (kernel height, rank),
    (kernel width, rank) and (rank, filters), result (batch, new height, new width, filters).

    >>> layer = CPConv2D(16, 3, rank=5, padding="same", seed=0)
    >>> layer(np.zeros((1, 8, 8, 6), np.float32)).shape, layer.to_dense().shape
    ((1, 8, 8, 16), (3, 3, 6, 16))
    """

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], rank: int, **options: Any
    ) -> None:
        super().__init__(kernel_size, **options)
        if filters < 1 or rank < 1:
            raise ValueError(f"{filters} filters of rank {rank} make no layer")
        self.filters = filters
        self.rank = rank

    def shapes(self, channels: int) -> list[tuple[int, ...]]:
        height, width = self.window
        return [
            (channels, self.rank),
            (height, self.rank),
            (width, self.rank),
            (self.rank, self.filters),
        ]

    @property
    def bonds(self) -> int:
        return self.rank

    def to_dense(self) -> Any:
        return einsum("ir,hr,wr,ro->hwio", *self.cores)

    def forward(self, x: Any) -> Any:
        (x,) = as_operands([x])
        first, rows, columns, last = self.cores
        windows = self.windows_over(x, first.shape[0])
        y = matmul(x, first)
        for axis, taps in enumerate((rows, columns)):
            shape = (
                (taps.shape[0], 1, 1, self.rank) if axis == 0 else (1, taps.shape[0], 1, self.rank)
            )
            along = _along(windows, axis, self.rank)
            y = depthwise(y, reshape(taps, shape), along)
        return self._finish(matmul(y, last))

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        first, rows, columns, last = self.cores
        before, after = prod(input_shape[:-1]), prod(output_shape[:-1])
        between = input_shape[0] * output_shape[1] * input_shape[2]
        return before * first.size + between * rows.size + after * (columns.size + last.size)

    @classmethod
    def from_dense(
        cls,
        kernel: Any,
        rank: int | None = None,
        tolerance: float | None = None,
        bias: Any = None,
        **options: Any,
    ) -> CPConv2D:
        """A layer whose kernel is close to a given one; see `canonical.canonical_factors`.

        Args:
            kernel: of shape (height, width, channels, filters), such as `Conv2D.kernel`.
            rank: how many products are summed.
            tolerance: the Frobenius norm of the error, relative to that of the kernel; the
                smallest rank, at most `rank`, that is found to come so close is taken.
            bias: of shape (filters,); None for none.

        Raises:
            ValueError: neither a rank nor a tolerance.

        >>> CPConv2D.from_dense(np.ones((3, 3, 2, 4)), tolerance=1e-6).rank
        1
        """
        array = _kernel_of(kernel)
        if tolerance is not None:
            factors, _ = canonical_rank(array, rank, tolerance)
        elif rank is not None:
            factors, _ = canonical_factors(array, rank)
        else:
            raise ValueError(f"{cls.__name__}.from_dense takes a rank, or a tolerance")
        rows, columns, into, out = factors
        layer = _made(cls, array, bias, options, array.shape[3], into.shape[1])
        return layer._put([into, rows, columns, out.T], bias)


Layer = TypeVar("Layer", bound=_Factored)


def _kernel_of(kernel: Any) -> Any:
    array = kernel.array if type(kernel) is Tensor else np.asarray(kernel)
    if array.ndim != 4:
        raise ShapeError(
            f"a kernel has the shape (height, width, channels, filters), not {array.shape}"
        )
    return array


def _made(
    cls: type[Layer], kernel: Any, bias: Any, options: dict[str, Any], filters: Any, *given: Any
) -> Layer:
    """A built layer with the window, channels and dtype of a kernel; its cores are to come."""
    options = {"dtype": kernel.dtype, "use_bias": bias is not None, **options}
    layer = cls(filters, kernel.shape[:2], *given, **options)
    layer.build((None, None, None, kernel.shape[2]))
    return layer


def _along(windows: Windows, axis: int, channels: int) -> Windows:
    """Windows of one spatial axis only; the axis before has been gone over already."""
    extents = (windows.extents[0], windows.extents[1])
    if axis == 1:
        extents = (windows.counts[0], windows.extents[1])
    counts = (windows.counts[0], windows.extents[1]) if axis == 0 else windows.counts

    def chosen(given: tuple[int, ...], otherwise: int) -> tuple[int, ...]:
        return tuple([n if k == axis else otherwise for k, n in enumerate(given)])

    return windows._replace(
        channels=channels,
        extents=extents,
        kernel=chosen(windows.kernel, 1),
        stride=chosen(windows.stride, 1),
        dilation=chosen(windows.dilation, 1),
        before=chosen(windows.before, 0),
        after=chosen(windows.after, 0),
        counts=counts,
    )
