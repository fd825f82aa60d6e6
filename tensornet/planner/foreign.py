"""Both worlds: other people's path optimizers here, our planner there."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from opt_einsum import paths as oe_paths

from ..errors import PlanError
from ..expr import Expr, from_labels
from .slicing import slice_tree
from .tree import Tree

if TYPE_CHECKING:
    PathOptimizer = object  # opt_einsum ships no types
else:
    PathOptimizer = oe_paths.PathOptimizer

__all__ = ["Planner", "is_optimizer", "path_names", "search_by_name", "search_with"]


class Planner(PathOptimizer):
    """tensornet's planner for opt_einsum and cotengra: pass it as their ``optimize=``.

    The name "tensornet" does the same with default options, in both libraries, once tensornet
    is imported. opt_einsum gets a path, which cannot hold slices: its `memory_limit` is not
    applied. cotengra gets a ContractionTree, sliced if `max_entries` asks for it.

    Args:
        optimize: a name, as in `tensornet.planner.search`.
        max_entries: of the largest intermediate; slices are chosen until it is kept.
        options: `seed`, `max_time` and all else that `tensornet.planner.search` takes.

    >>> import opt_einsum
    >>> path, info = opt_einsum.contract_path(
    ...     "ab,bc,cd->ad", (2, 9), (9, 9), (9, 2), shapes=True, optimize=Planner()
    ... )
    >>> len(path)
    2
    """

    def __init__(
        self, optimize: str = "auto", *, max_entries: int | None = None, **options: Any
    ) -> None:
        self.optimize = optimize
        self.max_entries = max_entries
        self.options = options

    def tree(
        self, inputs: Sequence[Collection[Any]], output: Collection[Any], sizes: dict[Any, int]
    ) -> Tree:
        """Plan a network given by labels; sets of labels are taken in sorted order."""
        from .search import search

        expr = from_labels([_in_order(term) for term in inputs], _in_order(output), sizes)
        return search(expr, self.optimize, **self.options)

    def __call__(
        self,
        inputs: list[Any],
        output: Any,
        size_dict: dict[Any, int],
        memory_limit: int | None = None,
    ) -> list[tuple[int, ...]]:
        """The path for opt_einsum; `memory_limit` is not applied."""
        return self.tree(inputs, output, size_dict).path

    def search(
        self, inputs: Sequence[Collection[Any]], output: Collection[Any], size_dict: dict[Any, int]
    ) -> Any:
        """The ContractionTree for cotengra.

        Raises:
            ImportError: cotengra is not installed.
        """
        from cotengra import ContractionTree

        found = self.tree(inputs, output, size_dict)
        if self.max_entries is not None:
            found = slice_tree(found, self.max_entries)
        terms = [_in_order(term) for term in inputs]
        labels = list(dict.fromkeys(chain.from_iterable(terms)))
        tree = ContractionTree.from_path(
            terms, _in_order(output), size_dict, ssa_path=found.ssa_path
        )
        for index in found.sliced:
            tree.remove_ind_(labels[index])
        return tree


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

    Slices that a cotengra tree has are taken over.

    Raises:
        PlanError: its path or its slices do not fit the network.
    """
    if hasattr(optimizer, "get_path"):
        return _taken_over(expr, optimizer)
    if len(expr.inputs) < 2:
        return Tree(expr, ())  # not all find that there is nothing to do
    label = [_label(i) for i in range(len(expr.sizes))]
    sizes = dict(zip(label, [max(1, size) for size in expr.sizes]))  # not all can take a 0
    if hasattr(optimizer, "search"):  # cotengra: wants ordered terms
        terms = [list(dict.fromkeys([label[i] for i in term])) for term in expr.inputs]
        found = optimizer.search(terms, [label[i] for i in expr.output], sizes)
        return _taken_over(expr, found)
    inputs = [{label[i] for i in term} for term in expr.inputs]
    path = optimizer(inputs, {label[i] for i in expr.output}, sizes, memory_limit)
    return Tree.from_path(expr, path)


def _taken_over(expr: Expr, foreign: Any) -> Tree:
    """A cotengra tree as one of ours; its labels are told by where they stand."""
    tree = Tree.from_path(expr, foreign.get_path())
    slices = getattr(foreign, "sliced_inds", None)
    if not slices:
        return tree
    if len(foreign.inputs) != len(expr.inputs):
        raise PlanError(
            f"the given tree is for {len(foreign.inputs)} operands, the network has "
            f"{len(expr.inputs)}"
        )
    number: dict[Any, int] = {}
    for position, (theirs, term) in enumerate(zip(foreign.inputs, expr.inputs)):
        ours = tuple(dict.fromkeys(term))
        theirs = tuple(dict.fromkeys(theirs))
        if len(theirs) != len(ours) or any(
            number.setdefault(label, i) != i for label, i in zip(theirs, ours)
        ):
            raise PlanError(
                f"operand {position} of the given sliced tree has indices {theirs}, which do not "
                f"match the network's: give the tree of this very network"
            )
    if any(getattr(info, "project", None) is not None for info in slices.values()):
        raise PlanError("the given tree fixes an index to one value: only whole slices are taken")
    return Tree(expr, tree.steps, tuple([number[label] for label in slices]))


def _label(i: int) -> str:
    """A label that any optimizer takes: one character as long as there are some."""
    code = i + 192 if i + 192 < 0xD800 else i + 192 + 0x800  # surrogates are no characters
    return chr(code) if code <= sys.maxunicode else f"index{i}"
