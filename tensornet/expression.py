"""ContractExpression: an einsum that is planned once and called many times, constants folded."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from math import inf, prod
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import config
from .errors import ShapeError
from .expr import Equation, bind_equation, from_labels, parse_einsum
from .planner import Tree
from .plans import Plan, find_tree, plan_expr
from .program import Program
from .road import (
    Array,
    Path,
    Progress,
    Running,
    check_backend,
    check_out,
    converted,
    drop_axes,
    finished,
    is_fortran,
    result_dtype,
    run_program,
)
from .tables import format_term

__all__ = ["ContractExpression", "contract_expression"]


def contract_expression(
    subscripts: Any,
    *shapes: Any,
    constants: Collection[int] | None = None,
    optimize: Any = "auto",
    memory_limit: int | str | None = None,
    use_blas: bool | None = None,
    dtype: DTypeLike | None = None,
    order: str | None = "K",
    casting: Any = "safe",
    strip_exponent: bool = False,
    seed: int = 0,
) -> ContractExpression:
    """Plan an einsum once, to be called with many sets of arrays; opt_einsum's signature.

    Args:
        subscripts, shapes: as for `einsum`, in either form, with shapes instead of arrays.
        constants: positions at which an array stands instead of a shape. What only constants
            enter is contracted once.
        optimize: as for `einsum`; the search runs here and now.
        memory_limit: entries of the largest intermediate, as in opt_einsum ("max_input": as
            many as the largest operand has); as text such as "512MB", bytes of a run.
        use_blas: ignored, for compatibility.
        dtype, order, casting, strip_exponent: as for `einsum`.

    Returns:
        a callable ``expression(*arrays, out=None)``; arrays must have just these shapes.

    Raises:
        ShapeError: malformed subscripts, shapes that do not fit, positions that do not exist.
        PlanError: `optimize` names no search, or its path does not contract this network.

    >>> matmul = contract_expression("ab,bc->ac", (2, 3), (3, 4))
    >>> matmul(np.ones((2, 3)), np.ones((3, 4))).shape
    (2, 4)
    """
    equation, given = parse_einsum((subscripts, *shapes))
    positions = {as_int(k) for k in constants or ()}
    for k in positions:
        if not 0 <= k < len(given):
            raise ShapeError(f"constants names operand {k}, but there are {len(given)} operands")
    arrays = {k: np.array(given[k]) for k in sorted(positions)}
    sizes = [arrays[k].shape if k in arrays else _shape(k, x) for k, x in enumerate(given)]
    order = order or "K"
    is_fortran(order, ())  # complains of an unknown order
    limits = _limits(memory_limit, sizes)
    return ContractExpression(
        equation, sizes, arrays, optimize, seed, limits, strip_exponent, dtype, order, casting
    )


def _shape(position: int, given: Any) -> tuple[int, ...]:
    try:
        return tuple([as_int(extent) for extent in given])
    except TypeError:
        raise ShapeError(
            f"operand {position} must be given by its shape, a tuple of whole numbers "
            f"(or be an array and in constants=), not {type(given).__name__}"
        ) from None


def _limits(memory_limit: Any, shapes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """opt_einsum's memory_limit as options of `plan_expr`."""
    if memory_limit is None or memory_limit == -1:
        return {}
    if memory_limit == "max_input":
        return {"max_entries": max(1, *[prod(shape) for shape in shapes])}
    if isinstance(memory_limit, str):
        return {"memory_limit": config.parse_bytes(memory_limit)}
    if not isinstance(memory_limit, (int, float, np.integer, np.floating)):
        raise TypeError(f"memory_limit is a number of entries or text, not {memory_limit!r}")
    if not 1 <= memory_limit < inf:
        raise ValueError(f"memory_limit must be at least 1 entry, not {memory_limit!r}")
    return {"max_entries": int(memory_limit)}


class _Prepared(NamedTuple):
    """A ContractExpression made ready for one dtype."""

    program: Program
    folded: tuple[Array, ...]  # operands of the program that follow the variable ones
    threads: int


class ContractExpression:
    """An einsum of fixed shapes, planned once; call it with the arrays that are not constant.

    It may be called from many threads at once. Constants are copied when it is made; what only
    they enter is contracted at the first call with operands of a dtype.

    >>> expression = contract_expression("ab,bc->ac", np.eye(2), (2, 3), constants=[0])
    >>> expression
    <ContractExpression('[ab],bc->ac', constants=[0])>
    >>> expression(np.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(
        self,
        equation: Equation,
        shapes: Sequence[tuple[int, ...]],
        constants: dict[int, Array],
        optimize: Any,
        seed: int,
        limits: dict[str, Any],
        strip_exponent: bool,
        dtype: DTypeLike | None,
        order: str,
        casting: Any,
    ) -> None:
        expr, labels, dropped = bind_equation(equation, shapes)
        tree = find_tree(expr, optimize, seed=seed, memory_limit=limits.get("max_entries"))
        self.contraction = _format(equation, constants)
        self.num_args = len(shapes) - len(constants)
        self._labels = labels
        self._tree = tree
        self._limits = limits
        self._strip = strip_exponent
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._order = order
        self._casting = casting
        self._positions = [k for k in range(len(shapes)) if k not in constants]
        self._shapes = [shapes[k] for k in self._positions]
        self._dropped = None if dropped is None else [dropped[k] for k in self._positions]
        self._constants = constants
        if dropped is not None:
            views = drop_axes(list(constants.values()), [dropped[k] for k in constants])
            self._constants = dict(zip(constants, views))
        self._prepared: dict[Any, _Prepared] = {}
        self._latest: _Prepared | None = None  # of calls that need nothing but the Program
        self._lock = threading.Lock()

    @property
    def plan(self) -> Plan:
        """The plan of the whole contraction, constants included."""
        constant = [array.dtype for array in self._constants.values()]
        dtype = self._dtype or np.result_type(np.float64, *dict.fromkeys(constant))
        made = plan_expr(
            self._tree.expr, self._tree, dtype=dtype, strip_exponent=self._strip, **self._limits
        )
        return replace(made, labels=self._labels)

    def __call__(
        self,
        *arrays: Any,
        out: Array | None = None,
        backend: str | None = None,
        progress: Progress = None,
        executor: Any = None,
        checkpoint: Path | None = None,
    ) -> Any:
        """Contract these arrays, given in the order of the operands that are not constant.

        Args:
            out: array of the result's shape that takes the result; it may be an operand.
            backend: None, "auto" or "numpy"; for compatibility.
            progress: True for a bar on stderr, or a callable ``(done, total)``.
            executor, checkpoint: where slices run, and a file to continue from, as in `Program`.

        Raises:
            ShapeError: another number of arrays, or other shapes, than it was made for.
            TypeError: a dtype without kernels, or a cast that `casting` forbids.
        """
        check_backend(backend)
        plainly = progress is None and executor is None and checkpoint is None
        latest = self._latest if plainly else None
        if latest is not None and out is None and latest.threads == config.get_num_threads():
            ready = (*arrays, *latest.folded)
            if latest.program.accepts(ready):
                return finished(latest.program(*ready), False)
        return self._call(arrays, out, Running(progress, executor, checkpoint))

    def _call(self, arrays: Sequence[Any], out: Array | None, running: Running) -> Any:
        """A call with arrays of any dtype; remembers what another of the same kind needs."""
        operands = [x if type(x) is np.ndarray else np.asarray(x) for x in arrays]
        if [a.shape for a in operands] != self._shapes:
            raise ShapeError(self._complaint(operands))
        dtypes = [a.dtype for a in operands]
        if out is not None and self._dtype is None:
            dtypes.append(check_out(out))
        reverse = out is None and is_fortran(self._order, operands)
        key = frozenset(dtypes), reverse, config.get_num_threads()
        prepared = self._prepared.get(key)
        if prepared is None:
            with self._lock:
                prepared = self._prepare(dtypes, key)
        if self._dropped is not None:
            operands = drop_axes(operands, self._dropped)
        elif self._order in "KkCc":
            self._latest = prepared
        program = prepared.program
        ready = [*converted(operands, program.dtype), *prepared.folded]
        result = run_program(program, ready, out, self._casting, running)
        return result if out is not None else finished(result, reverse)

    def _prepare(self, dtypes: Sequence[np.dtype[Any]], key: Any) -> _Prepared:
        """Fold the constants and compile what is left; called with the lock held."""
        if key in self._prepared:
            return self._prepared[key]
        known = list(dtypes)  # of the operands in order, perhaps of `out` behind them
        for position, array in self._constants.items():
            known.insert(position, array.dtype)
        dtype = result_dtype(known, self._dtype, self._casting)
        threads = config.get_num_threads()
        same = (dtype, key[1], threads)
        if same not in self._prepared:
            options = {"dtype": dtype, "threads": threads, **self._limits}
            folds, rest = fold_tree(
                self._tree, self._constants.keys(), self._max_fold(dtype.itemsize)
            )
            folded = []
            for fold in folds:
                program = plan_expr(fold.tree.expr, fold.tree, **options).compile()
                operands = [self._constants[k] for k in fold.operands]
                folded.append(program(*converted(operands, dtype)))
            if key[1]:
                expr = replace(rest.expr, output=rest.expr.output[::-1])
                rest = replace(rest, expr=expr)
            plan = plan_expr(rest.expr, rest, strip_exponent=self._strip, **options)
            self._prepared[same] = _Prepared(plan.compile(), tuple(folded), threads)
        self._prepared[key] = self._prepared[same]
        return self._prepared[same]

    def _max_fold(self, itemsize: int) -> int | None:
        """No more entries are kept for a fold than a run may use for an intermediate."""
        if "memory_limit" in self._limits:
            return int(self._limits["memory_limit"]) // itemsize
        limit: int | None = self._limits.get("max_entries")
        return limit

    def _complaint(self, operands: Sequence[Array]) -> str:
        if len(operands) != self.num_args:
            constant = f" besides {len(self._constants)} constant" if self._constants else ""
            return (
                f"{self!r} takes {self.num_args} array{'s' * (self.num_args != 1)}{constant}, "
                f"not {len(operands)}"
            )
        k = next(k for k, a in enumerate(operands) if a.shape != self._shapes[k])
        return (
            f"array {k} (operand {self._positions[k]}) has shape {operands[k].shape}, but the "
            f"expression was made for shape {self._shapes[k]}"
        )

    def __repr__(self) -> str:
        shown = f", constants={sorted(self._constants)}" if self._constants else ""
        return f"<ContractExpression({_short(self.contraction)!r}{_short(shown)})>"

    def __str__(self) -> str:
        return f"{self!r}\n{self.plan}"


class Fold(NamedTuple):
    """A part of a tree that only constants enter."""

    operands: tuple[int, ...]  # the constants, as operand numbers of the whole network
    tree: Tree


def fold_tree(
    tree: Tree, constants: Collection[int], max_entries: int | None
) -> tuple[list[Fold], Tree]:
    """Cut the largest subtrees that only constants enter out of a tree.

    No fold of several operands has more than `max_entries`, for it is kept in memory.

    Returns:
        the folds, and the rest of the tree: its inputs are the operands that are variable, in
        order, and then the folds.

    Complexity: linear in the size of the network.
    """
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


def _format(equation: Equation, constants: Collection[int]) -> str:
    """The equation as text, runs of constants in brackets."""
    terms = [format_term(term) for term in equation.inputs]
    text = ",".join([f"[{term}]" if k in constants else term for k, term in enumerate(terms)])
    output = "" if equation.output is None else "->" + format_term(equation.output)
    return text.replace("],[", ",") + output


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
