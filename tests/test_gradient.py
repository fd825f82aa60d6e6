"""Value and gradients of a contraction in one sweep, against the product of all other operands."""

from __future__ import annotations

import pickle
import signal
import threading
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_backends import random_network, sliced_at_random
from test_einsum_fuzz import fuzz, networks
from test_planner import lattice

import tensornet as tn
from tensornet._kernels import kept, trim
from tensornet.expr import Expr, from_labels
from tensornet.gradient import GradientProgram, contraction_gradients, lower_gradient
from tensornet.planner import Tree
from tensornet.program import lower

INEXACT = ["float16", "float32", "float64", "complex64", "complex128"]
TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "complex64": 1e-4}


def values(rng: np.random.Generator, shape: Any, dtype: str) -> np.ndarray[Any, Any]:
    """Entries of which products stay within the range of float16."""
    made = rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)
    if np.dtype(dtype).kind == "c":
        made = made + 1j * rng.uniform(-1, 1, shape)
    return np.asarray(made, dtype)


def random_tree(rng: np.random.Generator, expr: Expr, n_sliced: int = 0) -> Tree:
    live, steps = list(range(len(expr.inputs))), []
    while len(live) > 1:
        pair = [live.pop(int(rng.integers(len(live)))) for _ in range(2)]
        live.append(len(expr.inputs) + len(steps))
        steps.append((pair[0], pair[1]))
    sliced = [int(i) for i in rng.permutation(len(expr.sizes))[:n_sliced]]
    return Tree(expr, tuple(steps), tuple(sliced))


def assert_gradients(
    got: list[Any], expr: Expr, arrays: list[Any], cotangent: Any, needed: Any
) -> None:
    """Each gradient within rounding of what the product of the others is."""
    dtype = np.result_type(*arrays)
    wide = "complex128" if dtype.kind == "c" else "float64"
    exact = [a.astype(wide) for a in arrays]
    absolute = [np.abs(a) for a in exact]
    cotangent = np.asarray(cotangent, wide)
    for gradient, k in zip(got, needed, strict=True):
        want = oracle.gradient(expr, exact, cotangent, k)
        scale = oracle.gradient(expr, absolute, np.abs(cotangent), k)
        assert gradient.shape == expr.shapes[k]
        assert gradient.dtype == arrays[k].dtype
        bound = TOLERANCE.get(str(dtype), 1e-11) * (scale + 1e-3)
        assert (np.abs(gradient - want) <= bound).all()


# Against the definition


@fuzz
@given(st.data())
def test_gradients_are_the_product_of_all_others(data: st.DataObject) -> None:
    expr = data.draw(networks(max_operands=5, max_axes=4))
    dtype = data.draw(st.sampled_from(INEXACT))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    layouts = st.sampled_from([x for x in oracle.LAYOUTS if x != "overlapping"])
    arrays = [oracle.arrange(values(rng, s, dtype), data.draw(layouts)) for s in expr.shapes]
    cotangent = oracle.arrange(values(rng, expr.output_shape, dtype), data.draw(layouts))
    n = len(arrays)
    needed = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    n_sliced = data.draw(st.integers(0, min(3, len(expr.sizes))))
    tree = random_tree(rng, expr, n_sliced if 0 not in expr.sizes else 0)
    program = lower_gradient(tree, dtype, needed, threads=data.draw(st.integers(1, 2)))
    value, gradients = program(arrays, cotangent)
    oracle.assert_close(value, expr, arrays)
    assert_gradients(gradients, expr, arrays, cotangent, program.needed)
    for one, same in zip(gradients, program.gradients(arrays, cotangent)):
        np.testing.assert_array_equal(one, same)
    if not tree.sliced:
        again, saved = program.forward(arrays)
        np.testing.assert_array_equal(again, value)
        for _ in range(2):
            for one, same in zip(gradients, program.backward(saved, cotangent), strict=True):
                np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(
    "subscripts",
    ["ab,bc,cd->ad", "ii,ij->j", "iij,jk->k", "abz,bcz,caz->z", "a,b->", "ab->ba", "aab->b",
     "ab,ac,ad->", "ab->", "ab,b->b", ",a->a"],
)  # fmt: skip
def test_gradients_are_those_of_central_differences(subscripts: str, dtype: str) -> None:
    rng = np.random.default_rng(5)
    extents = dict(zip("abcdijkz", [2, 3, 4, 2, 3, 2, 4, 3]))
    terms, output = subscripts.split("->")[0].split(","), subscripts.split("->")[1]
    arrays = [values(rng, [extents[i] for i in t], dtype) for t in terms]
    weights = values(rng, np.einsum(subscripts, *arrays).shape, dtype)

    def loss() -> float:  # of which the cotangent is the weights
        return float(np.real(np.sum(np.conj(weights) * np.einsum(subscripts, *arrays))))

    expr = from_labels(terms, output, extents)
    got = contraction_gradients(expr, arrays, weights)
    for array, gradient in zip(arrays, got, strict=True):
        for direction in (1, 1j) if array.dtype.kind == "c" else (1,):
            for at in np.ndindex(array.shape):
                before, step = array[at], 1e-6
                array[at] = before + step * direction
                above = loss()
                array[at] = before - step * direction
                slope = (above - loss()) / (2 * step)
                array[at] = before
                part = gradient[at].imag if direction == 1j else gradient[at].real
                assert abs(slope - part) < 1e-7


def test_one_tensor_contracted_with_all_of_itself() -> None:
    a = np.arange(4.0).reshape(2, 2)
    expr = Expr(((0, 1), (1, 2), (2, 0)), (), (2, 2, 2))
    made = contraction_gradients(expr, [a, a, a], 1.0)  # of the trace of its cube
    np.testing.assert_allclose(sum(made), 3 * (a @ a).T)


def test_a_sum_over_nothing_has_gradients_of_zeros() -> None:
    expr = Expr(((0, 1), (1, 2)), (0,), (2, 0, 3))
    program = lower_gradient(Tree(expr, ((0, 1),)), "complex64", [0, 1])
    value, gradients = program([np.ones((2, 0)), np.ones((0, 3))], np.ones(2))
    assert not value.any()
    assert [g.shape for g in gradients] == [(2, 0), (0, 3)]
    expr = Expr(((0,), (1,)), (), (2, 0))
    (gradient,) = contraction_gradients(expr, [np.ones(2), np.ones(0)], 1.0, [0])
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


# What it costs


def test_gradients_cost_twice_the_multiply_adds_of_the_value() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        expr = random_network(rng)
        n_sliced = int(rng.integers(0, min(4, len(expr.sizes)) + 1))
        tree = random_tree(rng, expr, n_sliced)
        forward = lower(tree, "float64").macs
        n = len(expr.inputs)
        all_of_them = lower_gradient(tree, "float64", range(n)).macs
        assert all_of_them <= 3 * forward
        if not tree.sliced:
            assert all_of_them == 3 * forward
        for k in range(n):
            assert lower_gradient(tree, "float64", [k]).macs <= 2 * forward


def test_steps_outside_the_slice_loop_are_outside_it_on_the_way_back() -> None:
    # ab,bc is made once for all d: so are the gradients of a and b
    expr = Expr(((0, 1), (1, 2), (2, 3), (3,)), (), (30, 40, 50, 6))
    tree = Tree(expr, ((0, 1), (4, 2), (5, 3)), (3,))
    program = lower_gradient(tree, "float64", range(4))
    assert program.macs <= 3 * tree.hoisted_macs
    rng = np.random.default_rng(0)
    arrays = [values(rng, shape, "float64") for shape in expr.shapes]
    _, gradients = program(arrays, 1.0)
    assert_gradients(gradients, expr, arrays, 1.0, range(4))


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sliced", [(), (1,), (0, 2)])
def test_memory_required_is_what_a_call_allocates(
    dtype: str, threads: int, sliced: tuple[int, ...]
) -> None:
    expr = Expr(((0, 1, 2), (2, 3, 4), (4, 1, 5)), (0, 3, 5), (40, 16, 20, 40, 16, 30))
    tree = Tree(expr, ((0, 1), (2, 3)), sliced)
    program = lower_gradient(tree, dtype, range(3), threads=threads)
    rng = np.random.default_rng(1)
    arrays = [values(rng, shape, dtype) for shape in expr.shapes]
    cotangent = np.ones(expr.output_shape, dtype)
    program(arrays, cotangent)
    trim()
    results = program(arrays, cotangent)
    workspace = kept()  # the results join it only once they are gone
    shapes = [*expr.shapes, expr.output_shape]
    if np.dtype(dtype).kind == "c":
        shapes.append(expr.output_shape)  # the conjugate of the cotangent
    made = sum([int(np.prod(shape)) for shape in shapes]) * np.dtype(dtype).itemsize
    assert results is not None
    headers = 64 * (workspace + made - program.memory_required > 0)  # of what is saved
    assert workspace + made == program.memory_required + headers


def test_slices_take_the_memory_of_a_slice() -> None:
    plan = tn.plan_expr(lattice(6, 6), max_entries=32)
    assert plan.tree.sliced
    whole = Tree(plan.tree.expr, plan.tree.steps)
    n = len(plan.tree.expr.inputs)
    less = lower_gradient(plan.tree, "float64", range(n), threads=1).memory_required
    assert less < lower_gradient(whole, "float64", range(n), threads=1).memory_required


# Slices and threads


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_bits_do_not_depend_on_threads(dtype: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(30):
        expr = random_network(rng)
        tree = sliced_at_random(expr, rng).tree
        arrays = [values(rng, shape, dtype) for shape in expr.shapes]
        cotangent = values(rng, expr.output_shape, dtype)
        needed = range(len(arrays))
        value, gradients = lower_gradient(tree, dtype, needed, threads=1)(arrays, cotangent)
        assert_gradients(gradients, expr, arrays, cotangent, needed)
        for threads in (2, 3):
            program = lower_gradient(tree, dtype, needed, threads=threads)
            other, others = program(arrays, cotangent)
            np.testing.assert_array_equal(value, other)
            for one, same in zip(gradients, others, strict=True):
                np.testing.assert_array_equal(one, same)


def test_many_threads_may_call_at_once() -> None:
    plan = tn.plan_expr(lattice(5, 5), max_entries=16)
    rng = np.random.default_rng(2)
    arrays = [values(rng, shape, "float64") for shape in plan.tree.expr.shapes]
    program = lower_gradient(plan.tree, "float64", range(len(arrays)), threads=2)
    want = program.gradients(arrays, 1.0)
    failed: list[int] = []

    def call() -> None:
        for one, same in zip(want, program.gradients(arrays, 1.0), strict=True):
            if not np.array_equal(one, same):
                failed.append(1)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failed


def test_progress_is_told_and_may_stop_a_run() -> None:
    plan = tn.plan_expr(lattice(7, 7), max_entries=16)
    arrays = [np.ones(shape) for shape in plan.tree.expr.shapes]
    program = lower_gradient(plan.tree, "float64", range(len(arrays)), threads=1)
    told: list[tuple[float, float]] = []
    program(arrays, 1.0, progress=lambda done, total: told.append((done, total)))
    assert all(0 <= done <= total for done, total in told)

    class Enough(Exception):
        pass

    def stop(done: float, total: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        program(arrays, 1.0, progress=stop)
    value, _ = program(arrays, 1.0)  # and the program is as it was
    assert np.isfinite(value)


def test_ctrl_c_stops_a_run() -> None:
    expr = Expr(((0, 1), (1, 2), (2, 3)), (), (100, 5000, 100, 100))
    arrays = [np.ones(shape) for shape in expr.shapes]
    tree = Tree(expr, ((0, 1), (2, 3)), (1,))
    program = lower_gradient(tree, "float64", range(3), threads=1)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def run_for_ever() -> None:
        while True:
            program(arrays, 1.0)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_for_ever()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Two halves


def test_what_is_saved_is_what_the_way_back_reads() -> None:
    # x (a b) c: for the gradient of x alone only the value of a b c is read, not x a
    expr = Expr(((0, 1), (1, 2), (2, 3)), (0, 3), (32, 32, 32, 32))
    tree = Tree(expr, ((0, 1), (3, 2)))
    arrays = [np.ones((32, 32))] * 3
    sizes = []
    for needed in ([0, 1, 2], [2], [0, 1]):
        _, saved = lower_gradient(tree, "float64", needed).forward(arrays)
        sizes.append(saved.nbytes)
        assert len(saved.arrays) == 3
    assert sizes == [32 * 32 * 8, 32 * 32 * 8, 0]


def test_a_sliced_plan_has_no_halves() -> None:
    tree = Tree(Expr(((0, 1), (1,)), (), (2, 3)), ((0, 1),), (1,))
    program = lower_gradient(tree, "float64", [0])
    with pytest.raises(ValueError, match="3 slices"):
        program.forward([np.ones((2, 3)), np.ones(3)])


# What it takes and gives


def test_gradients_have_the_dtypes_of_their_operands() -> None:
    rng = np.random.default_rng(4)
    expr = Expr(((0, 1), (1, 2)), (0, 2), (3, 4, 5))
    a, b = values(rng, (3, 4), "float32"), values(rng, (4, 5), "complex128")
    cotangent = values(rng, (3, 5), "complex128")
    of_a, of_b = contraction_gradients(expr, [a, b], cotangent)
    assert (of_a.dtype, of_b.dtype) == (a.dtype, b.dtype)
    np.testing.assert_allclose(of_a, (cotangent @ b.conj().T).real, rtol=1e-5)
    np.testing.assert_allclose(of_b, a.T @ cotangent)
    (alone,) = contraction_gradients(expr, [np.ones((3, 4), int), b], cotangent, [1])
    np.testing.assert_allclose(alone, np.ones((4, 3)) @ cotangent)
    assert contraction_gradients(expr, [a, b], cotangent, []) == []
    of_a, _ = contraction_gradients(expr, [a, b.real], cotangent, dtype="complex128")
    np.testing.assert_allclose(of_a, (cotangent @ b.real.T).real, rtol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    expr = Expr(((0, 1), (1, 2)), (0, 2), (3, 4, 5))
    tree = Tree(expr, ((0, 1),))
    a, b, cotangent = np.ones((3, 4)), np.ones((4, 5)), np.ones((3, 5))
    with pytest.raises(TypeError, match="floating or complex dtype, not int64"):
        lower_gradient(tree, "int64", [0])
    with pytest.raises(TypeError, match="operand 1 has dtype int64"):
        contraction_gradients(tree, [a, b.astype(int)], cotangent)
    with pytest.raises(ValueError, match="operand 2, but there are 2"):
        lower_gradient(tree, "float64", [2])
    with pytest.raises(ValueError, match="no gradient is needed"):
        lower_gradient(tree, "float64", [])
    program = lower_gradient(tree, "float64", [0, 1])
    with pytest.raises(tn.ShapeError, match="cotangent has shape"):
        program([a, b], np.ones(3))
    with pytest.raises(TypeError, match="cotangent has dtype complex128"):
        program([a, b], 1j * cotangent)
    with pytest.raises(tn.ShapeError, match="operand 1 has shape"):
        program([a, a], cotangent)
    with pytest.raises(tn.ShapeError, match="2 operands but 1"):
        program([a], cotangent)


def test_operands_are_never_written_to() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        expr = random_network(rng)
        arrays = [values(rng, shape, "complex64") for shape in expr.shapes]
        cotangent = values(rng, expr.output_shape, "complex64")
        before = [a.copy() for a in (*arrays, cotangent)]
        for a in (*arrays, cotangent):
            a.flags.writeable = False
        tree = sliced_at_random(expr, rng).tree
        lower_gradient(tree, "complex64", range(len(arrays)))(arrays, cotangent)
        for a, b in zip((*arrays, cotangent), before):
            np.testing.assert_array_equal(a, b)


def test_programs_are_kept_and_pickled() -> None:
    tree = Tree(Expr(((0, 1), (1,)), (0,), (2, 3)), ((0, 1),))
    program = lower_gradient(tree, "float32", [1, 0, 1])
    assert program is lower_gradient(tree, "float32", (0, 1))
    assert program is not lower_gradient(tree, "float32", (0,))
    copy = pickle.loads(pickle.dumps(program))
    assert isinstance(copy, GradientProgram)
    assert copy.needed == (0, 1)
    assert len(program.steps()) == 3
    assert "2 of 2 operands, float32" in repr(program)
