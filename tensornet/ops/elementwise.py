"""Entry by entry: arithmetic, powers, logarithms, comparisons, with NumPy's rules.

Operands are broadcast against each other. Python numbers do not change the dtype of an array
beside them (``2.0 * float32`` is float32); arrays and NumPy scalars do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import as_numeric
from ..tape import operation

__all__ = [
    "abs",
    "add",
    "cast",
    "conj",
    "cos",
    "divide",
    "equal",
    "exp",
    "greater",
    "greater_equal",
    "imag",
    "imaginary",
    "less",
    "less_equal",
    "log",
    "multiply",
    "negative",
    "not_equal",
    "operand",
    "power",
    "real",
    "real_operand",
    "sign",
    "sin",
    "sqrt",
    "subtract",
]

_WEAK = frozenset((int, float, complex, bool))


def operand(given: Any) -> Any:
    """A numeric array, or a Python number, whose dtype gives way to that of an array beside it."""
    if type(given) in _WEAK:
        return given
    return as_numeric(given, "an operand")


def real_operand(given: Any, where: str) -> Any:
    """An operand that is not complex; TypeError for one that is, naming the operation."""
    array = operand(given)
    if type(array) is complex or (type(array) is np.ndarray and array.dtype.kind == "c"):
        raise TypeError(f"{where} is a function of real numbers, not of {np.asarray(array).dtype}")
    return array


@operation
def add(a: Any, b: Any) -> Any:
    """a + b; logical or for bool."""
    return np.add(operand(a), operand(b))


@operation
def subtract(a: Any, b: Any) -> Any:
    """a - b; TypeError for bool."""
    return np.subtract(operand(a), operand(b))


@operation
def multiply(a: Any, b: Any) -> Any:
    """a * b."""
    return np.multiply(operand(a), operand(b))


@operation
def divide(a: Any, b: Any) -> Any:
    """a / b; float64 for integers."""
    return np.true_divide(operand(a), operand(b))


@operation
def power(a: Any, b: Any) -> Any:
    """a ** b; ValueError for integers to negative integer powers."""
    a, b = operand(a), operand(b)
    if type(b) in (int, float) and type(a) is np.ndarray and a.dtype.kind in "fc":
        if b in (2, 3):  # numpy.power takes the time of a logarithm
            squared = np.square(a)
            return squared if b == 2 else squared * a
        if b == 0.5:
            return np.sqrt(a)
    return np.power(a, b)


@operation
def negative(tensor: Any) -> Any:
    """-tensor; TypeError for bool."""
    return np.negative(operand(tensor))


@operation
def equal(a: Any, b: Any) -> Any:
    """a == b, as bool."""
    return np.equal(operand(a), operand(b))


@operation
def not_equal(a: Any, b: Any) -> Any:
    """a != b, as bool."""
    return np.not_equal(operand(a), operand(b))


@operation
def less(a: Any, b: Any) -> Any:
    """a < b, as bool."""
    return np.less(operand(a), operand(b))


@operation
def less_equal(a: Any, b: Any) -> Any:
    """a <= b, as bool."""
    return np.less_equal(operand(a), operand(b))


@operation
def greater(a: Any, b: Any) -> Any:
    """a > b, as bool."""
    return np.greater(operand(a), operand(b))


@operation
def greater_equal(a: Any, b: Any) -> Any:
    """a >= b, as bool."""
    return np.greater_equal(operand(a), operand(b))


@operation
def sqrt(tensor: Any) -> Any:
    """The square root of every entry; nan, with NumPy's warning, for negative real ones.

    >>> sqrt([1.0, 4.0])
    array([1., 2.])
    """
    return np.sqrt(operand(tensor))


@operation
def exp(tensor: Any) -> Any:
    """The exponential of every entry; for that of a matrix see `tensornet.expm`.

    >>> exp([0.0, 1.0]).round(3)
    array([1.   , 2.718])
    """
    return np.exp(operand(tensor))


@operation
def log(tensor: Any) -> Any:
    """The natural logarithm of every entry; -inf of zero and nan of negative ones, with warnings.

    >>> log([1.0])
    array([0.])
    """
    return np.log(operand(tensor))


@operation
def sin(tensor: Any) -> Any:
    """The sine of every entry.

    >>> sin([0.0])
    array([0.])
    """
    return np.sin(operand(tensor))


@operation
def cos(tensor: Any) -> Any:
    """The cosine of every entry.

    >>> cos([0.0])
    array([1.])
    """
    return np.cos(operand(tensor))


@operation
def abs(tensor: Any) -> Any:
    """The absolute value of every entry, which is real.

    >>> abs([-1.0, 3 + 4j])
    array([1., 5.])
    """
    return np.abs(operand(tensor))


@operation
def sign(tensor: Any) -> Any:
    """The sign of every entry: -1, 0 or 1, and z / abs(z) for complex z; TypeError for bool.

    >>> sign([-2.0, 0.0, 5.0])
    array([-1.,  0.,  1.])
    """
    array = as_numeric(tensor)
    if array.dtype.kind != "c":
        return np.sign(array)
    size = np.abs(array)
    return np.divide(array, size, out=np.zeros_like(array), where=size != 0)


@operation
def conj(tensor: Any) -> Any:
    """The complex conjugate of every entry; a real array is returned as it is, not copied.

    >>> conj([1 + 2j])
    array([1.-2.j])
    """
    array = as_numeric(tensor)
    return np.conj(array) if array.dtype.kind == "c" else array


@operation
def real(tensor: Any) -> Any:
    """The real part of every entry; a view.

    >>> real([1 + 2j])
    array([1.])
    """
    return as_numeric(tensor).real


@operation
def imag(tensor: Any) -> Any:
    """The imaginary part of every entry; zero for real ones.

    >>> imag([1 + 2j])
    array([2.])
    """
    return as_numeric(tensor).imag


@operation
def imaginary(tensor: Any) -> Any:
    """Complex entries with these imaginary parts and no real ones: the gradient of `imag`.

    A product with 1j would turn infinite ones into NaN.

    >>> imaginary([2.0])
    array([0.+2.j])
    """
    array = as_numeric(tensor)
    result = np.zeros(array.shape, np.result_type(array, np.complex64))
    result.imag = array
    return result


@operation
def cast(tensor: Any, dtype: DTypeLike) -> Any:
    """The same entries in another dtype; of complex ones that become real, the real part.

    Args:
        dtype: if it is that of `tensor`, the array is not copied.

    >>> cast([1.5 + 2j], "float32")
    array([1.5], dtype=float32)
    """
    array = as_numeric(tensor)
    target = np.dtype(dtype)
    if array.dtype.kind == "c" and target.kind != "c":
        array = array.real
    return array.astype(target, copy=False)
