"""For every operation of tensornet.ops the calls whose derivatives the tests look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensornet import ops

Array = np.ndarray[Any, Any]
_rng = np.random.default_rng(7)


class Case(NamedTuple):
    name: str
    function: Callable[..., Any]
    args: Sequence[Any]


def positive(*shape: int) -> Array:
    return np.asarray(_rng.uniform(0.2, 0.9, shape))


def real(*shape: int) -> Array:
    """Away from zero, and from plus and minus one."""
    return np.asarray(positive(*shape) * np.where(_rng.random(shape) < 0.5, -1, 1))


def unitary(*shape: int) -> Array:
    """Complex, within the circle of radius 1."""
    return np.asarray(0.7 * (real(*shape) + 1j * real(*shape)))


SHAPES: list[tuple[int, ...]] = [(2, 3), (), (0, 2)]
ROWS = np.array([[0, 2], [1, 0]])

CASES: list[Case] = []


def case(name: str, function: Callable[..., Any], *args: Any) -> None:
    CASES.append(Case(name, function, args))


for name in (
    *("abs", "arcsin", "arctan", "arctanh", "arcsinh", "conj", "copy", "cos", "cosh", "exp"),
    *("expm1", "imag", "negative", "real", "reciprocal", "sign", "sin", "sinh"),
    *("square", "tan", "tanh", "arccos", "angle", "hconj", "transpose", "flip"),
):
    for shape in SHAPES:
        case(name, getattr(ops, name), real(*shape))
        case(name, getattr(ops, name), unitary(*shape))
for name in ("sqrt", "log", "log1p"):
    for shape in SHAPES:
        case(name, getattr(ops, name), positive(*shape))
        case(name, getattr(ops, name), unitary(*shape))
for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "silu", "softplus", "erf"):
    for shape in SHAPES:
        case(name, getattr(ops, name), real(*shape))
case("arccosh", ops.arccosh, 1 + positive(2, 3))
case("arccosh", ops.arccosh, unitary(2, 3) + 2)
case("gelu", lambda x: ops.gelu(x, approximate="tanh"), real(2, 3))
case("leaky_relu", lambda x: ops.leaky_relu(x, -0.5), real(2, 3))
case("elu", lambda x: ops.elu(x, alpha=2.0), real(2, 3))
case("cast", lambda x: ops.cast(x, complex), real(3))
case("cast", lambda x: ops.cast(x, float), unitary(3))

for name in ("add", "subtract", "multiply", "divide"):
    function = getattr(ops, name)
    for a, b in ((real(2, 3), real(3)), (unitary(2, 1), real(2, 3)), (real(), unitary(0, 2))):
        case(name, function, a, b)
        case(name, function, b, a)
    case(name, lambda x, function=function: function(2, x), real(3))
    case(name, lambda x, function=function: function(x, 2j), real(3))
    case(name, lambda x, function=function: function([1.0, 2.0], x), unitary(2))
case("power", ops.power, positive(2, 3), real(3))
case("power", ops.power, unitary(2, 1), unitary(3))
case("power", ops.power, positive(2, 1), unitary(3))
for exponent in (2, 3, 0, -0.5, 1 + 2j, [2.0, 3.0, 0.0]):
    case("power", lambda x, p=exponent: ops.power(x, p), positive(3))
case("power", lambda x: ops.power(x, 3), real(3))
case("power", lambda x: ops.power(x, np.array([2.0, 1.0, 0.0])), np.array([0.0, 0.0, 1.5]))
for base in (2, -1 + 2j, [1.0, 2.0, 0.5]):
    case("power", lambda x, base=base: ops.power(base, x), real(3))
for name in ("maximum", "minimum", "arctan2"):
    case(name, getattr(ops, name), real(2, 3), real(3))
    case(name, getattr(ops, name), real(2, 1), real(2, 3))
    case(name, lambda x, name=name: getattr(ops, name)(x, 0.1), real(2, 3))
case("where", lambda a, b: ops.where([True, False, True], a, b), real(2, 3), unitary(3))
case("where", lambda a, b: ops.where(ROWS, a, b), real(2, 1), real(2))
case("where", lambda a: ops.where(ROWS > 0, 0.0, a), real(2, 2))
case("clip", lambda x: ops.clip(x, -0.3, 0.4), real(3, 4))
case("clip", lambda x: ops.clip(x, max=0.4), real(3, 4))
case("clip", ops.clip, 3 * real(5, 4), real(4) - 2, real(5, 1) + 2)
case("clip", ops.clip, 3 * real(5, 4), positive(4) + 1, positive(5, 1))  # min above max: it is max

for axis in (None, 0, -1, (0, 2)):
    for keepdims in (False, True):
        options = {"axis": axis, "keepdims": keepdims}
        for name in ("sum", "mean", "prod", "var", "std", "logsumexp"):
            function = getattr(ops, name)
            for x in (real(2, 3, 2), unitary(2, 3, 2)):
                case(name, lambda x, f=function, o=options: f(x, **o), x)
        for name in ("max", "min"):
            function = getattr(ops, name)
            case(name, lambda x, f=function, o=options: f(x, **o), real(2, 3, 2))
    for name in ("softmax", "log_softmax"):
        function = getattr(ops, name)
        for x in (real(2, 3, 2), unitary(2, 3, 2)):
            case(name, lambda x, f=function, axis=axis: f(x, axis), x)
for name in ("sum", "mean", "prod", "var", "max", "logsumexp"):
    case(name, getattr(ops, name), real())
for name in ("sum", "prod", "logsumexp"):
    case(name, lambda x, name=name: getattr(ops, name)(x, axis=1), real(0, 2))
case("sum", ops.sum, real(0, 2))
case("prod", ops.prod, real(0))
case("prod", lambda x: ops.prod(x, axis=1), real(3, 0))
case("prod", ops.prod, np.array([[1.0, 0.0], [2.0, 3.0]]))
case("prod", ops.prod, np.array([[1.0, 0.0], [0.0, 3.0]]))
case("prod", lambda x: ops.prod(x, axis=0), np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 2.0]]))
case("var", lambda x: ops.var(x, 1, ddof=1), unitary(2, 3))
case("cumsum", ops.cumsum, real(2, 3))
case("cumsum", lambda x: ops.cumsum(x, 1), unitary(2, 3))

for left, right in (
    *(((3,), (3,)), ((3,), (3, 2)), ((3,), (4, 3, 2)), ((2, 3), (3,)), ((5, 2, 3), (3,))),
    *(((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4))),
    *(((0, 3), (3, 2)), ((2, 0), (0, 2)), ((2, 0, 3), (3,)), ((1, 2, 3), (4, 3, 2))),
):
    case("matmul", ops.matmul, unitary(*left), real(*right))
    case("matmul", ops.matmul, real(*left), real(*right))
case("matmul", lambda a: ops.matmul(a, [[1.0, 2.0], [3.0, 4.0]]), real(2))
case("dot", ops.dot, unitary(2, 3), real(3, 4))
case("dot", ops.dot, real(), unitary(3))
case("vdot", ops.vdot, unitary(2, 3), unitary(6))
case("outer", ops.outer, unitary(2, 3), real(4))
case("outer", ops.outer, real(), unitary(2, 0))
case("kron", ops.kron, unitary(2, 3, 4, 2), real(3, 2))
for offset in (-1, 0, 2):
    case("trace", lambda x, o=offset: ops.trace(x, o), unitary(2, 3, 4))
    case("trace", lambda x, o=offset: ops.trace(x, o, 0, 2), real(2, 3, 4))
    case("diagonal", lambda x, o=offset: ops.diagonal(x, o, 0, 2), unitary(2, 3, 4))
    case("diagflat", lambda x, o=offset: ops.diagflat(x, o), unitary(2, 3))
    case("tril", lambda x, o=offset: ops.tril(x, o), unitary(2, 3, 3))
    case("triu", lambda x, o=offset: ops.triu(x, o), unitary(3, 3))
case("trace", lambda x: ops.trace(x, 7), real(2, 3))

whole = slice(None)
for key in (
    *(0, -1, slice(2, None, -1), (whole, 1), (Ellipsis, None, 1), (), None, np.int64(1), True),
    *(ROWS, -ROWS, (whole, ROWS), (ROWS, 1), (ROWS, whole, ROWS), (whole, None, ROWS)),
    *(np.array([True, False, True]), (0, np.array([True, False, True])), [0, 0, 1]),
):
    case("getitem", lambda x, key=key: ops.getitem(x, key), unitary(3, 3, 4))
    case("getitem", lambda x, key=key: x[key], real(3, 3, 4))
case("getitem", lambda x: x[ROWS], real(3, 10))  # wide rows are sorted and added up
case("getitem", lambda x: x[:, np.zeros(0, int)], real(3, 10))
case("take", lambda x: ops.take(x, ROWS), unitary(3, 4))
case("take", lambda x: ops.take(x, -ROWS, -1), real(2, 3, 4))
case("take", lambda x: ops.take(x, ROWS, 1), unitary(9, 10))
case("take", lambda x: ops.take(x, 1, 0), real(3, 4))
case("take", lambda x: ops.take(x, ROWS > 0, 0), real(3, 4))  # positions 0 and 1, not a mask
case("take", lambda x: ops.take(x, [0, 0], 0), real())
case("take_along_axis", lambda x: ops.take_along_axis(x, [[[0, 1, 3]]], -1), real(3, 2, 4))
case("take_along_axis", lambda x: ops.take_along_axis(x, [[[0, 1, 1, -1]]], 1), unitary(2, 3, 4))
case("take_along_axis", lambda x: ops.take_along_axis(x, [5, 0, 5], None), real(2, 3))
case("take_slice", lambda x: ops.take_slice(x, (1, 0), (2, 2)), unitary(3, 3, 4))
case("scatter_add", lambda x: ops.scatter_add(x, ROWS, (3, 4)), unitary(2, 2, 4))
case("scatter_add", lambda x: ops.scatter_add(x, (whole, 1), (3, 4)), real(3))
case("embed_diagonal", lambda x: ops.embed_diagonal(x, (2, 3, 4), 0, 0, 2), unitary(3, 2))

case("reshape", lambda x: ops.reshape(x, (3, -1)), unitary(2, 3, 2))
case("pivot", lambda x: ops.pivot(x, 1), unitary(2, 3, 2))
case("broadcast_to", lambda x: ops.broadcast_to(x, (4, 2, 3)), unitary(2, 1))
case("broadcast_to", lambda x: ops.broadcast_to(x, (0, 3)), unitary())
case("transpose", lambda x: ops.transpose(x, (2, -3, 1)), unitary(2, 3, 4))
case("hconj", lambda x: ops.hconj(x, (2, 0, 1)), unitary(2, 3, 4))
case("flip", lambda x: ops.flip(x, (0, -1)), unitary(2, 3, 4))
case("roll", lambda x: ops.roll(x, 2), unitary(2, 3))
case("roll", lambda x: ops.roll(x, (1, 2), (0, 1)), real(2, 3))
case("roll", lambda x: ops.roll(x, np.uint8(1)), real(2, 3))
case("expand_dims", lambda x: ops.expand_dims(x, (0, 2)), real(2, 3))
case("squeeze", lambda x: ops.squeeze(x, 1), real(2, 1, 3, 1))
case("swapaxes", lambda x: ops.swapaxes(x, 0, -1), real(2, 3, 4))
case("moveaxis", lambda x: ops.moveaxis(x, 0, -1), real(2, 3, 4))
case("concatenate", lambda *x: ops.concatenate(x, 1), unitary(2, 3), real(2, 1), real(2, 0))
case("concatenate", lambda *x: ops.concatenate([*x, [1.0]], None), real(2, 3), real(2))
case("stack", lambda *x: ops.stack(x, -1), unitary(2, 3), real(2, 3))
for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    case("pad", lambda x, mode=mode: ops.pad(x, ((1, 2), (0, 1)), mode), unitary(3, 4))
