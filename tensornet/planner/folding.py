"""Networks some of whose operands stay the same in many runs: what only those enter is cut out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from math import prod
from typing import NamedTuple

from ..expr import Expr, from_labels
from .tree import Tree

__all__ = ["Fold", "fold_tree", "one_run", "repeated"]


def repeated(expr: Expr, constants: Collection[int], runs: int) -> Expr:
    """The network of `runs` networks that have these operands in common and no others.

    A last index, of extent `runs`, is on the other operands and comes last in the output. The
    multiply-adds of a tree of this network are those of the same steps on `expr`, once for what
    only constants enter and `runs` times for the rest: a search on it finds what is best for many
    runs. The network itself, if all its operands are constant or none is.

    >>> repeated(Expr(((0, 1), (1,)), (0,), (2, 3)), {0}, 100)
    Expr(inputs=((0, 1), (1, 2)), output=(0, 2), sizes=(2, 3, 100))
    """
    if runs == 1 or not constants:
        return expr
    run = len(expr.sizes)
    inputs = tuple([t if k in constants else (*t, run) for k, t in enumerate(expr.inputs)])
    if inputs == expr.inputs:
        return expr
    return Expr(inputs, (*expr.output, run), (*expr.sizes, runs))


def one_run(tree: Tree, expr: Expr) -> Tree:
    """The tree of a repeated network as one of the network itself: its run index goes."""
    if len(tree.expr.sizes) == len(expr.sizes):
        return tree
    return Tree(expr, tree.steps, tuple([i for i in tree.sliced if i < len(expr.sizes)]))


class Fold(NamedTuple):
    """A part of a tree that only constants enter."""

    operands: tuple[int, ...]  # the constants, as operand numbers of the whole network
    tree: Tree


def fold_tree(
    tree: Tree, constants: Collection[int], max_entries: int | None
) -> tuple[list[Fold], Tree]:
    """Cut the largest subtrees that only constants enter out of a tree.

    Folds of several operands are kept in memory: all together have at most `max_entries`.

    Returns:
        the folds, and the rest of the tree: its inputs are the operands that are variable, in
        order, and then the folds.

    Complexity: linear in the size of the network, times the logarithm of what is too much.
    """
    most = max_entries
    while True:
        folds, rest = _cut(tree, constants, most)
        kept = sum([prod(fold.tree.expr.output_shape) for fold in folds if fold.tree.steps])
        if max_entries is None or most is None or kept <= max_entries:
            return folds, rest
        most = min(most, kept) // 2


def _cut(
    tree: Tree, constants: Collection[int], max_entries: int | None
) -> tuple[list[Fold], Tree]:
    """`fold_tree` where no fold of several operands has more than `max_entries`."""
    n = len(tree.expr.inputs)
    if not constants:
        return [], tree
    terms = _node_terms(tree)
    constant = [k in constants for k in range(n)]
    for left, right in tree.steps:
        constant.append(constant[left] and constant[right])
    owner = [-1] * len(terms)  # the root of the fold that a node is in, or -1
    for node in range(len(terms) - 1, -1, -1):
        if owner[node] < 0 and constant[node]:
            entries = prod([tree.expr.sizes[i] for i in terms[node]])
            if node < n or max_entries is None or entries <= max_entries:
                owner[node] = node
        for child in tree.steps[node - n] if node >= n else ():
            owner[child] = owner[node]
    members: dict[int, list[int]] = {}
    for node, root in enumerate(owner):
        members.setdefault(root, []).append(node)
    outside = members.pop(-1, [])
    folds = []
    for root, nodes in members.items():
        leaves = [node for node in nodes if node < n]
        part = _part(tree, [tree.expr.inputs[k] for k in leaves], terms[root], leaves, nodes)
        folds.append(Fold(tuple(leaves), part))
    variable = [node for node in outside if node < n]
    inputs = [tree.expr.inputs[k] for k in variable] + [terms[root] for root in members]
    rest = _part(tree, inputs, tree.expr.output, [*variable, *members], outside)
    return folds, rest


def _node_terms(tree: Tree) -> list[tuple[int, ...]]:
    """The indices of every node once those that nothing else needs are summed."""
    expr = tree.expr
    uses = [0] * len(expr.sizes)
    for index in chain(expr.output, *[set(term) for term in expr.inputs]):
        uses[index] += 1
    terms = [tuple([i for i in dict.fromkeys(term) if uses[i] > 1]) for term in expr.inputs]
    terms += [result for _, _, result in replace(tree, sliced=()).step_terms()]
    terms[-1] = expr.output
    return terms


def _part(
    tree: Tree,
    inputs: Sequence[Sequence[int]],
    output: Sequence[int],
    leaves: Sequence[int],
    nodes: Sequence[int],
) -> Tree:
    """The steps among `nodes` as a tree of its own, on these leaves (node ids) and terms."""
    n = len(tree.expr.inputs)
    steps = [node for node in nodes if node >= n]
    number = {node: k for k, node in enumerate([*leaves, *steps])}
    pairs = [(number[left], number[right]) for left, right in [tree.steps[k - n] for k in steps]]
    ids = {index: k for k, index in enumerate(dict.fromkeys(chain(*inputs)))}
    expr = from_labels(inputs, output, {index: tree.expr.sizes[index] for index in ids})
    sliced = tuple([ids[i] for i in tree.sliced if i in ids])
    return replace(Tree.from_ssa_path(expr, pairs), sliced=sliced)
