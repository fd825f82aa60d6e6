"""The bytes of a run are known before it starts, and limits are kept, whatever the operands are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tracemalloc
from typing import Any

import numpy as np
import oracle
import pytest
from test_backends import random_network, sliced_at_random
from test_planner import lattice

import tensornet as tn
from tensornet import program as programs
from tensornet import road
from tensornet._kernels import kept, trim
from tensornet.expr import Expr

OWN = 64 << 10  # bytes from which on a result's memory is the library's


def arena_that_was_used(program: tn.Program, *arrays: Any, out: Any = None) -> int:
    """Bytes of workspace that a run really took: they wait for the next one, if they are many."""
    program(*arrays, out=out)  # compiles for these strides
    trim()
    result = program(*arrays, out=out)
    waiting = kept()  # which the result joins only once it is gone
    assert result is not None
    return waiting


def reordered(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same values with the axes in another order in memory."""
    order = rng.permutation(array.ndim)
    return array.transpose(order).copy().transpose(np.argsort(order))


# memory_for


def test_it_is_memory_required_for_arrays_in_c_order() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        expr = random_network(rng)
        program = sliced_at_random(expr, rng).compile("float32", threads=2)
        arrays = [np.zeros(shape, "float32") for shape in expr.shapes]
        assert program.memory_for(*arrays) == program.memory_required


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("strip", [False, True])
def test_it_is_what_a_run_allocates(dtype: str, threads: int, strip: bool) -> None:
    rng = np.random.default_rng(threads)
    expr = Expr(((0, 1, 2), (2, 3, 4), (4, 1, 5)), (0, 3, 5), (40, 16, 20, 40, 16, 30))
    for sliced in ((), (1,), (2,)):
        tree = tn.plan_expr(expr).tree
        plan = tn.plan_expr(expr, type(tree)(expr, tree.steps, sliced))
        program = plan.compile(dtype, threads=threads, strip_exponent=strip)
        for arrange in (np.array, np.asfortranarray, lambda a: reordered(a, rng)):
            arrays = [arrange(rng.random(shape).astype(dtype)) for shape in expr.shapes]
            result = 40 * 40 * 30 * np.dtype(dtype).itemsize
            workspace = program.memory_for(*arrays) - result
            assert workspace > OWN
            assert arena_that_was_used(program, *arrays) == workspace
            out = arrange(np.empty((40, 40, 30), dtype))
            if not (out.flags.c_contiguous or strip):
                workspace = program.memory_for(*arrays, out=out)
            assert program.memory_for(*arrays, out=out) == workspace
            assert arena_that_was_used(program, *arrays, out=out) == workspace


def test_it_counts_copies_of_operands_and_of_the_result() -> None:
    expr = Expr(((0, 1), (1, 2)), (0, 2), (300, 200, 100))
    program = tn.plan_expr(expr).compile("float64", threads=1)
    a, b = np.ones((300, 200), "float32"), np.ones((100, 200), "int16").T
    plain = program.memory_required
    assert program.memory_for(a, np.ones((200, 100))) - plain == 8 * a.size
    out = np.empty((300, 100), "complex128")
    tracemalloc.start()
    try:
        program(a, b, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    arena = plain - 8 * out.size
    copies = program.memory_for(a, b, out=out) - arena
    assert copies == 8 * (a.size + b.size + out.size)
    assert copies <= peak <= copies + 20_000
    same = np.ones((300, 300))
    square = tn.plan_expr(Expr(((0, 1), (1, 2)), (0, 2), (300, 300, 300))).compile(threads=1)
    assert square.memory_for(same, same, out=same) == square.memory_required  # out is an operand


def test_it_computes_nothing_and_refuses_what_a_run_refuses() -> None:
    expr = Expr(((0, 1), (1, 2)), (0, 2), (300, 200, 100))
    program = tn.plan_expr(expr).compile("float64")
    a, b = np.full((300, 200), np.nan), np.ones((200, 100))
    out = np.zeros((300, 100))
    program.memory_for(a, b, out=out)
    assert not out.any()
    with pytest.raises(tn.ShapeError, match="operand 1"):
        program.memory_for(a, a)
    with pytest.raises(TypeError, match="operand 0 has dtype complex128"):
        program.memory_for(1j * a, b)


# memory_limit


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the runs of front doors allocate, copies included, as they come."""
    seen: list[int] = []
    run = road.run_program

    def spy(program: Any, arrays: Any, out: Any = None, *rest: Any) -> Any:
        castable = out is None or road.reads(out.dtype, program.dtype)
        seen.append(program.memory_for(*arrays, out=out if castable else None))
        return run(program, arrays, out, *rest)

    for module in (road, tn.api, tn.expression):
        monkeypatch.setattr(module, "run_program", spy)
    return seen


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("float64", {}),
        ("float32", {}),
        ("float16", {"dtype": "float16"}),
        ("float64", {"dtype": "int32", "casting": "unsafe"}),
        ("float64", {"strip_exponent": True}),
    ],
)
def test_a_limit_holds_for_any_operands(
    given: str, options: dict[str, Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied(monkeypatch)
    monkeypatch.setattr(tn.config, "_threads", threads)
    rng = np.random.default_rng(4)
    expr = lattice(4, 4, extent=7) if given != "float16" else lattice(4, 4, extent=4)
    arrays = [rng.integers(0, 3, shape).astype(given) for shape in expr.shapes]
    arrays[3] = arrays[3].astype(options.get("dtype", "float64"))
    sublists = [x for pair in zip(map(np.asfortranarray, arrays), expr.inputs) for x in pair]
    operands = [list(x) if isinstance(x, tuple) else x for x in sublists]
    for limit in (150_000, 400_000):
        tn.einsum(*operands, [], memory_limit=limit, **options)
        copies = sum(
            x.size * np.dtype(options["dtype"]).itemsize
            for x in arrays
            if "casting" in options and x.dtype != options["dtype"]
        )
        assert seen.pop() + copies <= limit


def test_a_limit_holds_with_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    a, b = np.ones((200, 300), "f4").T, np.ones((200, 100)).T
    for out in (np.empty((100, 300)).T, np.empty((300, 100), "c16")):
        needed = tn.plan_expr(Expr(((0, 1), (2, 1)), (0, 2), (300, 200, 100))).peak_memory
        unavoidable = 8 * (a.size + out.size) + 128  # a in float64, and the result
        limit = max(needed + 4 * a.size, unavoidable)
        got = tn.einsum("ij,kj->ik", a, b, out=out, dtype="float64", memory_limit=limit)
        np.testing.assert_array_equal(got, np.full((300, 100), 200.0))
        assert seen.pop() <= limit


def test_a_limit_that_copies_exceed_says_so() -> None:
    a = np.ones((200, 300), "float32")
    with pytest.raises(tn.MemoryLimitError, match="dtypes and strides of these arrays take"):
        tn.einsum("ij,ij->", a, a, dtype="float64", memory_limit=100_000)


def test_a_limit_holds_for_calls_of_an_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    expr = lattice(4, 4, extent=6)
    rng = np.random.default_rng(4)
    arrays = [rng.random(shape) for shape in expr.shapes]
    given: list[Any] = []
    for k, term in enumerate(expr.inputs):
        given += [arrays[k] if k in (5, 6) else expr.shapes[k], list(term)]
    limit = 400_000
    expression = tn.contract_expression(
        *given, [], constants=[5, 6], memory_limit=f"{limit}", dtype="complex128"
    )
    rest = [np.asfortranarray(a) for k, a in enumerate(arrays) if k not in (5, 6)]
    got = expression(*rest)
    folded = sum(a.nbytes for a in next(iter(expression._prepared.values())).folded)
    assert seen.pop() + folded <= limit
    oracle.assert_close(got, expr, arrays, "complex128")


# What the system sees


@pytest.mark.skipif(sys.platform != "linux", reason="reads the Linux /proc")
@pytest.mark.parametrize(
    ("extents", "dtype", "limit", "threads"),
    [
        ((5000, 1000, 6000), "float32", None, 2),
        ((2500, 500, 3000), "complex128", None, 1),
        ((360, 360, 360), "float32", "250MB", 2),
        ((200, 200, 200), "complex128", "250MB", 2),
    ],
)
def test_the_peak_of_the_process_grows_as_predicted(
    extents: tuple[int, ...], dtype: str, limit: str | None, threads: int
) -> None:
    # a matrix product, or four-index tensors around a ring whose large intermediates are sliced
    code = f"""
        import re
        import numpy as np
        import tensornet as tn

        def status(key):
            with open("/proc/self/status") as file:
                return 1024 * int(re.search(key + r":\\s+(\\d+)", file.read())[1])

        i, j, k = {extents}
        if {limit!r} is None:
            terms, output, sizes = ["ij", "jk"], "ik", dict(i=i, j=j, k=k)
        else:
            terms, output, sizes = ["iaj", "jbk", "kci"], "abc", dict(
                i=24, j=24, k=24, a=i, b=j, c=k
            )
        options = dict(dtype={dtype!r}, threads={threads}, memory_limit={limit!r})
        plan = tn.plan(terms, output, sizes, **options)
        program = plan.compile()
        arrays = [np.ones(shape, {dtype!r}) for shape in plan.expr.shapes]
        small = np.ones((300, 300), {dtype!r})
        tn.einsum("ij,jk", small, small)  # starts the threads
        tn.clear_cache()
        before = status("VmRSS")
        result = program(*arrays)
        print(plan.n_slices, status("VmHWM") - before, program.memory_required)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    n_slices, grown, predicted = map(int, done.stdout.split())
    assert (n_slices > 1) == (limit is not None)
    assert abs(grown - predicted) <= 0.05 * predicted + (32 << 20)


def test_programs_for_other_strides_count_in_the_cache() -> None:
    tn.clear_cache()
    plan = tn.plan(["ij", "jk"], "ik", {"i": 3, "j": 4, "k": 5})
    compiled = plan.compile()
    alone = compiled.footprint
    for order in "CFF":
        compiled(np.ones((3, 4), order=order), np.ones((4, 5)))
    assert compiled.footprint == 2 * alone
    assert plan.compile() is compiled
    assert programs._cache._bytes == 2 * alone
