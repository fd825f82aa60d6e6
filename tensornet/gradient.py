"""Gradients of a contraction: one backward sweep over its tree, compiled like the forward pass.

The gradient of a real loss L with respect to an array x is dL/dRe(x) + i dL/dIm(x), as in PyTorch:
a step against it lowers L. A value v = a * b, linear in each, whose gradient (its cotangent) is g,
gives a the gradient g * conj(b). The sweep itself conjugates nothing: the conjugate of that is
conj(g) * b, so that only the cotangent and the results are conjugated.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from math import prod
from operator import index
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import DTypeLike

from ._gradient import GradientExecutor, Saved, conjugate
from .arrays import Array, as_array, as_arrays, check_dtype, converted, result_dtype
from .config import check_threads, get_num_threads
from .errors import ShapeError
from .expr import Expr
from .planner import Tree
from .program import check_available, fitting_operands, recall
from .progress import Progress, progress_bar
from .road import find_program, hashable_optimize

__all__ = ["GradientProgram", "contraction_gradients", "lower_gradient", "recent_gradient"]


class GradientProgram:
    """A contraction tree and its backward sweep, compiled for one dtype.

    Immutable, and safe to call from many threads at once. Make one with `lower_gradient`.

    Attributes:
        tree: the contraction tree.
        dtype: of operands, cotangent and results: floating or complex.
        needed: the operands whose gradients are computed, ascending.
        threads: how many threads a run uses.
        n_slices: how many slices are summed.
        macs: scalar multiply-adds of value and gradients together: at most three times those of
            the value alone. What only gradients that are not needed depend on is left out.
        memory_required: bytes that a call allocates, results included, exactly, if its arrays are
            of the program's dtype and in C order. Beyond the results it is what a slice takes,
            with the intermediates that the way back reads.
        accepts: ``accepts(arrays)`` tells whether a tuple holds one plain array of just the right
            dtype and shape per operand, so that a run takes them as they are.
    """

    def __init__(
        self, tree: Tree, dtype: np.dtype[Any], threads: int, needed: Sequence[int]
    ) -> None:
        if dtype.kind not in "fc":
            raise TypeError(f"gradients need a floating or complex dtype, not {dtype}")
        n = len(tree.expr.inputs)
        for operand in needed:
            if not 0 <= operand < n:
                raise ValueError(f"needed names operand {operand}, but there are {n}")
        self.tree = tree
        self.dtype = dtype
        self.needed = tuple(sorted(set(needed)))
        if not self.needed:
            raise ValueError("no gradient is needed; compile the tree with lower instead")
        self._executor = GradientExecutor(
            tree.expr, tree.steps, tree.sliced, dtype, _kept(tree), threads, False, self.needed
        )
        self.accepts = self._executor.accepts
        facts = self._executor.info
        shapes = tree.expr.shapes
        results = [tree.expr.output_shape, *[shapes[k] for k in self.needed]]
        self._complex = dtype.kind == "c"
        self.threads: int = max(facts["threads"], facts["workers"])
        self.n_slices: int = facts["slices"]
        self.macs = int(facts["macs"])
        if self._complex:
            results.append(tree.expr.output_shape)  # of the conjugate cotangent
        entries = sum([prod(shape) for shape in results])
        workspace: int = facts["arena_bytes"] + facts["saved_bytes"]
        self.memory_required = workspace + entries * dtype.itemsize

    def __call__(
        self, arrays: Sequence[Any], cotangent: Any, *, progress: Progress = None
    ) -> tuple[Array, list[Array]]:
        """The value, and the gradients of what is needed, in one run.

        Args:
            arrays: one per operand, of the shapes of the network, with any strides.
            cotangent: the gradient of the loss with respect to the value, of its shape; with 1 for
                a value without axes, gradients for another cotangent are those times it.
            progress: True for a bar on stderr, or a function of (macs done, macs in all).

        Returns:
            the value, and one new array per operand in `needed`, of its shape.

        Raises:
            ShapeError, TypeError: arrays that do not fit; says which.
            MemoryLimitError: more memory is needed than there is.

        >>> tree = Tree(Expr(((0,), (0,)), (), (2,)), ((0, 1),))
        >>> program = lower_gradient(tree, "float64", [0])
        >>> value, gradients = program(([1.0, 2.0], [3.0, 4.0]), 1.0)
        >>> float(value), gradients
        (11.0, [array([3., 4.])])
        """
        return self._sweep(arrays, cotangent, True, progress)

    def gradients(
        self, arrays: Sequence[Any], cotangent: Any, *, progress: Progress = None
    ) -> list[Array]:
        """The gradients alone, without what only the value needs: the rest is as in a call."""
        return self._sweep(arrays, cotangent, False, progress)[1]

    def forward(self, arrays: Sequence[Any], *, progress: Progress = None) -> tuple[Array, Saved]:
        """The value, and what `backward` needs to go on from there, for plans without slices.

        Returns:
            the value, and the intermediates with the operands themselves (``saved.nbytes``,
            ``saved.arrays``), which must not be changed before `backward` has read them.

        Raises:
            ValueError: the plan has slices, whose intermediates are never all there.
            ShapeError, TypeError, MemoryLimitError: as in a call.

        Both halves together take the time of a call.

        >>> tree = Tree(Expr(((0,), (0,)), (), (2,)), ((0, 1),))
        >>> program = lower_gradient(tree, "float64", [0, 1])
        >>> value, saved = program.forward(([1.0, 2.0], [3.0, 4.0]))
        >>> program.backward(saved, 2.0)
        [array([6., 8.]), array([2., 4.])]
        """
        if self.tree.sliced:
            raise ValueError(
                f"this plan has {self.n_slices} slices, whose intermediates are never all there: "
                "call the program, which gives the value and the gradients at once"
            )
        check_available(self.memory_required)
        operands = self._operands(arrays)
        if not progress:
            value, saved = self._executor.forward(operands)
        else:
            with self._bar(progress) as report:
                value, saved = self._executor.forward(operands, report)
        return value, saved

    def backward(self, saved: Saved, cotangent: Any, *, progress: Progress = None) -> list[Array]:
        """The gradients, from what `forward` of this program has left; may be called again."""
        incoming = self._cotangent(cotangent)
        if not progress:
            return self._finished(self._executor.backward(saved, incoming))
        with self._bar(progress) as report:
            return self._finished(self._executor.backward(saved, incoming, report))

    def _sweep(
        self, arrays: Sequence[Any], cotangent: Any, wanted: bool, progress: Progress
    ) -> tuple[Any, list[Array]]:
        check_available(self.memory_required)
        operands, incoming = self._operands(arrays), self._cotangent(cotangent)
        if not progress:
            value, gradients = self._executor.sweep(operands, incoming, wanted)
        else:
            with self._bar(progress) as report:
                value, gradients = self._executor.sweep(operands, incoming, wanted, report)
        return value, self._finished(gradients)

    def _bar(self, progress: Progress) -> Any:
        outside = self._executor.info["invariant_macs"]
        return progress_bar(progress, self.n_slices, outside, 8 if self._complex else 2)

    def _operands(self, arrays: Sequence[Any]) -> tuple[Array, ...]:
        given = tuple(arrays)
        if self._executor.accepts(given):
            return given
        return fitting_operands(given, self._executor.shapes, self.dtype)

    def _cotangent(self, cotangent: Any) -> Array:
        """The cotangent in C order; its conjugate, if it is complex."""
        given = as_array(cotangent, "the cotangent")
        if given.shape != self._executor.output_shape:
            raise ShapeError(
                f"the cotangent has shape {given.shape} but the value has "
                f"{self._executor.output_shape}"
            )
        if given.dtype != self.dtype and not np.can_cast(given.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"the cotangent has dtype {given.dtype}, which a program for {self.dtype} does not "
                "accept"
            )
        if self._complex:
            return np.asarray(np.conjugate(given, dtype=self.dtype, order="C"))
        return np.asarray(given, self.dtype, order="C")

    def _finished(self, gradients: list[Array]) -> list[Array]:
        if self._complex:
            conjugate(gradients)
        return gradients

    @property
    def footprint(self) -> int:
        """Bytes that the program takes between runs, roughly, as of a `Program`."""
        variant = 4096 + 1200 * len(self.tree.steps) + min(self.memory_required, 64 << 10)
        compiled: int = self._executor.n_compiled
        return compiled * variant

    def steps(self) -> list[str]:
        """One line per compiled step: slice level, kernel, group sizes."""
        lines: list[str] = self._executor.step_lines()
        return lines

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.tree, self.dtype, self.needed, self.threads)

    def __repr__(self) -> str:
        return (
            f"GradientProgram({len(self.needed)} of {len(self.tree.expr.inputs)} operands, "
            f"{self.dtype}, {self.n_slices} slices, {self.memory_required} bytes)"
        )


def _rebuilt(
    tree: Tree, dtype: np.dtype[Any], needed: Sequence[int], threads: int
) -> GradientProgram:
    return lower_gradient(tree, dtype, needed, threads=threads)


def _kept(tree: Tree) -> int:
    """Entries of all intermediates of a slice, beside which sums of chunks shall be small."""
    if not tree.sliced:
        return 0
    sizes, kept = tree.expr.sizes, 0
    for _, _, result in tree.step_terms():
        kept += prod([sizes[i] for i in result])
    return min(kept, 1 << 60)


def lower_gradient(
    tree: Tree, dtype: Any, needed: Iterable[int], *, threads: int | None = None
) -> GradientProgram:
    """Compile a contraction tree with its backward sweep; recently compiled ones are reused.

    Args:
        tree: what to contract, in which order, sliced how.
        dtype: a floating or complex one of `arrays.SUPPORTED_DTYPES`; float16 is computed in
            float32.
        needed: the operands whose gradients are wanted.
        threads: how many threads a run may use; default `config.get_num_threads()`.

    Raises:
        TypeError: an integer dtype, or one without kernels.
        ValueError: `needed` is empty, or names an operand that is not there; an impossible number
            of threads.
        MemoryLimitError: an intermediate that no machine could hold.

    Takes about three microseconds per step.
    """
    checked = check_dtype(dtype)
    wanted = tuple(sorted({*map(index, needed)}))
    count = check_threads(threads) or get_num_threads()
    key = "gradient", tree, checked.num, wanted, count
    return recall(key, lambda: GradientProgram(tree, checked, count, wanted))


def recent_gradient(tree: Tree, dtype: np.dtype[Any], needed: tuple[int, ...]) -> GradientProgram:
    """`lower_gradient` for those who ask often: the latest answer is found at once."""
    key = tree, dtype, needed, get_num_threads()
    program = _latest.get(key, _nothing)()
    if program is None:
        program = lower_gradient(tree, dtype, needed)
        _remember(key, program)
    return program


def contraction_gradients(
    network: Expr | Tree,
    operands: Sequence[Any],
    cotangent: Any,
    needed: Iterable[int] | None = None,
    *,
    optimize: Any = "auto",
    dtype: DTypeLike | None = None,
) -> list[Array]:
    """The gradients of a contraction with respect to its operands: what a rule of a tape calls.

    Args:
        network: a contraction tree, or the network, which is then planned as `einsum` plans it.
        operands: one array per operand, of the shapes of the network, with any strides.
        cotangent: the gradient of a real loss with respect to the value, of its shape.
        needed: the operands whose gradients are wanted; default all.
        optimize: how to plan a network, as in `einsum`.
        dtype: of the computation, that of the value; default NumPy's result type of the operands.

    Returns:
        a new array per needed operand, in ascending order, of its shape and dtype: for a real
        operand among complex ones the real part.

    Raises:
        ShapeError, TypeError: arrays that do not fit; an operand of an integer dtype is needed.
        MemoryLimitError: more memory is needed than there is.

    Costs twice the multiply-adds of the value and those of its intermediates; for two operands, two
    products.

    >>> product = Expr(((0, 1), (1,)), (0,), (2, 2))
    >>> contraction_gradients(product, (np.eye(2), np.array([3.0, 4.0])), np.ones(2))
    [array([[3., 4.],
           [3., 4.]]), array([1., 1.])]
    """
    given = tuple(operands)
    wanted = tuple(range(len(given)) if needed is None else needed)
    first = given[0] if given else None
    kind = getattr(first, "dtype", None) if dtype is None else np.dtype(dtype)
    key = network, wanted, hashable_optimize(optimize), kind, get_num_threads()
    found = _latest.get(key, _nothing)()
    if found is not None and found.accepts(given):
        return found.gradients(given, cotangent)
    arrays = as_arrays(given)
    program, made = _planned_gradients(network, arrays, cotangent, wanted, optimize, dtype)
    if program is not None and program.dtype == kind and isinstance(optimize, (str, bool)):
        _remember(key, program)
    return made


# The program of the latest gradients with some key, if it is still there. It looks at dtypes and
# shapes itself.
_latest: dict[Hashable, Callable[[], GradientProgram | None]] = {}
_RECALLED = 256  # how many of them


def _remember(key: Hashable, program: GradientProgram) -> None:
    if len(_latest) >= _RECALLED:
        _latest.clear()
    _latest[key] = ref(program)


def _nothing() -> None:
    return None


def _planned_gradients(
    network: Expr | Tree,
    arrays: Sequence[Array],
    cotangent: Any,
    needed: Sequence[int],
    optimize: Any,
    dtype: DTypeLike | None,
) -> tuple[GradientProgram | None, list[Array]]:
    """The gradients of `contraction_gradients`, and the program that made them, if any."""
    wanted = sorted(set(needed))
    dtypes = [array.dtype for array in arrays]
    for operand in wanted:
        if operand < len(dtypes) and dtypes[operand].kind not in "fc":
            raise TypeError(
                f"operand {operand} has dtype {dtypes[operand]}: only floating and complex arrays "
                "have gradients"
            )
    if not wanted:
        return None, []
    target = result_dtype(dtypes, dtype, "unsafe")  # what casts are allowed, the value has said
    tree = network if isinstance(network, Tree) else find_program(network, target, optimize).tree
    program = lower_gradient(tree, target, wanted)
    made = program.gradients(converted(arrays, target), cotangent)
    return program, [_as_dtype(gradient, dtypes[k]) for gradient, k in zip(made, wanted)]


def _as_dtype(gradient: Array, dtype: np.dtype[Any]) -> Array:
    if gradient.dtype == dtype:
        return gradient
    if gradient.dtype.kind == "c" and dtype.kind != "c":
        gradient = gradient.real
    return gradient.astype(dtype)
