"""ContractExpression: an einsum that is planned once and called many times, constants folded."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from functools import partial
from itertools import chain
from math import inf, prod
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import config
from .arrays import (
    Array,
    as_array,
    as_arrays,
    check_backend,
    check_out,
    converted,
    drop_axes,
    result_dtype,
)
from .batches import Shared, contract_folds, entries_of_folds, run_batches
from .errors import MemoryLimitError, ShapeError
from .expr import Equation, bind_equation, parse_einsum
from .planner import Tree, fold_tree, one_run, repeated, unwrapped
from .planning import find_tree, plan_expr
from .plans import Plan
from .program import Program
from .progress import Progress
from .road import (
    Path,
    Running,
    find_within,
    finished,
    is_fortran,
    memory_of_run,
    run_program,
)
from .tables import format_term
from .tape import any_tensor, apply

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
    minimize: str = "macs",
    runs: int = 1,
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
        dtype, order, casting, strip_exponent, minimize: as for `einsum`.
        runs: how many calls to plan for, such as those of one `map`: what only constants enter
            counts once, so that they are contracted among themselves as far as that pays.

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
    arrays = {k: np.array(as_array(given[k], f"operand {k}")) for k in sorted(positions)}
    sizes = [arrays[k].shape if k in arrays else _shape(k, x) for k, x in enumerate(given)]
    order = order or "K"
    is_fortran(order, ())  # complains of an unknown order
    limits = _limits(memory_limit, sizes)
    search = {"optimize": optimize, "seed": seed, "minimize": minimize}
    return ContractExpression(
        equation, sizes, arrays, search, runs, limits, strip_exponent, dtype, order, casting
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
    exponent: float  # of the product of these
    threads: int

    @property
    def kept(self) -> int:
        """Bytes that the folds take from call to call."""
        return sum([array.nbytes for array in self.folded])


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
        search: dict[str, Any],
        runs: int,
        limits: dict[str, Any],
        strip_exponent: bool,
        dtype: DTypeLike | None,
        order: str,
        casting: Any,
    ) -> None:
        expr, labels, dropped = bind_equation(equation, shapes)
        self._positions = [k for k in range(len(shapes)) if k not in constants]
        given = isinstance(unwrapped(search["optimize"]), Tree)
        many = expr if given else repeated(expr, constants.keys(), runs)
        tree = find_tree(many, memory_limit=limits.get("max_entries"), **search)
        tree = one_run(tree, expr)
        self.contraction = _format(equation, constants)
        self.num_args = len(shapes) - len(constants)
        self._labels = labels
        self._tree = tree
        self._limits = limits
        self._strip = strip_exponent
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._order = order
        self._casting = casting
        self._shapes = [shapes[k] for k in self._positions]
        self._dropped = None if dropped is None else [dropped[k] for k in self._positions]
        self._constants = constants
        if dropped is not None:
            views = drop_axes(list(constants.values()), [dropped[k] for k in constants])
            self._constants = dict(zip(constants, views))
        self._forget()

    def _forget(self) -> None:
        """Be as before the first call."""
        self._prepared: dict[Any, _Prepared] = {}
        self._latest: _Prepared | None = None  # of calls that need nothing but the Program
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        made_by_calls = ("_prepared", "_latest", "_lock")
        return {name: value for name, value in vars(self).items() if name not in made_by_calls}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

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
        if backend != "auto":  # opt_einsum's word for the library of the arrays
            check_backend(backend)
        plainly = progress is None and executor is None and checkpoint is None
        latest = self._latest if plainly else None
        if latest is not None and latest.threads == config.get_num_threads():
            given = (*arrays, *latest.folded)
            quick = latest.program.quick(given, out)
            if quick is not None:
                return quick if quick.ndim or out is not None else quick[()]
            if out is None and latest.program.accepts(given):
                result = latest.program(*given)
                if latest.exponent:
                    result = result[0], result[1] + latest.exponent
                return finished(result, False)
        if out is None and any_tensor(arrays):
            options = Running(progress, executor, checkpoint)._asdict()
            return apply(call_expression, (self, *arrays), options)
        operands = self._operands(arrays)
        reverse = out is None and is_fortran(self._order, operands)
        prepared, ready = self._fitting(operands, out, reverse)
        limited = "memory_limit" in self._limits  # then strides matter
        if self._dropped is None and not limited and self._order in "KkCc":
            self._latest = prepared
        given = (*ready, *prepared.folded)
        running = Running(progress, executor, checkpoint)
        result = run_program(prepared.program, given, out, self._casting, running)
        if prepared.exponent:
            result = result[0], result[1] + prepared.exponent
        return result if out is not None else finished(result, reverse)

    def map(
        self,
        batches: Iterable[Sequence[Any]],
        *,
        out: Array | None = None,
        progress: Progress = None,
    ) -> Any:
        """Call it with many sets of arrays, of the dtypes of the first; results side by side.

        Args:
            batches: for each run the arrays of a call; read one after the other.
            out: array of shape (runs, *shape of a result) that takes the results; it must be
                given if `batches` has no length.
            progress: True for a bar on stderr, or a callable ``(macs done, macs in all)``.

        Returns:
            an array of that shape in C order; with strip_exponent (mantissas, exponents).

        >>> outer = contract_expression("a,b->ab", [1, 10], (2,), constants=[0])
        >>> outer.map([[np.array([1, 2])], [np.array([3, 4])]]).tolist()
        [[[1, 2], [10, 20]], [[3, 4], [30, 40]]]
        """
        count = len(batches) if isinstance(batches, Sized) else None
        rows = iter(batches)
        first = next(rows, None)
        if first is None:  # there is no run, but a result, whose dtype is a guess
            kind = self.plan.dtype
            operands = [np.broadcast_to(np.zeros((), kind), shape) for shape in self._shapes]
        else:
            operands = self._operands(first)
            rows = chain([first], rows)
        prepared, _ = self._fitting(operands, out, False)
        if self._dropped is not None or self._casting == "unsafe":
            rows = self._fitted(rows, prepared.program.dtype)
        shared = Shared(prepared.folded, prepared.exponent)
        return run_batches(prepared.program, rows, count, shared, out, progress)

    def _fitted(
        self, batches: Iterable[Sequence[Any]], dtype: np.dtype[Any]
    ) -> Iterator[list[Array]]:
        for arrays in batches:
            operands = self._operands(arrays)
            if self._dropped is not None:
                operands = drop_axes(operands, self._dropped)
            yield converted(operands, dtype)

    def _operands(self, arrays: Sequence[Any]) -> list[Array]:
        operands = as_arrays(arrays)
        if [a.shape for a in operands] != self._shapes:
            raise ShapeError(self._complaint(operands))
        return operands

    def _fitting(
        self, operands: list[Array], out: Array | None, reverse: bool
    ) -> tuple[_Prepared, list[Array]]:
        """What a call runs that keeps to the limit, and its operands ready for that."""
        limit = self._limits.get("memory_limit")
        find = partial(self._prepared_for, operands, out, reverse)
        prepared = find(limit)
        given = operands if self._dropped is None else drop_axes(operands, self._dropped)
        ready = converted(given, prepared.program.dtype)
        if limit is None:
            return prepared, ready
        whole = None if out is not None and out.ndim != len(self._tree.expr.output) else out

        def needs(found: _Prepared) -> int:
            before, after = (*given, *found.folded), (*ready, *found.folded)
            return found.kept + memory_of_run(before, after, whole, found.program)

        return find_within(limit, find, needs), ready

    def _prepared_for(
        self, operands: Sequence[Array], out: Array | None, reverse: bool, limit: int | None
    ) -> _Prepared:
        """What calls with operands of these dtypes need, made at the first of them."""
        dtypes = [a.dtype for a in operands]
        if out is not None and self._dtype is None:
            dtypes.append(check_out(out))
        key = frozenset(dtypes), reverse, limit, config.get_num_threads()
        prepared = self._prepared.get(key)
        if prepared is None:
            with self._lock:
                prepared = self._prepare(dtypes, key)
        return prepared

    def _prepare(self, dtypes: Sequence[np.dtype[Any]], key: Any) -> _Prepared:
        """Fold the constants and compile what is left; called with the lock held."""
        if key in self._prepared:
            return self._prepared[key]
        known = list(dtypes)  # of the operands in order, perhaps of `out` behind them
        for position, array in self._constants.items():
            known.insert(position, array.dtype)
        dtype = result_dtype(known, self._dtype, self._casting)
        same = (dtype, *key[1:])
        if same not in self._prepared:
            most = self._limits.get("max_entries")
            if key[2] is not None:  # half of the memory of a run may be kept for folds
                most = key[2] // (2 * dtype.itemsize)
            try:
                made = self._fold(entries_of_folds(dtype, most), *same)
            except MemoryLimitError:  # what is kept left too little for the rest
                made = self._fold(0, *same)
            self._prepared[same] = made
        self._prepared[key] = self._prepared[same]
        return self._prepared[same]

    def _fold(
        self,
        most: int | None,
        dtype: np.dtype[Any],
        reverse: bool,
        limit: int | None,
        threads: int,
    ) -> _Prepared:
        """Contract what only constants enter, of at most so many entries; compile the rest."""
        folds, rest = fold_tree(self._tree, self._constants.keys(), most)
        options = {**self._limits, "dtype": dtype, "threads": threads}
        if limit is not None:
            kept = sum([prod(fold.tree.expr.output_shape) for fold in folds])
            options["memory_limit"] = max(0, limit - kept * dtype.itemsize)

        def compiled(tree: Tree) -> Program:
            return plan_expr(tree.expr, tree, strip_exponent=self._strip, **options).compile()

        constants = dict(zip(self._constants, converted([*self._constants.values()], dtype)))
        shared = contract_folds(folds, constants, compiled)
        if reverse:
            rest = replace(rest, expr=replace(rest.expr, output=rest.expr.output[::-1]))
        return _Prepared(compiled(rest), *shared, threads)

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

    def network(
        self, arrays: Sequence[Any]
    ) -> tuple[Tree, list[Any], list[int], np.dtype[Any] | None]:
        """The tree of the whole contraction, all of its operands, where `arrays` are in it, and
        the dtype that it was made for, if any.

        Args:
            arrays: of a call; arrays or Tensors.
        """
        operands = dict(zip(self._positions, arrays))
        ordered = [
            operands.get(k, self._constants.get(k)) for k in range(len(self._tree.expr.inputs))
        ]
        return self._tree, ordered, self._positions, self._dtype

    def __repr__(self) -> str:
        shown = f", constants={sorted(self._constants)}" if self._constants else ""
        return f"<ContractExpression({_short(self.contraction)!r}{_short(shown)})>"

    def __str__(self) -> str:
        return f"{self!r}\n{self.plan}"


def call_expression(expression: ContractExpression, *operands: Any, **options: Any) -> Any:
    """A call as an operation, whose operands are arguments of their own."""
    return expression(*operands, **options)


def _format(equation: Equation, constants: Collection[int]) -> str:
    """The equation as text, runs of constants in brackets."""
    terms = [format_term(term) for term in equation.inputs]
    text = ",".join([f"[{term}]" if k in constants else term for k, term in enumerate(terms)])
    output = "" if equation.output is None else "->" + format_term(equation.output)
    return text.replace("],[", ",") + output


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
