"""Contracting whole networks: each call plans once and runs one compiled program.

All of them take the nodes to contract and contract every edge among them. Edges to other nodes
count as open, like dangling ones. The nodes keep their arrays and get fresh dangling edges; the
contracted edges are disabled. A call that fails changes nothing.

`memory_limit`: an integer is the number of entries that no intermediate may exceed; text such as
``"512MB"`` is bytes for the whole run. Contractions that would exceed it are sliced.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from ..api import plan_expr
from ..planner import search
from .abstract import AbstractNode
from .copynode import CopyNode
from .edge import Edge
from .labels import Labels, label_all, ordered
from .lowering import MemoryLimit, Pending, limits_of, lower, run
from .ncon_order import ncon_solver
from .queries import unique_nodes

__all__ = [
    "auto",
    "branch",
    "bucket",
    "contract_path",
    "custom",
    "greedy",
    "ncon_solver",
    "optimal",
    "path_solver",
]

Path = list[tuple[int, ...]]


def auto(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    memory_limit: MemoryLimit = None,
    ignore_edge_order: bool = False,
) -> AbstractNode:
    """Contract a network with the planner's own choice of search.

    The search goes on as long as one contraction is worth it (``optimize="once"``). What is to
    be contracted many times is planned better, and runs faster, by `compile_network`.

    Args:
        nodes: the nodes; they need not be connected to each other.
        output_edge_order: the open edges in the order wanted; needed if there are two or more.
        memory_limit: see the module.
        ignore_edge_order: take the open edges node by node, axis by axis.

    Returns:
        The node of the result with the open edges (of a single node without trace edges, the
        node itself, reordered).

    Raises:
        ValueError: no nodes, a missing `output_edge_order`, or one that is not exactly the open
            edges.
        MemoryError: `memory_limit` cannot be kept.
        TypeError: not nodes or edges, or a dtype that cannot be contracted.

    >>> from tensornet.graph import Node
    >>> a, b, c = Node([[1, 2], [3, 4]]), Node([[5, 6], [7, 8]]), Node([1, 1])
    >>> edges = a[1] ^ b[0], b[1] ^ c[0]
    >>> auto([a, b, c]).tensor.tolist()
    [41, 93]
    """
    return _contract_all(nodes, "once", output_edge_order, memory_limit, ignore_edge_order)


def greedy(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    memory_limit: MemoryLimit = None,
    ignore_edge_order: bool = False,
) -> AbstractNode:
    """Contract a network pair by pair, the cheapest next; otherwise like `auto`."""
    return _contract_all(nodes, "greedy", output_edge_order, memory_limit, ignore_edge_order)


def branch(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    memory_limit: MemoryLimit = None,
    nbranch: int | None = None,
    ignore_edge_order: bool = False,
) -> AbstractNode:
    """Contract a network after a search that tries the `nbranch` best pairs at each step.

    None tries all pairs. Otherwise like `auto`.
    """
    optimize = _branch_search(nbranch)
    return _contract_all(nodes, optimize, output_edge_order, memory_limit, ignore_edge_order)


def optimal(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    memory_limit: MemoryLimit = None,
    ignore_edge_order: bool = False,
) -> AbstractNode:
    """Contract a network after an exhaustive search, for a dozen nodes at most; like `auto`."""
    return _contract_all(nodes, "optimal", output_edge_order, memory_limit, ignore_edge_order)


def custom(
    nodes: Iterable[AbstractNode],
    optimizer: Any,
    output_edge_order: Sequence[Edge] | None = None,
    memory_limit: MemoryLimit = None,
    ignore_edge_order: bool = False,
) -> AbstractNode:
    """Contract a network in the order that `optimizer` finds; otherwise like `auto`.

    Args:
        nodes: see `auto`.
        optimizer: an opt_einsum or cotengra optimizer object, or anything else that
            ``tensornet.einsum(optimize=)`` takes.
        output_edge_order: see `auto`.
        memory_limit: see the module; the optimizer is told an integer one.
        ignore_edge_order: see `auto`.

    Returns:
        See `auto`.

    Raises:
        ValueError: see `auto`; also a path from `optimizer` that does not fit the network.
    """
    return _contract_all(nodes, optimizer, output_edge_order, memory_limit, ignore_edge_order)


def _branch_search(nbranch: int | None) -> Any:
    if nbranch is None:
        return "branch-all"
    if nbranch in (1, 2):
        return f"branch-{nbranch}"
    from opt_einsum.paths import BranchBound  # importing it takes a while

    return BranchBound(nbranch=nbranch)


def _contract_all(
    nodes: Iterable[AbstractNode],
    optimize: Any,
    output_edge_order: Iterable[Edge] | None,
    memory_limit: MemoryLimit,
    ignore_edge_order: bool,
) -> AbstractNode:
    members = unique_nodes(nodes)
    if not members:
        raise ValueError("cannot contract an empty network; give at least one node")
    labels = ordered(label_all(members), output_edge_order, ignore_edge_order)
    if len(members) == 1 and not labels.contracted:
        if not isinstance(optimize, str):
            search(lower(members, labels).expr, optimize)  # complains of a path that does not fit
        node = next(iter(members))
        if ignore_edge_order or output_edge_order is None:
            return node
        return node.reorder_axes([axis for _, _, axis in labels.ends])
    name = next(iter(members)).name if len(members) == 1 else None
    return _run(members, labels, optimize, memory_limit, name).commit()


def _run(
    members: dict[AbstractNode, None],
    labels: Labels,
    optimize: Any,
    memory_limit: MemoryLimit = None,
    name: str | None = None,
) -> Pending:
    return run(members, labels, name, optimize=optimize, **limits_of(memory_limit))


def bucket(
    nodes: Iterable[AbstractNode], contraction_order: Sequence[CopyNode]
) -> set[AbstractNode]:
    """Contract the given copy nodes with all the nodes they touch, and leave the rest.

    Copy nodes that share partners are contracted together, in the order that the planner finds
    best; so `contraction_order` says which copy nodes, not when.

    Args:
        nodes: the nodes of the network.
        contraction_order: copy nodes without dangling edges.

    Returns:
        The nodes that are then in the network: results, and nodes that were not touched.

    Raises:
        ValueError: a copy node with dangling edges, or a copy node or a partner of one that is
            not among `nodes`.
        TypeError: not nodes, or not copy nodes.

    >>> from tensornet.graph import Node
    >>> a, b, c = Node([1, 2]), Node([[1, 2], [3, 4]]), Node([5, 6])
    >>> hub = CopyNode(2, 2)
    >>> edges = hub[0] ^ a[0], hub[1] ^ b[0], b[1] ^ c[0]
    >>> sorted(node.tensor.tolist() for node in bucket([a, b, c, hub], [hub]))
    [[5, 6], [7, 10]]
    """
    members = unique_nodes(nodes)
    group_of: dict[AbstractNode, list[AbstractNode]] = {}
    for copy_node in contraction_order:
        if not isinstance(copy_node, CopyNode):
            raise TypeError(f"bucket contracts copy nodes, not {type(copy_node).__name__}")
        for node in (copy_node, *copy_node.get_partners()):
            if node not in members:
                raise ValueError(f"node {node.name!r} at copy node {copy_node.name!r} is missing")
            _join(group_of, copy_node, node)
    groups: dict[int, dict[AbstractNode, None]] = {}
    for node in members:
        if node in group_of:
            groups.setdefault(id(group_of[node]), {})[node] = None
    pending = [_run(group, label_all(group), "once") for group in groups.values()]
    untouched = {node for node in members if node not in group_of}
    return untouched.union([result.commit() for result in pending])


def _join(
    group_of: dict[AbstractNode, list[AbstractNode]], node1: AbstractNode, node2: AbstractNode
) -> None:
    """Make one group of the groups of two nodes; the smaller one moves."""
    larger = group_of.setdefault(node1, [node1])
    smaller = group_of.setdefault(node2, [node2])
    if larger is not smaller:
        if len(larger) < len(smaller):
            larger, smaller = smaller, larger
        larger.extend(smaller)
        group_of.update(dict.fromkeys(smaller, larger))


def path_solver(
    algorithm: str,
    nodes: Iterable[AbstractNode],
    memory_limit: MemoryLimit = None,
    nbranch: int | None = None,
) -> Path:
    """Find a contraction order without contracting.

    Args:
        algorithm: ``"auto"``, ``"greedy"``, ``"optimal"``, ``"branch"`` or any other name that
            ``tensornet.einsum(optimize=)`` takes.
        nodes: the nodes; give a list, for the path counts positions in it.
        memory_limit: see the module.
        nbranch: how many pairs ``"branch"`` tries at each step; None for all.

    Returns:
        The path in opt_einsum's form: each step names positions in the list of what is left,
        whose result goes to the end of the list. For `contract_path`.

    Raises:
        ValueError: an unknown algorithm, or no nodes.

    >>> from tensornet.graph import Node
    >>> a, b, c = Node([[1, 2], [3, 4]]), Node([[5, 6], [7, 8]]), Node([1, 1])
    >>> edges = a[1] ^ b[0], b[1] ^ c[0]
    >>> path_solver("optimal", [a, b, c])
    [(1, 2), (0, 1)]
    """
    members = unique_nodes(nodes)
    if not members:
        raise ValueError("cannot find a path for an empty network; give at least one node")
    lowered = lower(members, label_all(members))
    optimize = _branch_search(nbranch) if algorithm == "branch" else algorithm
    plan = plan_expr(lowered.expr, optimize, **limits_of(memory_limit))
    path = [tuple(step) for step in plan.path]
    if len(lowered.positions) == len(members):
        return path
    return _with_copies(path, lowered.positions, len(members))


def contract_path(
    path: Sequence[tuple[int, ...]],
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None,
) -> AbstractNode:
    """Contract a network in a given order.

    Args:
        path: as from `path_solver`, or from opt_einsum with the same nodes as operands.
        nodes: the nodes in the order that `path` counts them in.
        output_edge_order: the open edges in the order wanted; None if there is at most one.

    Returns:
        See `auto`.

    Raises:
        ValueError: see `auto`; also a path that does not fit the network.
    """
    members = unique_nodes(nodes)
    positions = lower(members, label_all(members)).positions if members else []
    steps = [tuple(step) for step in path]
    if len(positions) < len(members):
        steps = _without_copies(steps, positions, len(members))
    return _contract_all(members, steps, output_edge_order, None, False)


def _without_copies(path: Path, positions: Sequence[int], count: int) -> Path:
    """The path over the operands alone, which stand at `positions` among `count` nodes.

    The other nodes are copy nodes, of which contraction knows only shared indices. Nodes are
    numbered, and what a step makes gets the next number, so both lists stay sorted.
    """
    left, operands = list(range(count)), list(positions)
    is_operand = set(positions)
    steps: Path = []
    for step in path:
        if not all(0 <= place < len(left) for place in step):
            raise ValueError(f"step {step} of the path names more than the {len(left)} nodes left")
        met = [left.pop(place) for place in sorted(set(step), reverse=True)]
        places = [bisect_left(operands, number) for number in met if number in is_operand]
        left.append(left[-1] + 1 if left and left[-1] >= count else count)
        if places:
            is_operand.add(left[-1])
            for place in places:
                operands.pop(place)
            operands.append(left[-1])
            steps.append(tuple(sorted(places)))
    return [step for step in steps if len(step) > 1]


def _with_copies(path: Path, positions: Sequence[int], count: int) -> Path:
    """The path with copy nodes as operands again, which are taken in at the end."""
    left, operands = list(range(count)), list(positions)
    steps: Path = []
    for number, step in enumerate(path, start=count):
        met = [operands.pop(place) for place in sorted(step, reverse=True)]
        places = [bisect_left(left, operand) for operand in met]
        for place in places:
            left.pop(place)
        left.append(number)
        operands.append(number)
        steps.append(tuple(sorted(places)))
    return steps + [(k - 1, k) for k in range(len(left) - 1, 0, -1)]
