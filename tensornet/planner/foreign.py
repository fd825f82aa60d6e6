"""Both worlds: other people's path optimizers here, our planner there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from opt_einsum import paths as oe_paths

from ..errors import PlanError
from ..expr import Expr, from_labels
from .tree import Tree

if TYPE_CHECKING:
    PathOptimizer = object  # opt_einsum ships no types
else:
    PathOptimizer = oe_paths.PathOptimizer

__all__ = ["Planner", "is_optimizer", "path_names", "search_by_name", "search_with"]


class Planner(PathOptimizer):
    """tensornet's planner as an opt_einsum path optimizer.

    Pass it as ``optimize=`` to opt_einsum or cotengra, or use the name "tensornet" in opt_einsum
    once this class was imported. A `memory_limit` is not applied: opt_einsum's paths cannot hold
    slices.

    Args:
        optimize, seed, max_time, max_steps: as in `tensornet.planner.search`.

    >>> import opt_einsum
    >>> path, info = opt_einsum.contract_path(
    ...     "ab,bc,cd->ad", (2, 9), (9, 9), (9, 2), shapes=True, optimize=Planner()
    ... )
    >>> len(path)
    2
    """

    def __init__(
        self,
        optimize: str = "auto",
        *,
        seed: int = 0,
        max_time: float | None = None,
        max_steps: int | None = None,
    ) -> None:
        self.optimize = optimize
        self.seed = seed
        self.max_time = max_time
        self.max_steps = max_steps

    def tree(
        self, inputs: Sequence[Collection[Any]], output: Collection[Any], sizes: dict[Any, int]
    ) -> Tree:
        """Plan a network given by labels; sets of labels are taken in sorted order."""
        from .search import search

        terms = [_in_order(term) for term in inputs]
        expr = from_labels(terms, _in_order(output), sizes)
        return search(
            expr,
            self.optimize,
            seed=self.seed,
            max_time=self.max_time,
            max_steps=self.max_steps,
        )

    def __call__(
        self,
        inputs: list[Any],
        output: Any,
        size_dict: dict[str, int],
        memory_limit: int | None = None,
    ) -> list[tuple[int, ...]]:
        """The path for opt_einsum; `memory_limit` is not applied."""
        return self.tree(inputs, output, size_dict).path


def _in_order(term: Collection[Any]) -> list[Any]:
    """Sets iterate in an order that differs between runs: sort them."""
    return sorted(term, key=str) if isinstance(term, (set, frozenset)) else list(term)


def _tensornet_path(
    inputs: list[Any],
    output: Any,
    size_dict: dict[str, int],
    memory_limit: int | None = None,
) -> list[tuple[int, ...]]:
    return Planner()(inputs, output, size_dict, memory_limit)


if "tensornet" not in oe_paths._PATH_OPTIONS:
    oe_paths.register_path_fn("tensornet", _tensornet_path)


def path_names() -> list[str]:
    """The path names that opt_einsum knows."""
    return sorted(oe_paths._PATH_OPTIONS)


def is_optimizer(x: Any) -> bool:
    """Can `search_with` use it?"""
    return callable(x) or hasattr(x, "search") or hasattr(x, "get_path")


def search_by_name(expr: Expr, name: str, memory_limit: int | None) -> Tree:
    """Plan with one of opt_einsum's named path functions.

    Raises:
        PlanError: opt_einsum does not know the name.
    """
    if name not in oe_paths._PATH_OPTIONS:
        raise PlanError(f"optimize={name!r} is no path name; use one of {', '.join(path_names())}")
    if len(expr.inputs) < 3:
        return Tree.from_path(expr, [])
    return search_with(expr, oe_paths.get_path_fn(name), memory_limit)


def search_with(expr: Expr, optimizer: Any, memory_limit: int | None) -> Tree:
    """Plan with an optimizer object of opt_einsum or cotengra, or a finished cotengra tree.

    Raises:
        PlanError: its path does not fit the network.
    """
    if hasattr(optimizer, "get_path"):
        return Tree.from_path(expr, optimizer.get_path())
    label = [_label(i) for i in range(len(expr.sizes))]
    sizes = dict(zip(label, [max(1, size) for size in expr.sizes]))  # not all can take a 0
    if hasattr(optimizer, "search"):  # cotengra: wants ordered terms
        terms = [list(dict.fromkeys([label[i] for i in term])) for term in expr.inputs]
        path = optimizer.search(terms, [label[i] for i in expr.output], sizes).get_path()
    else:
        inputs = [{label[i] for i in term} for term in expr.inputs]
        path = optimizer(inputs, {label[i] for i in expr.output}, sizes, memory_limit)
    return Tree.from_path(expr, path)


def _label(i: int) -> str:
    """A label that any optimizer takes: one character as long as there are some."""
    return chr(i + 192) if i < 50_000 else f"index{i}"
