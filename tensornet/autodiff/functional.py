"""Derivatives of functions: grad, value_and_grad, vjp, jvp, hvp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from operator import index
from typing import Any

import numpy as np

from .._tape import all_floating, any_tensor, begin, settled
from ..arrays import as_numeric
from ..errors import ShapeError
from ..ops import cast
from ..records import Origin, state
from ..tape import Tensor, tensor_of
from .engine import pull_back
from .structure import leaves_of, rebuilt
from .variables import aliases, array_of, recording, stop_gradient, tracked

__all__ = ["grad", "hvp", "jvp", "value_and_grad", "vjp"]


def grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar function.

    Args, errors and conventions are those of `value_and_grad`.

    Returns:
        a function of the same arguments that returns the gradient, or with `has_aux`
        ``(gradient, aux)``.

    >>> grad(lambda x: x * x * x)(2.0)
    np.float64(12.0)
    >>> float(grad(grad(lambda x: x * x * x))(2.0))
    12.0
    """
    both = value_and_grad(function, argnums, has_aux)

    @wraps(function)
    def gradient(*args: Any, **options: Any) -> Any:
        value, gradients = both(*args, **options)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns the value of a scalar function together with its gradient.

    The gradient with respect to complex entries is ``dL/dRe + i dL/dIm``, the direction of steepest
    ascent, as in PyTorch.

    Args:
        function: returns one real number, computed with tensornet's operations.
        argnums: positions of the arguments to differentiate with respect to. An argument is an
            array, a Tensor, a number, or lists, tuples and dicts of them.
        has_aux: `function` returns ``(number, aux)`` with whatever else it has to say; Tensors in
            `aux` that are not in lists, tuples or dicts stay on the tape.

    Returns:
        a function of the same arguments that returns ``(value, gradient)``, or with `has_aux`
        ``((value, aux), gradient)``. The gradient has the structure, shapes and dtypes of the
        argument; for several argnums it is a tuple. What does not matter has gradient zero.

    Raises:
        ShapeError: the result is not a single number.
        TypeError: an argument or the result that is not real or complex floating point, or an
            operation without a gradient rule.

    Complexity: a small multiple of the time of `function`, and memory for all intermediate results
    that rules read; see `checkpoint`.

    >>> import tensornet as tn
    >>> w = np.array([1.0, 2.0])
    >>> value, gradient = value_and_grad(lambda p: tn.einsum("i,i->", p["w"], p["w"]))({"w": w})
    >>> float(value), gradient
    (5.0, {'w': array([2., 4.])})
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(map(index, argnums))

    @wraps(function)
    def both(*args: Any, **options: Any) -> Any:
        variables, given, sources, structures = _variables(args, positions)
        with recording():
            result = function(*variables, **options)
        aux = None
        if has_aux:
            result, aux = result
            aux = rebuilt(aux, map(stop_gradient, leaves_of(aux)))
        del variables
        seed = _unit(result)
        value, origins = _plain(result, given), [tracked(result)]
        del result
        gradients = _gradients(pull_back(origins, [seed], sources), given)
        made = _structured(structures, gradients)
        chosen = made[0] if isinstance(argnums, int) else made
        return ((value, aux), chosen) if has_aux else (value, chosen)

    return both


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """The value of a function, and the linear map that pulls cotangents back to its arguments.

    Args:
        function: of arrays or Tensors, or structures of them; it returns an array or Tensor, or a
            structure of them.
        args: where to differentiate it, with respect to all of them.

    Returns:
        ``(value, pullback)``. ``pullback(cotangent)`` takes what looks like the value, and returns
        one cotangent per argument; it may be called many times. For complex numbers it is the
        conjugate transpose of the derivative.

    Raises:
        TypeError: as `value_and_grad`.
        ShapeError: by the pullback, for a cotangent of another shape than the value's.

    >>> value, pullback = vjp(lambda a, x: a @ x, np.ones((2, 3)), np.ones(3))
    >>> pullback(np.array([1.0, 10.0]))[1]
    array([11., 11., 11.])
    """
    variables, given, sources, structures = _variables(args, tuple(range(len(args))))
    with recording():
        result = function(*variables)
    del variables
    results = leaves_of(result)
    origins = [tracked(each) for each in results]
    values = [_plain(each, given) for each in results]
    outlines = [(each.shape, each.dtype) for each in values]
    value = rebuilt(result, iter(values))
    del result, results

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        seeds = leaves_of(cotangent)
        if len(seeds) != len(outlines):
            raise ShapeError(f"{len(seeds)} cotangents for {len(outlines)} values")
        seeds = [_seed(*each) for each in zip(seeds, outlines)]
        gradients = _gradients(pull_back(list(origins), seeds, sources), given)
        return _structured(structures, gradients)

    return value, pullback


def jvp(
    function: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """The value of a function of arrays, and how it changes along a direction.

    The map from cotangents to arguments is linear, and the derivative of that map along
    `tangents` is what is sought: two sweeps backwards make one forwards.

    Args:
        function: of arrays or Tensors; returns one.
        args: where.
        tangents: the direction: an array for each argument, of its shape.

    Returns:
        ``(value, tangent)``, both of the shape of the value.

    >>> value, tangent = jvp(lambda x: x * x, [np.array([3.0])], [np.array([10.0])])
    >>> value, tangent
    (array([9.]), array([60.]))
    """
    value, _ = vjp(function, *args)
    zero = np.zeros(value.shape, value.dtype)

    def pulled(u: Any) -> tuple[Any, ...]:
        return vjp(function, *args)[1](u)

    _, pullback = vjp(pulled, zero)
    directions = [cast(t, array_of(x).dtype) for t, x in zip(tangents, args)]
    return value, pullback(tuple(directions))[0]


def hvp(function: Callable[..., Any], x: Any, direction: Any) -> Any:
    """The Hessian of a real scalar function times a direction, for twice the cost of the gradient.

    Args:
        function: of one array or Tensor.
        x: where.
        direction: of the shape of x.

    Returns:
        an array of the shape of x.

    >>> hvp(lambda x: (x @ x) * (x @ x), np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    array([12.,  4.])
    """
    return vjp(grad(function), x)[1](direction)[0]


def _variables(
    args: Sequence[Any], positions: tuple[int, ...]
) -> tuple[Sequence[Any], list[Any], list[Origin], list[Any] | None]:
    """The arguments with variables at some positions.

    Returns:
        all arguments; the leaves at the positions as they were given; the origins of the variables
        in their places; and what the leaves are in, one structure per position, or None: they are
        the arguments themselves.
    """
    whole = len(args) == len(positions) and positions == (*range(len(args)),)
    chosen = [*args] if whole else [args[k] for k in positions]
    if all_floating(chosen):
        tensors, origins = begin(chosen)
        given, structures = chosen, None
        if whole:
            return tensors, given, origins, structures
    else:
        leaves = [leaves_of(each) for each in chosen]
        given, structures = [leaf for each in leaves for leaf in each], chosen
        whats = [f"argument {k}" for k, each in zip(positions, leaves) for _ in each]
        tensors, origins = aliases(given, whats)
    remaining, variables = iter(tensors), list(args)
    for k in positions:
        variables[k] = rebuilt(args[k], remaining)
    return variables, given, origins, structures


def _structured(structures: Sequence[Any] | None, leaves: list[Any]) -> tuple[Any, ...]:
    """Other leaves in the structures that `_variables` has found."""
    if structures is None:
        return tuple(leaves)
    remaining = iter(leaves)
    return tuple([rebuilt(each, remaining) for each in structures])


def _plain(result: Any, given: Sequence[Any]) -> Any:
    """A result as a Tensor if one was given or it is on another tape, else as an array."""
    if type(result) is not Tensor:
        return np.asarray(result)[()]
    if state.depth and result._origin:
        return result
    array = result._array
    if type(array.base) is tuple:  # the tape has made a view that cannot be written to
        (array,) = array.base
    return tensor_of(array) if any_tensor(given) else array[()]


def _gradients(found: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """What `pull_back` has found, in the form of what was given; zeros where it found nothing.

    Arrays share memory neither with each other nor with anything else.
    """

    def in_form(cotangent: Any, like: Any) -> Any:
        if cotangent is None:
            cotangent = np.zeros_like(array_of(like))
        if type(cotangent) is Tensor:
            return _plain(cotangent, given)
        return tensor_of(np.asarray(cotangent)) if type(like) is Tensor else cotangent[()]

    return settled(found, given, in_form)


def _unit(result: Any) -> Any:
    """The cotangent 1 of a single real number."""
    array = array_of(result)
    if array.size != 1:
        raise ShapeError(
            f"only a single number has a gradient, not a result of shape {array.shape}: use vjp, "
            "or sum it"
        )
    if array.dtype.kind != "f":
        raise TypeError(
            f"only a real number has a gradient, not a result of dtype {array.dtype}: take its "
            "real part or its absolute value"
        )
    return np.ones(array.shape, array.dtype) if array.ndim else array.dtype.type(1)


def _seed(cotangent: Any, outline: tuple[tuple[int, ...], Any]) -> Any:
    """A given cotangent as the sweep takes it."""
    shape, dtype = outline
    seed = cotangent if type(cotangent) is Tensor else as_numeric(cotangent, "a cotangent")
    if seed.shape != shape:
        raise ShapeError(f"a cotangent of shape {seed.shape} for a value of shape {shape}")
    return seed if seed.dtype == dtype else cast(seed, dtype)
