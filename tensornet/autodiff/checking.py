"""check_grads: derivatives compared with differences, for every order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..arrays import Array, as_numeric
from .functional import jvp, vjp
from .structure import leaves_of, rebuilt

__all__ = ["check_grads"]

Function = Callable[..., Any]


def check_grads(
    function: Function,
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("vjp",),
    *,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    eps: float = 1e-5,
    seed: int = 0,
) -> None:
    """Compare the derivatives of a function with central differences along random directions.

    For each order and each argument x, with a random direction v and a random cotangent u, the real
    part of ``<u, (f(x + eps v) - f(x - eps v)) / (2 eps)>`` must be that of ``<pullback(u), v>``.
    The function of the next order is the pullback of u, as a function of the arguments.

    Args:
        function: of arrays or Tensors, or structures of them; returns one, or a structure of them.
            It is called with float64 and complex128 entries, whatever `args` are.
        args: where. Entries that are no floating point numbers are constants.
        order: of the highest derivatives to look at.
        modes: "vjp", "jvp" or both. The latter compares `jvp` with the differences, too, for
            functions of arrays that return one array.
        rtol, atol: how far apart the two numbers may be, relatively to the greater, and at all.
        eps: the step of the differences.
        seed: of directions and cotangents.

    Raises:
        AssertionError: they differ; names the order, the mode, the argument and both numbers.
        ValueError: another mode.

    Complexity: for each order, two evaluations per argument and one gradient.

    >>> check_grads(lambda a, b: a @ b, (np.ones((2, 3)), np.ones(3)), modes=("vjp", "jvp"))
    """
    if not set(modes) <= {"vjp", "jvp"}:
        raise ValueError(f"modes are 'vjp' and 'jvp', not {tuple(modes)}")
    rng = np.random.default_rng(seed)
    leaves = [_precise(leaf) for arg in args for leaf in leaves_of(arg)]
    places = [k for k, leaf in enumerate(leaves) if leaf.dtype.kind in "fc"]
    names = [
        f"argument {k}" + (f" (leaf {j})" if isinstance(arg, (dict, list, tuple)) else "")
        for k, arg in enumerate(args)
        for j, _ in enumerate(leaves_of(arg))
    ]

    def of_variables(*variables: Any) -> Any:
        full = list(leaves)
        for k, each in zip(places, variables):
            full[k] = each
        given = iter(full)
        return function(*[rebuilt(arg, given) for arg in args])

    points = [leaves[k] for k in places]
    current: Function = of_variables
    for level in range(1, order + 1):
        value, pullback = vjp(current, *points)
        u = rebuilt(value, (_random(rng, np.asarray(leaf)) for leaf in leaves_of(value)))
        pulled = pullback(u)
        for k, (place, x) in enumerate(zip(places, points)):
            v = _random(rng, x)
            direction = [v if j == k else np.zeros_like(p) for j, p in enumerate(points)]
            ahead, behind = (
                current(*[p + step * d for p, d in zip(points, direction)]) for step in (eps, -eps)
            )
            wanted = (_inner(u, ahead) - _inner(u, behind)) / (2 * eps)
            found = {"vjp": _inner(pulled[k], v)}
            if "jvp" in modes and level == 1:
                found["jvp"] = _inner(u, jvp(current, points, direction)[1])
            for mode in modes:
                _compare(found.get(mode, wanted), wanted, rtol, atol, level, mode, names[place])
        current = _pulled_by(current, u)


def _pulled_by(function: Function, cotangent: Any) -> Function:
    return lambda *points: vjp(function, *points)[1](cotangent)


def _precise(leaf: Any) -> Array:
    array = as_numeric(leaf)
    wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    return array if wide is None else array.astype(wide)


def _random(rng: np.random.Generator, like: Array) -> Array:
    """Normal entries of the shape and the kind of an array; zeros for whole numbers."""
    drawn: Any = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(like.shape)
    return np.asarray(drawn).astype(like.dtype) if like.dtype.kind in "fc" else np.zeros_like(like)


def _inner(u: Any, v: Any) -> float:
    """The real part of the inner product of two structures."""
    pairs: Iterator[tuple[Any, Any]] = zip(leaves_of(u), leaves_of(v))
    return float(sum(np.vdot(np.asarray(a), np.asarray(b)).real for a, b in pairs))


def _compare(
    found: float, wanted: float, rtol: float, atol: float, order: int, mode: str, name: str
) -> None:
    if not abs(found - wanted) <= atol + rtol * max(abs(found), abs(wanted)):
        raise AssertionError(
            f"the derivative of order {order} with respect to {name} is {found:.10g} by {mode}, "
            f"but {wanted:.10g} by differences"
        )
