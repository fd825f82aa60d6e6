"""Networks described once: what they will cost, and contracting them with other tensors."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import result_dtype
from ..errors import ShapeError
from ..expression import ContractExpression, contract_expression
from ..ops import shape as shape_of
from ..planning import plan_expr
from ..plans import Plan
from ..progress import Progress
from .abstract import AbstractNode
from .checks import Array, join_limited
from .copynode import CopyNode
from .edge import UNNAMED_EDGE, Edge
from .labels import label_all, ordered
from .lowering import Lowered, limits_of, lower, spread
from .queries import unique_nodes

__all__ = ["CompiledNetwork", "compile_network", "plan_network"]

Tensors = Sequence[Any] | Mapping[AbstractNode, Any] | Mapping[str, Any]


def plan_network(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    *,
    optimize: Any = "auto",
    minimize: str = "macs",
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    memory_limit: int | str | None = None,
    threads: int | None = None,
    progress: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Plan:
    """What contracting a network will cost, before anything is contracted or changed.

    Args:
        nodes: as for `contractors.auto`.
        output_edge_order: the open edges in the order wanted; by default node by node.
        optimize: a search by name, a path, an opt_einsum or cotengra optimizer, a Plan.
        minimize, seed, max_time, max_steps, threads, progress, cache: as in `tensornet.plan`.
        memory_limit: entries that no intermediate may exceed, or bytes of a run as text such as
            "512MB"; the plan is sliced until it fits.

    Returns:
        The plan: `macs`, `width`, `max_size`, `peak_memory` in the dtype of the nodes, `table()`.
        Its indices are called after edges that have names of their own. As `optimizer` of
        `contractors.custom` or ``compile_network(optimize=)`` it is carried out.

    Raises:
        ValueError: no nodes, or an `output_edge_order` that is not exactly the open edges.
        MemoryLimitError: `memory_limit` cannot be kept.
        PlanError: `optimize` names no search, or its path does not contract this network.

    >>> from tensornet.graph import Node
    >>> a, b = Node(np.ones((2, 3))), Node(np.ones((3, 4)))
    >>> edge = a[1] ^ b[0]
    >>> plan = plan_network([a, b])
    >>> plan.macs, plan.max_size, plan.peak_memory >= 64
    (24, 8, True)
    """
    network = _described(nodes, output_edge_order, ignore=output_edge_order is None)
    made = plan_expr(
        network.lowered.expr,
        optimize,
        minimize=minimize,
        seed=seed,
        max_time=max_time,
        max_steps=max_steps,
        dtype=result_dtype([array.dtype for array in network.lowered.arrays], None, "safe"),
        threads=threads,
        progress=progress,
        cache=cache,
        **limits_of(memory_limit),
    )
    return replace(made, labels=network.labels)


def compile_network(
    nodes: Iterable[AbstractNode],
    output_edge_order: Sequence[Edge] | None = None,
    constants: Iterable[AbstractNode] = (),
    *,
    ignore_edge_order: bool = False,
    optimize: Any = "auto",
    memory_limit: int | str | None = None,
    dtype: DTypeLike | None = None,
    strip_exponent: bool = False,
    minimize: str = "macs",
    seed: int = 0,
    runs: int = 1,
) -> CompiledNetwork:
    """Make a function of a network, to be contracted many times with other tensors.

    The nodes are only described: they stay as they are, and their arrays give the shapes.

    Args:
        nodes, output_edge_order, ignore_edge_order: as for `contractors.auto`.
        constants: nodes of the network whose arrays stay what they are now (they are copied).
            What only they enter is contracted once.
        optimize, memory_limit: as for `plan_network`; the search runs here and now.
        dtype, strip_exponent, minimize, seed, runs: as for `tensornet.contract_expression`.

    Returns:
        A callable that takes one array per node that is neither constant nor a copy node.

    Raises:
        ValueError: as `contractors.auto`; or a constant that is not among the nodes.
        MemoryLimitError: `memory_limit` cannot be kept.
        PlanError: `optimize` names no search, or its path does not contract this network.

    >>> from tensornet.graph import Node
    >>> a, b = Node(np.ones((2, 3)), name="a"), Node(np.ones(3), name="b")
    >>> edge = a[1] ^ b[0]
    >>> product = compile_network([a, b])
    >>> product([np.eye(2, 3), np.arange(3.0)]).tolist()
    [0.0, 1.0]
    >>> product({b: np.zeros(3), "a": np.eye(2, 3)}).tolist()
    [0.0, 0.0]
    """
    network = _described(nodes, output_edge_order, ignore_edge_order)
    kept = unique_nodes(constants)
    for node in kept:
        if node not in network.nodes:
            raise ValueError(f"the constant {node!r} is not among the nodes")
    lowered = network.lowered
    operands = [network.nodes[position] for position in lowered.positions]
    fixed = [k for k, node in enumerate(operands) if node in kept or isinstance(node, CopyNode)]
    given: list[Any] = [array.shape for array in lowered.arrays]
    for k in fixed:
        given[k] = lowered.arrays[k]
    expression = contract_expression(
        *chain.from_iterable(zip(given, lowered.terms)),
        lowered.output,
        constants=fixed,
        optimize=optimize,
        memory_limit=memory_limit,
        dtype=dtype,
        strip_exponent=strip_exponent,
        seed=seed,
        minimize=minimize,
        runs=runs,
    )
    variable = [node for k, node in enumerate(operands) if k not in set(fixed)]
    return CompiledNetwork(expression, variable, lowered._replace(arrays=()), network.labels)


class CompiledNetwork:
    """A network planned once; call it with the tensors of its nodes. Made by `compile_network`.

    It may be called from many threads at once, holds no node, and can be pickled.

    >>> from tensornet.graph import Node
    >>> a, b = Node(np.ones((2, 3)), name="a"), Node(np.ones(3), name="b")
    >>> edge = a[1] ^ b[0]
    >>> compile_network([a, b], constants=[a])
    CompiledNetwork(['b'], 1 constant, result of shape (2,))
    """

    def __init__(
        self,
        expression: ContractExpression,
        nodes: Sequence[AbstractNode],
        lowered: Lowered,
        labels: tuple[Hashable, ...],
    ) -> None:
        self._expression = expression
        self._lowered = lowered
        self._labels = labels
        self._spreads = len(lowered.axes) != len(lowered.output)
        self._nodes = [_Description.of(node) for node in nodes]
        self._named: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            self._named.setdefault(name, []).append(place)
        self._places = WeakKeyDictionary({node: place for place, node in enumerate(nodes)})

    @property
    def names(self) -> list[str]:
        """The names of the nodes whose tensors a call takes, in order."""
        return [node.name for node in self._nodes]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of these tensors."""
        return [node.shape for node in self._nodes]

    @property
    def plan(self) -> Plan:
        """The plan of the whole contraction, constants included; see `plan_network`."""
        return replace(self._expression.plan, labels=self._labels)

    def __call__(
        self,
        tensors: Tensors = (),
        *,
        out: Array | None = None,
        progress: Progress = None,
        executor: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Contract these tensors.

        Args:
            tensors: one array per node that is not constant, in the order of the nodes; or a
                dictionary from each such node, or its name, to its array.
            out: array of the result's shape that takes the result; it may be one of the tensors.
            progress, executor, checkpoint: as for a `Program`.

        Returns:
            an array with the open edges as axes (a NumPy scalar if there are none), or `out`; with
            strip_exponent ``(mantissa, exponent)`` of a value mantissa * 2**exponent.

        Raises:
            ShapeError: another number of arrays, or other shapes; names nodes and axes.
            ValueError: a dictionary with a node or name that is unknown, twice, or missing.
            TypeError: a dtype without kernels.
        """
        given = tensors if type(tensors) is list else self._in_order(tensors)
        target = None if self._spreads else out
        try:
            result = self._expression(
                *given, out=target, progress=progress, executor=executor, checkpoint=checkpoint
            )
        except ShapeError:
            self._complain(given)
            raise
        return self._spread(result, out) if self._spreads else result

    def map(
        self,
        batches: Iterable[Tensors],
        *,
        out: Array | None = None,
        progress: Progress = None,
    ) -> Any:
        """Call it with many sets of tensors; what only constants enter is contracted once.

        Args:
            batches: the tensors of each call; read one after the other.
            out: array of shape (runs, *shape of a result) that takes the results; it must be
                given if `batches` has no length.
            progress: True for a bar on stderr, or a callable ``(macs done, macs in all)``.

        Returns:
            an array of that shape; with strip_exponent (mantissas, exponents).

        Raises:
            ShapeError, ValueError, TypeError: as a call, naming the batch.
        """
        rows = _Rows(batches, self._in_order)
        feed = rows if isinstance(batches, Sized) else iter(rows)
        target = None if self._spreads else out
        if self._spreads and out is not None and feed is not rows:
            target = np.empty((len(out), *self._lowered.expr.output_shape), out.dtype)
        try:
            result = self._expression.map(feed, out=target, progress=progress)
        except ShapeError:
            self._complain(rows.latest, f"batch {rows.number}: ")
            raise
        return self._spread(result, out) if self._spreads else result

    def _in_order(self, tensors: Tensors) -> Sequence[Any]:
        """The arrays in the order of the nodes."""
        if not isinstance(tensors, Mapping):
            return tensors if isinstance(tensors, Sequence) else list(tensors)
        arrays: list[Any] = [None] * len(self._nodes)
        places = [self._place(key) for key in tensors]
        for place, array in zip(places, tensors.values()):
            arrays[place] = array
        if sorted(places) != list(range(len(arrays))):
            missing = [node.name for k, node in enumerate(self._nodes) if k not in places]
            twice = [self._nodes[k].name for k, times in Counter(places).items() if times > 1]
            what = f"lack that of {missing}" if missing else f"name {twice} twice"
            raise ValueError(f"the tensors {what}: give one for each of {self._listed()}")
        return arrays

    def _place(self, key: AbstractNode | str) -> int:
        if isinstance(key, str):
            named = self._named.get(key, [])
            if len(named) == 1:
                return named[0]
            why = f"the name of {len(named)} nodes: use the nodes as keys" if named else "unknown"
            raise ValueError(f"{key!r} is {why}; the tensors are those of {self._listed()}")
        place = self._places.get(key) if isinstance(key, AbstractNode) else None
        if place is None:
            raise ValueError(f"{key!r} is none of the nodes {self._listed()}, nor its name")
        return place

    def _complain(self, arrays: Sequence[Any], where: str = "") -> None:
        """Raise the ShapeError that names the node, if arrays do not fit."""
        if len(arrays) != len(self._nodes):
            raise ShapeError(
                f"{where}{len(arrays)} tensors were given for {len(self._nodes)} nodes: "
                f"{self._listed()}"
            ) from None
        for node, array in zip(self._nodes, arrays):
            if (given := shape_of(array)) != node.shape:
                raise ShapeError(where + node.complaint(given)) from None

    def _spread(self, result: Any, out: Array | None) -> Any:
        """Results whose axes repeat an index: on a diagonal, zeros elsewhere."""
        if isinstance(result, tuple):
            return spread(result[0], self._lowered, out), result[1]
        return spread(result, self._lowered, out)

    def _listed(self) -> str:
        return f"[{join_limited(map(repr, self.names))}]"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_places"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._places = WeakKeyDictionary()

    def __repr__(self) -> str:
        count = len(self._lowered.positions) - len(self._nodes)
        constants = f"{count} constant{'s' * (count != 1)}, " if count else ""
        shape = tuple([self._lowered.sizes[k] for k in self._lowered.axes])
        return f"CompiledNetwork({self._listed()}, {constants}result of shape {shape})"


class _Description(NamedTuple):
    """What errors say about a node."""

    name: str
    axis_names: list[str]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, node: AbstractNode) -> _Description:
        return cls(node.name, node.axis_names, node.shape)

    def complaint(self, shape: tuple[int, ...]) -> str:
        """What is wrong with a tensor of another shape."""
        message = f"node {self.name!r} takes a tensor of shape {self.shape}, not {shape}"
        if len(shape) != len(self.shape):
            return message
        axis = next(k for k, extent in enumerate(shape) if extent != self.shape[k])
        return f"{message}: axis {axis} ({self.axis_names[axis]!r}) has {self.shape[axis]} entries"


class _Rows:
    """Sets of tensors, brought in order one after the other; remembers the latest."""

    def __init__(self, batches: Iterable[Tensors], in_order: Callable[[Tensors], Any]) -> None:
        self._batches = batches
        self._in_order = in_order
        self.latest: Sequence[Any] = ()
        self.number = -1

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]  # asked for only if it has one

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for batch in self._batches:
            self.number += 1
            self.latest = self._in_order(batch)
            yield self.latest


class _Network(NamedTuple):
    """A network described: its nodes, what to compute, and what its indices are called."""

    nodes: list[AbstractNode]
    lowered: Lowered
    labels: tuple[Hashable, ...]


def _described(
    nodes: Iterable[AbstractNode], output_edge_order: Sequence[Edge] | None, ignore: bool
) -> _Network:
    members = unique_nodes(nodes)
    if not members:
        raise ValueError("an empty network cannot be contracted; give at least one node")
    labels = ordered(label_all(members), output_edge_order, ignore)
    lowered = lower(members, labels)
    listed = [*members, *labels.hubs]
    return _Network(listed, lowered, _index_names(listed, lowered))


def _index_names(nodes: Sequence[AbstractNode], lowered: Lowered) -> tuple[Hashable, ...]:
    """The name of the edge that each id is, where it has one of its own; else the id."""
    names: dict[int, str] = {}
    for position, term in zip(lowered.positions, lowered.terms):
        for edge, number in zip(nodes[position]._live_edges(), term):
            if edge._name != UNNAMED_EDGE:
                names.setdefault(number, edge._name)
    times = Counter(names.values())
    own = {number: name for number, name in names.items() if times[name] == 1}
    return tuple([own.get(number, number) for number in range(len(lowered.sizes))])
