"""Operands: arrays of any library read without a copy, and the dtype that they are computed in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from ._program import DTYPE_CODES
from .expr import Expr

__all__ = [
    "SUPPORTED_DTYPES",
    "Array",
    "as_array",
    "as_arrays",
    "as_numeric",
    "check_backend",
    "check_dtype",
    "check_out",
    "converted",
    "drop_axes",
    "library_of",
    "reads",
    "result_dtype",
    "view_of",
]

Array = np.ndarray[Any, Any]

SUPPORTED_DTYPES: tuple[np.dtype[Any], ...] = tuple(DTYPE_CODES)

_HOST = (1, 3, 11, 13)  # DLPack's devices whose memory a CPU reads: its own, pinned, managed
_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__")
_NUMERIC_KINDS = "fciub"


def as_array(given: Any, what: str = "the operand") -> Array:
    """The array that `given` is or describes; its memory is read where it is, not copied.

    Args:
        given: a NumPy array; an array of torch, JAX or any other library on the CPU, with
            `__array__`, `__array_interface__` or DLPack; a buffer; nested lists; a number. Lazily
            conjugated and negated tensors of torch are the one kind of array that is copied.
        what: names it in errors.

    Raises:
        TypeError: an array on another device, one that records gradients, or one whose dtype
            NumPy does not have.
        ValueError: nested lists of unequal lengths.

    >>> as_array(memoryview(b"abc")).dtype
    dtype('uint8')
    """
    if type(given) is np.ndarray:
        return given
    known = hasattr(given, "__dlpack__") or hasattr(given, "__array__")
    if not known or isinstance(given, np.generic):
        array: Array = np.asarray(given)
        return array
    library = library_of(given)
    try:
        return _read(given, library)
    except (TypeError, RuntimeError, ValueError, BufferError) as error:
        why, hint = str(error).partition("\n")[0].rstrip("."), ""
    if getattr(given, "requires_grad", False):
        why, hint = "it records gradients", "pass .detach(), or "
    raise TypeError(
        f"{what}, of type {library}.{type(given).__name__}, cannot be read by NumPy: {why}; "
        f"{hint}let {library} compute, with plan.run(arrays, backend={library!r})"
    )


def _read(given: Any, library: str) -> Array:
    array: Array
    if library == "torch":  # which refuses by itself whatever cannot be read
        if given.is_conj() or given.is_neg():
            given = given.resolve_conj().resolve_neg()
        array = np.asarray(given)
        return array
    device = given.__dlpack_device__() if hasattr(given, "__dlpack_device__") else _HOST
    if device[0] not in _HOST:
        raise TypeError("it is not in the memory of the CPU")
    known = any(hasattr(given, protocol) for protocol in _PROTOCOLS)
    array = np.asarray(given) if known else np.from_dlpack(given)
    return array


def as_arrays(given: Iterable[Any]) -> list[Array]:
    """`as_array` of each operand; an error says which one it is about."""
    operands = list(given)
    if set(map(type, operands)) == {np.ndarray}:
        return operands
    return [as_array(x, f"operand {k}") for k, x in enumerate(operands)]


def as_numeric(given: Any, what: str = "the tensor") -> Array:
    """The numeric array that `given` is or describes; an array is not copied.

    Raises:
        TypeError: an array that cannot be read here (on a GPU, recording gradients), text,
            objects, or anything else that is not a number or an array of numbers.
        ValueError: nested lists of unequal lengths.

    >>> as_numeric([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    array = given if type(given) is np.ndarray else as_array(given, what)
    if array.dtype.kind not in _NUMERIC_KINDS:
        raise TypeError(
            f"a tensor is an array, a list or a number, not {type(given).__name__} "
            f"(dtype {array.dtype})"
        )
    return array


def check_backend(backend: object) -> None:
    """Raise ValueError unless `backend` is None or 'numpy', whose arrays tensors are here.

    >>> check_backend("numpy")
    """
    if backend is not None and backend != "numpy":
        raise ValueError(
            f"backend {backend!r} is not supported: tensors are NumPy arrays here, so backend is "
            "None or 'numpy'; to run a plan on arrays of another library use plan.run(backend=)"
        )


def library_of(array: Any) -> str:
    """The library whose type this is, by the name that imports it; our Tensors are NumPy's.

    >>> library_of(np.zeros(3)), library_of([0.0])
    ('numpy', 'builtins')
    """
    name = type(array).__module__.partition(".")[0]
    return {"jaxlib": "jax", "tensornet": "numpy"}.get(name, name)


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """The supported NumPy dtype that `dtype` names, in native byte order.

    Raises:
        TypeError: not one of the supported dtypes; names them.

    >>> check_dtype("complex64")
    dtype('complex64')
    """
    given = np.dtype(dtype)
    native: np.dtype[Any] = given.newbyteorder("=")
    if native not in DTYPE_CODES:
        names = ", ".join(str(name) for name in SUPPORTED_DTYPES)
        raise TypeError(f"dtype {given} is not supported; supported are {names}")
    return native


def result_dtype(
    dtypes: Sequence[np.dtype[Any]], dtype: DTypeLike | None, casting: Any
) -> np.dtype[Any]:
    """NumPy's result type of operands of these dtypes, or `dtype` if they may be cast to it.

    Raises:
        TypeError: a dtype without kernels, or a cast that `casting` forbids; names the operand.
    """
    distinct = dict.fromkeys(dtypes)
    if dtype is None:
        for each in distinct:
            try:
                check_dtype(each)
            except TypeError as error:
                raise TypeError(f"operand {dtypes.index(each)}: {error}") from None
    target = np.result_type(*distinct) if dtype is None else check_dtype(dtype)
    for each in distinct:
        if not np.can_cast(each, target, casting):
            raise TypeError(
                f"operand {dtypes.index(each)} of dtype {each} cannot be cast to {target} "
                f"with casting={casting!r}"
            )
    native: np.dtype[Any] = target if target.isnative else target.newbyteorder("=")
    return native


def check_out(out: Any) -> np.dtype[Any]:
    """The dtype of `out`, which has its say in the result type.

    Raises:
        TypeError: no array, or of a dtype without kernels.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    return check_dtype(out.dtype)


def reads(target: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Does a Program of dtype `target` take operands of this dtype?"""
    return dtype == target or np.can_cast(dtype, target, "same_kind")


def converted(arrays: Sequence[Array], dtype: np.dtype[Any]) -> list[Array]:
    """The arrays, those that a Program of this dtype would refuse converted."""
    return [a if a.dtype is dtype or reads(dtype, a.dtype) else a.astype(dtype) for a in arrays]


def drop_axes(arrays: Sequence[Array], dropped: Sequence[Sequence[int]]) -> list[Array]:
    """Views without these axes, all of size 1: what stretches is simply not on the operand."""
    return [
        a[tuple([0 if k in axes else slice(None) for k in range(a.ndim)])] if axes else a
        for a, axes in zip(arrays, dropped)
    ]


def view_of(array: Array, expr: Expr) -> Array:
    """The one operand of `expr` with axes reordered and diagonals taken, without a copy.

    >>> view_of(np.arange(4).reshape(2, 2), Expr(((0, 0),), (0,), (2,)))
    array([0, 3])
    """
    term = expr.inputs[0]
    if len(term) == len(expr.output):
        reordered: Array = array.transpose([term.index(index) for index in expr.output])
        return reordered
    strides = [0] * len(expr.sizes)
    for index, stride in zip(term, array.strides):
        strides[index] += stride
    wanted = [strides[index] for index in expr.output]
    writeable = array.flags.writeable
    view: Array = as_strided(array, expr.output_shape, wanted, writeable=writeable)
    return view
