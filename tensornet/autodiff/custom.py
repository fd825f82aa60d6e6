"""Operations of one's own with a rule of one's own, and memory traded for time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from ..records import Rule, set_rule
from ..tape import any_tensor, apply, operation
from .functional import vjp
from .variables import no_grad

__all__ = ["checkpoint", "custom_op"]


def custom_op(forward: Callable[..., Any], pull: Callable[..., Any]) -> Callable[..., Any]:
    """An operation from a function of arrays, and the rule of its gradient.

    Args:
        forward: takes arrays, and whatever else; returns an array or a tuple of arrays.
        pull: ``pull(g, result, *args, **options)``, with the cotangent of the result and what
            `forward` was called with, returns the cotangents of the arguments: one array for one
            argument, else a tuple, None for what has no gradient. For second derivatives it must
            be written in operations of tensornet, for it is then called with Tensors.

    Returns:
        a function of arrays and Tensors.

    >>> import tensornet as tn
    >>> cube = custom_op(lambda x: x**3, lambda g, y, x: 3 * g * x * x)
    >>> float(tn.grad(cube)(2.0))
    12.0
    """
    op = operation(forward)

    def pulled(
        g: Any, result: Any, _: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> Sequence[Any]:
        cotangents = pull(g, result, *args, **options)
        return cotangents if isinstance(cotangents, (tuple, list)) else (cotangents,)

    set_rule(op, Rule(pulled, keeps_result=True))
    return op


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which only the arguments are kept: it runs again for its gradient.

    Memory for what it computes on the way is needed only while its own gradient is taken, at the
    cost of computing it twice; what it computes must not change from call to call.

    Args:
        function: of arrays or Tensors, which it must get as arguments of their own (what it finds
            elsewhere counts as constant); returns one array or Tensor.

    >>> import tensornet as tn
    >>> step = checkpoint(lambda x: tn.sin(x) * x)
    >>> float(tn.grad(lambda x: step(step(x)))(0.0))
    0.0
    """

    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        if any_tensor(args):
            return apply(forward, args, options)
        return function(*args, **options)

    def forward(*args: Any, **options: Any) -> Any:
        with no_grad():
            result = function(*args, **options)
        return getattr(result, "array", result)

    def pulled(
        g: Any, _: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> Sequence[Any]:
        positions = [k for k, wanted in enumerate(needed) if wanted]

        def of_needed(*given: Any) -> Any:
            full = list(args)
            for k, each in zip(positions, given):
                full[k] = each
            return function(*full, **options)

        _, pullback = vjp(of_needed, *[args[k] for k in positions])
        found = iter(pullback(g))
        return [next(found) if wanted else None for wanted in needed]

    set_rule(forward, Rule(pulled))
    return run
