"""slice_tree: keep a contraction small by looping over the values of some indices."""

from __future__ import annotations

from math import inf, log2

from ..config import get_num_threads
from ..errors import MemoryLimitError
from . import _search
from .tree import Tree

__all__ = ["MOST_SLICES", "slice_tree"]

MOST_SLICES = 2**59  # that can be run at all; the compiler refuses more


def slice_tree(
    tree: Tree,
    max_size: int,
    *,
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    max_slices: int | None = None,
    stopped: list[BaseException] | None = None,
) -> Tree:
    """Slice indices until no intermediate or output has more than `max_size` entries.

    Slices the index that adds the least work again and again, tuning the order of the steps for
    the smaller problem; then anneals the tree and the choice of indices together, for `max_time`
    seconds, for 20,000 moves times `max_steps`, or as long as the contraction is worth it. What
    counts is `Tree.hoisted_macs`. Indices of the output may be sliced too. Operands themselves are
    not counted: they exist already.

    Ctrl-C ends the search as it does for `search`: appended to `stopped`, if given, once there is
    a choice that keeps to the limit, else raised. With one in it already, no time is spent.

    Raises:
        MemoryLimitError: `max_size` is below 1, which not even slicing every index can keep; or
            more than `max_slices` slices would be needed to keep it.

    >>> from tensornet.expr import Expr
    >>> expr = Expr(inputs=((0, 1), (1, 2)), output=(0, 2), sizes=(8, 4, 2))
    >>> sliced = slice_tree(Tree.from_path(expr, [(0, 1)]), 8)
    >>> sliced.max_size <= 8, sliced.macs
    (True, 64)
    """
    if tree.max_size <= max_size:
        return tree
    if max_size < 1:
        raise MemoryLimitError(
            f"no slicing keeps every intermediate to {max_size} entries; the least is 1"
        )
    expr = tree.expr
    if not tree.steps:
        return _slice_output(tree, max_size)
    sizes = list(expr.sizes)
    for i in tree.sliced:
        sizes[i] = 1
    limit, margin = log2(max_size), 0.0
    most = inf if max_slices is None else log2(max_slices) - log2(max(1, tree.n_slices))
    seconds = 0.0 if stopped else inf if max_time is None else max_time
    while True:
        found = _search.slice_steps(
            expr.inputs,
            expr.output,
            tuple(sizes),
            tree.steps,
            max(limit - margin, 0.0),
            most,
            seed & 0xFFFFFFFFFFFFFFFF,
            max_steps or 0,
            seconds=seconds,
            threads=get_num_threads(),
            stopped=stopped,
        )
        if found is None:
            raise MemoryLimitError(
                f"to keep every intermediate to {max_size} entries takes more than {max_slices:,} "
                f"slices"
            )
        result = Tree(expr, found[0], tree.sliced + found[1])
        if result.max_size <= max_size:
            return result
        margin = max(2.0 * margin, 1e-8)  # logarithms were too coarse for this limit


def _slice_output(tree: Tree, max_size: int) -> Tree:
    """Slice a tree without steps, whose one result is the output: its largest indices go."""
    sizes = tree.expr.sizes
    for index in sorted(set(tree.expr.output) - set(tree.sliced), key=lambda i: -sizes[i]):
        if tree.max_size <= max_size:
            break
        tree = Tree(tree.expr, tree.steps, (*tree.sliced, index))
    return tree
