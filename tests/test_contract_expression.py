"""contract_expression: opt_einsum's signature, constants folded once, threads, forks, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import opt_einsum
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet as tn
from tensornet.expr import Expr, from_labels
from tensornet.planner import search
from tensornet.planner.folding import fold_tree

A = np.arange(6.0).reshape(2, 3)
B = np.arange(12.0).reshape(3, 4)
C = np.arange(20.0).reshape(4, 5)


def complaint(call: Any, *args: Any, **options: Any) -> str:
    """The message of the error that a call ends in, which has to be one line."""
    with pytest.raises((ValueError, TypeError, MemoryError)) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


# The signature and the looks


def test_it_is_called_with_arrays_of_its_shapes() -> None:
    expression = tn.contract_expression("ij,jk->ik", (2, 3), [3, 4])
    np.testing.assert_array_equal(expression(A, B), A @ B)
    out = np.full((2, 4), np.nan)
    assert expression(A, B, out=out) is out
    np.testing.assert_array_equal(out, A @ B)
    np.testing.assert_array_equal(expression(A.tolist(), B, backend="auto"), A @ B)


def test_the_interleaved_form_takes_shapes_too() -> None:
    expression = tn.contract_expression((2, 3), ["x", "y"], (3, 4), ["y", "z"], ["z", "x"])
    np.testing.assert_array_equal(expression(A, B), (A @ B).T)
    constant = tn.contract_expression(A, [0, 1], (3, 4), [1, 2], constants=[0])
    np.testing.assert_array_equal(constant(B), A @ B)


def test_it_shows_its_equation_its_constants_and_its_plan() -> None:
    expression = tn.contract_expression("ij,jk,kl->il", A, (3, 4), C, constants=[0, 2])
    assert repr(expression) == "<ContractExpression('[ij],jk,[kl]->il', constants=[0, 2])>"
    adjacent = tn.contract_expression("ij,jk,kl", A, B, (4, 5), constants={0, 1})
    assert repr(adjacent) == "<ContractExpression('[ij,jk],kl', constants=[0, 1])>"
    ellipsis = tn.contract_expression((2, 3), [..., 0], (3,), [0])
    assert "...0,0" in repr(ellipsis)
    assert "peak memory" in str(expression)
    assert "width" in str(expression)
    many = tn.contract_expression(",".join(["a"] * 5000), *[(2,)] * 5000, optimize="greedy")
    assert len(repr(many)) < 300


def test_repr_is_opt_einsums_where_it_has_one() -> None:
    ours = tn.contract_expression("ab,bc->ac", np.eye(2), (2, 3), constants=[0])
    theirs = opt_einsum.contract_expression("ab,bc->ac", np.eye(2), (2, 3), constants=[0])
    assert repr(ours) == repr(theirs)


def test_dtypes_are_those_of_the_arrays_of_each_call() -> None:
    expression = tn.contract_expression("ij,jk->ik", (2, 3), (3, 4))
    for dtype in oracle.DTYPES:
        a, b = A.astype(dtype), B.astype(dtype)
        np.testing.assert_array_equal(expression(a, b), np.einsum("ij,jk->ik", a, b), strict=True)
    forced = tn.contract_expression("ij,jk->ik", (2, 3), (3, 4), dtype="f4", casting="same_kind")
    assert forced(A, B).dtype == np.float32


def test_options_of_einsum_are_options_of_the_expression() -> None:
    turned = tn.contract_expression("ij,jk->ik", (2, 3), B, constants=[1], order="F")
    assert turned(A).flags.f_contiguous
    np.testing.assert_array_equal(turned(A), A @ B)
    stripped = tn.contract_expression("ij,jk->", (2, 3), (3, 4), strip_exponent=True)
    mantissa, exponent = stripped(A, B)
    assert mantissa * 2.0**exponent == (A @ B).sum()


def test_stretched_axes_and_ellipses_are_numpys() -> None:
    rng = np.random.default_rng(0)
    expression = tn.contract_expression("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 1))
    a, b = rng.standard_normal((5, 1, 2, 3)), rng.standard_normal((4, 3, 1))
    np.testing.assert_allclose(expression(a, b), np.einsum("...ij,...jk->...ik", a, b))
    constant = tn.contract_expression("ij,ij->ij", np.ones((1, 3)), (2, 3), constants=[0])
    np.testing.assert_array_equal(constant(A), A)


# A new user's wrong moves


def test_wrong_moves_end_in_one_line() -> None:
    make = tn.contract_expression
    expression = make("ij,jk->ik", (2, 3), (3, 4))
    assert "takes 2 arrays, not 1" in complaint(expression, A)
    assert complaint(expression, A, B.T) == (
        "array 1 (operand 1) has shape (4, 3), but the expression was made for shape (3, 4)"
    )
    constant = make("ij,jk->ik", A, (3, 4), constants=[0])
    assert "takes 1 array besides 1 constant, not 2" in complaint(constant, A, B)
    assert "array 0 (operand 1) has shape (2, 3)" in complaint(constant, A)
    assert "'j' has extent 3 on operand 0" in complaint(make, "ij,jk->ik", (2, 3), (4, 4))
    assert "output index 'z'" in complaint(make, "ij,jk->iz", (2, 3), (3, 4))
    assert "operand 0 must be given by its shape" in complaint(make, "ij,jk", A, (3, 4))
    assert "names operand 2, but there are 2" in complaint(make, "ij,jk", A, (3, 4), constants=[2])
    assert "unexpected keyword" in complaint(make, "ij,jk", (2, 3), (3, 4), out=A)
    assert "order must be one of" in complaint(make, "ij,jk", (2, 3), (3, 4), order="Z")
    assert "at least 1 entry" in complaint(make, "ij,jk", (2, 3), (3, 4), memory_limit=0)
    nan = float("nan")
    assert "at least 1 entry" in complaint(make, "ij,jk", (2, 3), (3, 4), memory_limit=nan)
    assert "entries or text" in complaint(make, "ij,jk", (2, 3), (3, 4), memory_limit=[3])
    assert "blah" in complaint(make, "ij,jk", (2, 3), (3, 4), optimize="blah")
    assert "backend 'torch'" in complaint(expression, A, B, backend="torch")
    assert "operand 1: dtype object" in complaint(expression, A, B.astype(object))
    assert "operand 1: dtype object" in complaint(constant, B.astype(object))
    assert "out has shape" in complaint(expression, A, B, out=np.zeros((4, 2)))


# Constants


def test_constants_are_folded_into_what_is_left_of_the_tree() -> None:
    expr = Expr(((0, 1), (1, 2), (2, 3), (3, 4)), (0, 4), (2, 3, 4, 5, 6))
    tree = search(expr, ((0, 1), (0, 1), (0, 1)))
    folds, rest = fold_tree(tree, {0, 1, 3}, None)
    assert [fold.operands for fold in folds] == [(0, 1), (3,)]
    assert folds[0].tree.expr.output_shape == (2, 4)
    assert rest.expr.shapes == ((4, 5), (2, 4), (5, 6))
    assert rest.expr.output_shape == (2, 6)
    folds, rest = fold_tree(tree, {0, 1, 3}, 7)
    assert [fold.operands for fold in folds] == [(0,), (1,), (3,)]
    assert len(rest.expr.inputs) == 4


def test_indices_of_constants_alone_are_summed_in_the_fold() -> None:
    expr = Expr(((0, 1, 1, 2), (0,)), (0,), (3, 4, 5))
    folds, rest = fold_tree(search(expr), {0}, None)
    assert folds[0].tree.expr.output_shape == (3,)
    assert rest.expr.shapes == ((3,), (3,))


def test_a_constant_is_read_when_the_expression_is_made() -> None:
    a = A.copy()
    expression = tn.contract_expression("ij,jk->ik", a, (3, 4), constants=[0])
    a[...] = 0
    np.testing.assert_array_equal(expression(B), A @ B)
    np.testing.assert_array_equal(expression(B.astype("f4")), A @ B)


def test_an_expression_of_constants_only_takes_no_arrays() -> None:
    expression = tn.contract_expression("ij,jk->", A, B, constants=[0, 1])
    assert expression() == (A @ B).sum()
    single = tn.contract_expression("ij->ji", A, constants=[0])
    np.testing.assert_array_equal(single(), A.T)


def test_constants_of_a_small_dtype_do_not_wrap_in_a_larger_computation() -> None:
    many = np.full((2, 2), 100, np.int8)
    expression = tn.contract_expression("ij,jk,kl->il", many, many, (2, 2), constants=[0, 1])
    np.testing.assert_array_equal(expression(np.eye(2, dtype=int)), [[20_000] * 2] * 2)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data())
def test_any_constants_of_any_network_change_no_integer(data: st.DataObject) -> None:
    letters = list(range(6))
    sizes = tuple([data.draw(st.sampled_from([1, 2, 3, 5])) for _ in letters])
    axes = st.lists(st.sampled_from(letters), max_size=3)
    terms = data.draw(st.lists(axes, min_size=1, max_size=6))
    present = sorted({i for term in terms for i in term})
    output = data.draw(st.permutations(present))[: data.draw(st.integers(0, len(present)))]
    expr = from_labels(terms, output, dict(enumerate(sizes)))
    rng = np.random.default_rng(0)
    dtype = data.draw(st.sampled_from(["int32", "float64", "complex64", "bool"]))
    arrays = [oracle.small_integers(rng, shape, dtype) for shape in expr.shapes]
    constants = data.draw(st.sets(st.integers(0, len(terms) - 1)))
    given_ = [a if k in constants else a.shape for k, a in enumerate(arrays)]
    flat = [x for shape, term in zip(given_, expr.inputs) for x in (shape, term)]
    limit = data.draw(st.sampled_from([None, 1, 4, "max_input", "100MB"]))
    optimize = data.draw(st.sampled_from(["auto", "greedy", "optimal", False]))
    expression = tn.contract_expression(
        *flat, expr.output, constants=constants, memory_limit=limit, optimize=optimize
    )
    variable = [a for k, a in enumerate(arrays) if k not in constants]
    oracle.assert_exact(expression(*variable), expr, arrays)
    oracle.assert_exact(expression(*variable), expr, arrays)


# Limits


def test_an_integer_limit_counts_entries_and_text_counts_bytes() -> None:
    shapes = [(8, 8, 8, 8)] * 3
    text = "abcd,cdef,efgh->abgh"
    rng = np.random.default_rng(0)
    arrays = [oracle.small_integers(rng, shape, "int64") for shape in shapes]
    want = tn.einsum(text, *arrays)
    entries = tn.contract_expression(text, *shapes, memory_limit=512)
    assert entries.plan.max_size <= 512
    np.testing.assert_array_equal(entries(*arrays), want)
    whole = tn.contract_expression(text, *shapes)
    limit = int(whole.plan.peak_memory * 0.9)
    size = tn.contract_expression(text, *shapes, memory_limit=f"{limit}B")
    assert size.plan.peak_memory <= limit
    np.testing.assert_array_equal(size(*arrays), want)
    assert tn.contract_expression(text, *shapes, memory_limit=-1).plan.n_slices == 1
    assert tn.contract_expression(text, *shapes, memory_limit="max_input").plan.max_size <= 8**4


def test_an_impossible_limit_is_refused_with_the_smallest_that_would_do() -> None:
    expression = tn.contract_expression("i,j->ij", (100,), (100,), memory_limit="1KB")
    message = complaint(expression, np.ones(100), np.ones(100))
    assert "smallest memory_limit that would do is 80," in message


# Sizes, threads, processes, interrupts


def test_a_hundred_thousand_tensors_need_no_recursion() -> None:
    n = 100_000
    turn = np.array([[0, 1], [-1, 0]])
    flat = [x for k in range(n) for x in (turn if k % 1000 else (2, 2), (k, k + 1))]
    constants = [k for k in range(n) if k % 1000]
    expression = tn.contract_expression(*flat, (0, n), constants=constants, optimize="greedy")
    assert expression.num_args == 100
    np.testing.assert_array_equal(expression(*[turn] * 100), np.eye(2))


def test_many_threads_may_call_one_expression_at_once() -> None:
    rng = np.random.default_rng(0)
    text = "ab,bcd,de,ec->a"
    shapes = [(4, 6), (6, 8, 3), (3, 7), (7, 8)]
    constant = rng.integers(0, 5, shapes[2])
    expression = tn.contract_expression(text, *shapes[:2], constant, shapes[3], constants=[2])
    inputs = [
        [rng.integers(-3, 4, shape).astype(dtype) for shape in shapes]
        for dtype in ("int64", "float64", "float32", "complex64")
        for _ in range(10)
    ]
    want = [np.einsum(text, *[*x[:2], constant, x[3]], optimize=True) for x in inputs]
    start = threading.Barrier(8)

    def work(first: int) -> None:
        start.wait()
        for k in range(first, len(inputs), 8):
            x = inputs[k]
            np.testing.assert_array_equal(expression(x[0], x[1], x[3]), want[k])

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, k) for k in range(8)]:
            done.result()


def run_python(code: str, **options: Any) -> subprocess.Popen[str]:
    """A new process, in a session of its own so that a signal reaches nobody else."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_while_the_parents_threads_live() -> None:
    process = run_python(
        """
        import os, sys, warnings
        import numpy as np
        import tensornet as tn

        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        tn.set_num_threads(4)
        rng = np.random.default_rng(0)
        a = rng.integers(0, 5, (300, 300)).astype(float)
        expression = tn.contract_expression("ij,jk->ik", a, (300, 300), constants=[0])
        want = a @ a
        assert (expression(a) == want).all()
        children = []
        for _ in range(3):
            child = os.fork()
            if not child:
                good = (expression(a) == want).all()
                good = good and (tn.einsum("ij,jk->ik", a, a) == want).all()
                os._exit(0 if good else 7)
            children.append(child)
        assert (expression(a) == want).all()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0, 0], codes
        print("done")
        """
    )
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert out == "done\n"


def test_ctrl_c_ends_a_long_contraction_and_leaves_the_library_usable() -> None:
    process = run_python(
        """
        import numpy as np
        import tensornet as tn

        n, length = 4000, 16  # the better part of a minute
        a = np.ones((n, n))
        flat = [x for k in range(length) for x in (a.shape, (k, k + 1))]
        chain = tn.contract_expression(*flat, (0, length))
        said = []

        def progress(done, total):
            if not said:
                said.append(print("running", flush=True))

        try:
            chain(*[a] * length, progress=progress)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        print(tn.einsum("ij,ij->", a[:50, :50], a[:50, :50]))
        """
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - start < 2
        assert process.stdout.readline() == "2500.0\n"
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()
