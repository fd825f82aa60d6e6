"""Tensor: an array with operators and methods, and `apply`, through which every operation goes.

Nothing here knows an operation. A function of arrays becomes one of Tensors by `operation`; what
the operators and methods of a Tensor do stands in `methods`, where `tensornet.ops` puts it. While
something is differentiated, `apply` keeps a `Record` of every operation on tracked Tensors; which
of its arrays are kept is said by its rule, which `tensornet.autodiff` gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from inspect import signature
from operator import index
from typing import Any, ParamSpec, cast, final

import numpy as np

from ._tape import (
    TensorBase,
    all_floating,
    any_tensor,
    applied,
    dispatch,
    set_tensor_class,
    tensor_of,
)
from .arrays import Array, as_array, as_numeric, check_backend
from .records import state

__all__ = [
    "Tensor",
    "any_tensor",
    "apply",
    "as_operands",
    "methods",
    "operation",
    "tensor_of",
]

P = ParamSpec("P")

# What the operators and methods of a Tensor do, by name; each takes the Tensor first.
methods: dict[str, Callable[..., Any]] = {}


@final
class Tensor(TensorBase):
    """An array with the operators and methods of google/TensorNetwork's class of this name.

    Functions of tensornet take Tensors wherever they take arrays, and return a Tensor if one of
    their operands is one. Operators combine a Tensor with Tensors, arrays, lists and numbers by
    NumPy's rules of broadcasting and dtypes; comparisons are made entry by entry. Where NumPy's
    methods of the same name return a view, these do. Called with labels, one per axis, a Tensor
    begins a network for `tensornet.finalize`.

    Args:
        array: a NumPy array, which is not copied, or one of another library on the CPU; nested
            lists; a number; a Tensor, whose array is then shared.
        backend: None or "numpy".

    Attributes:
        array: the NumPy array.

    Raises:
        TypeError: `array` is not numeric, or cannot be read here.
        ValueError: nested lists of unequal lengths, or another backend; to run a plan on arrays of
            another library there is ``plan.run(backend=)``.

    >>> import tensornet as tn
    >>> 2 * Tensor([[1.0, 2.0], [3.0, 4.0]]) - 1
    Tensor([[1., 3.],
            [5., 7.]], dtype=float64)
    >>> (Tensor([[0, 1], [1, 0]]) @ np.array([3, 4])).shape
    (2,)
    """

    __slots__ = ()

    # Makes NumPy leave ``array + tensor`` to the Tensor instead of looping over it.
    __array_ufunc__ = None

    def __init__(self, array: Any, backend: str | None = None) -> None:
        if backend is not None:
            check_backend(backend)
        self._array = as_numeric(array)
        self._origin = None

    # The array and what it is

    @property
    def array(self) -> Array:
        """The NumPy array itself."""
        return self._array

    @property
    def backend(self) -> str:
        """Always "numpy"."""
        return "numpy"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the entries."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the axes."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._array.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        self._check_constant()
        if copy:
            return np.array(self._array, dtype)
        if dtype is None or self._array.dtype == dtype:
            return self._array
        if copy is False:
            raise ValueError(
                f"a Tensor of dtype {self.dtype} is no array of {dtype} without a copy"
            )
        return self._array.astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        self._check_constant()
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return cast("tuple[int, int]", self._array.__dlpack_device__())

    def _check_constant(self) -> None:  # what others do would be lost to the tape
        if state.depth and self._origin is not None:
            raise TypeError(
                "only operations of tensornet take a Tensor that is being differentiated: its "
                ".array is a constant"
            )

    def __reduce__(self) -> tuple[type[Tensor], tuple[Array]]:
        return Tensor, (self._array,)

    def __repr__(self) -> str:
        entries = np.array2string(self._array, separator=", ", prefix="Tensor(")
        shape = "" if self.size or self._array.shape == (0,) else f", shape={self.shape}"
        return f"Tensor({entries}{shape}, dtype={self.dtype})"

    def __str__(self) -> str:
        return str(self._array)

    def __format__(self, spec: str) -> str:
        return format(self._array, spec)

    # One entry as a Python number, and many in turn

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        return index(self._array)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a Tensor without axes has no length")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, key: Any) -> Tensor:
        return cast(Tensor, methods["getitem"](self, key))

    def item(self) -> Any:
        """The only entry, as a Python number; ValueError if there are more or none."""
        if self.size != 1:
            raise ValueError(
                f"a Tensor of shape {self.shape} has {self.size} entries: only a single one is "
                "true or false, or a number"
            )
        return self._array.item()

    def tolist(self) -> Any:
        """The entries as Python numbers in nested lists."""
        return self._array.tolist()

    def numpy(self) -> Array:
        """The NumPy array itself, as `array`."""
        return self._array

    # Axes

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    @property
    def H(self) -> Tensor:
        """The complex conjugate with the axes in reverse order."""
        return self.hconj()

    def transpose(self, perm: Sequence[int] | None = None) -> Tensor:
        """The axes in the order `perm`, by default reversed; see `tensornet.transpose`."""
        return cast(Tensor, methods["transpose"](self, perm))

    def hconj(self, perm: Sequence[int] | None = None) -> Tensor:
        """The complex conjugate with permuted axes; see `tensornet.hconj`."""
        return cast(Tensor, methods["hconj"](self, perm))

    def reshape(self, shape: int | Sequence[int]) -> Tensor:
        """The same entries in another shape; see `tensornet.reshape`."""
        return cast(Tensor, methods["reshape"](self, shape))

    def squeeze(self) -> Tensor:
        """Without the axes of extent 1."""
        return self.reshape([extent for extent in self.shape if extent != 1])

    def ravel(self) -> Tensor:
        """The entries on one axis, in C order; not copied if they lie so."""
        return self.reshape((self.size,))

    def flatten(self) -> Tensor:
        """The entries on one axis, in C order; always a copy."""
        return self.copy().ravel()

    # Entries

    def copy(self) -> Tensor:
        """A Tensor with an array of its own, in C order."""
        return cast(Tensor, methods["copy"](self))

    def conj(self) -> Tensor:
        """The complex conjugate; see `tensornet.conj`."""
        return cast(Tensor, methods["conj"](self))

    def conjugate(self) -> Tensor:
        """The complex conjugate, as `conj`."""
        return self.conj()

    def astype(self, dtype: Any) -> Tensor:
        """The entries in another dtype; see `tensornet.ops.cast`."""
        return cast(Tensor, methods["cast"](self, dtype))

    @property
    def real(self) -> Tensor:
        """The real parts; a view."""
        return cast(Tensor, methods["real"](self))

    @property
    def imag(self) -> Tensor:
        """The imaginary parts; a view."""
        return cast(Tensor, methods["imag"](self))

    # Many entries made one; arguments as of the functions of the same names

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over axes."""
        return cast(Tensor, methods["sum"](self, axis, keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over axes."""
        return cast(Tensor, methods["mean"](self, axis, keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The greatest entry along axes."""
        return cast(Tensor, methods["max"](self, axis, keepdims))

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The least entry along axes."""
        return cast(Tensor, methods["min"](self, axis, keepdims))

    def __call__(self, *axes: int | str) -> Any:
        """A network of this tensor with these labels, in the notation of `tensornet.ncon`.

        ``a(-1, 1) @ b(1, -2)`` is a network of two, which `tensornet.finalize` contracts.
        """
        return methods["label"](self, axes)

    # Operators; two Tensors of unequal identity may be equal, so identity is what is hashed

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return methods["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return methods["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return methods["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return methods["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return methods["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return methods["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return methods["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return methods["divide"](other, self)

    def __pow__(self, other: Any) -> Any:
        return methods["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return methods["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return methods["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return methods["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return cast(Tensor, methods["negative"](self))

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return cast(Tensor, methods["abs"](self))

    def __eq__(self, other: object) -> Any:
        try:
            return methods["equal"](self, other)
        except TypeError:  # not an array
            return NotImplemented

    def __ne__(self, other: object) -> Any:
        try:
            return methods["not_equal"](self, other)
        except TypeError:
            return NotImplemented

    def __lt__(self, other: Any) -> Any:
        return methods["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return methods["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return methods["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return methods["greater_equal"](self, other)


set_tensor_class(Tensor)


def apply(function: Callable[..., Any], args: Iterable[Any], options: Any = None) -> Any:
    """Call a function of arrays with Tensors: the one place where operations meet them.

    Args:
        function: an operation, which calls this if it is given Tensors; it is called again with
            their arrays.
        args: its operands and other positional arguments; those that are Tensors are operands.
        options: a dict of its keyword arguments, none of them a Tensor.

    Returns:
        a Tensor of the result; a tuple of results becomes a tuple of Tensors.

    >>> apply(np.add, (Tensor([1, 2]), np.array([3, 4])))
    Tensor([4, 6], dtype=int64)
    """
    return applied(function, function, tuple(args), options or {})


def operation(function: Callable[P, Any]) -> Callable[P, Any]:
    """Make a function of arrays one of arrays and Tensors.

    >>> @operation
    ... def double(x):
    ...     return 2 * np.asarray(x)
    >>> double([1, 2]), double(Tensor([1, 2]))
    (array([2, 4]), Tensor([2, 4], dtype=int64))
    """
    parameters = signature(function)

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> Any:
        if options and any_tensor(options.values()):
            bound = parameters.bind(*args, **options)
            return applied(call, function, bound.args, bound.kwargs)
        return dispatch(call, function, args, options)

    return call


def as_operands(given: Iterable[Any]) -> list[Any]:
    """The operands as arrays, those that are Tensors as they are; an error says which it is about.

    >>> as_operands([Tensor([1]), [2]])
    [Tensor([1], dtype=int64), array([2])]
    """
    operands = list(given)
    if all_floating(operands):  # as most are
        return operands
    return [
        x if type(x) is np.ndarray or type(x) is Tensor else as_array(x, f"operand {k}")
        for k, x in enumerate(operands)
    ]
