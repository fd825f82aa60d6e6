"""Many runs of one program: constants contracted once, results side by side, little memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from test_backends import random_network, sliced_at_random
from test_planner import lattice

import tensornet as tn
from tensornet.batches import contract_folds
from tensornet.formats import read_uai
from tensornet.formats.qsim import Circuit, Gate
from tensornet.planner import fold_tree, one_run, repeated, search

DATA = Path(__file__).parent / "data"
CHAIN = tn.plan(["ij", "jk", "kl"], "il", {"i": 2, "j": 3, "k": 4, "l": 5})
FIXED = {0: np.arange(6.0).reshape(2, 3), 1: np.arange(12.0).reshape(3, 4)}


def right_ends(count: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(count)
    return [[oracle.small_integers(rng, (4, 5), "float64")] for _ in range(count)]


def one_by_one(program: tn.Program, batches: Any, constants: dict[int, Any]) -> list[Any]:
    n = len(program.tree.expr.inputs)
    results = []
    for batch in batches:
        rest = iter(batch)
        results.append(program(*[constants[k] if k in constants else next(rest) for k in range(n)]))
    return results


# program.map


@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_those_of_single_runs(threads: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(150):
        expr = random_network(rng)
        program = sliced_at_random(expr, rng).compile("float64", threads=threads)
        constants = {
            k: oracle.small_integers(rng, shape, "float64")
            for k, shape in enumerate(expr.shapes)
            if rng.random() < 0.6
        }
        shapes = [shape for k, shape in enumerate(expr.shapes) if k not in constants]
        batches = [[oracle.small_integers(rng, s, "float64") for s in shapes] for _ in range(3)]
        got = program.map(batches, constants)
        assert got.shape == (3, *expr.output_shape)
        np.testing.assert_array_equal(got, one_by_one(program, batches, constants))


def test_constants_are_read_and_contracted_before_the_first_run() -> None:
    class Counted:
        reads = 0

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            self.reads += 1
            return FIXED[0]

    counted = Counted()
    CHAIN.compile().map(right_ends(5), {0: counted, 1: FIXED[1]})
    assert counted.reads == 1


def test_batches_are_read_one_after_the_other() -> None:
    started = 0

    def made() -> Iterator[list[np.ndarray]]:
        nonlocal started
        for (array,) in right_ends(4):
            started += 1
            yield [array]
            assert out[started - 1].any()

    out = np.zeros((4, 2, 5))
    assert CHAIN.compile().map(made(), FIXED, out=out) is out
    np.testing.assert_array_equal(out, CHAIN.compile().map(right_ends(4), FIXED))


def test_one_array_may_hold_the_batches() -> None:
    stacked = np.array(right_ends(6))  # of shape (runs, operands, 4, 5)
    np.testing.assert_array_equal(
        CHAIN.compile().map(stacked, FIXED), CHAIN.compile().map(right_ends(6), FIXED)
    )


def test_out_may_have_any_strides_and_a_wider_dtype() -> None:
    out = np.zeros((5, 2, 3), "complex128").T
    CHAIN.compile().map(right_ends(3), FIXED, out=out)
    np.testing.assert_array_equal(out, CHAIN.compile().map(right_ends(3), FIXED))


def test_everything_or_nothing_may_be_constant() -> None:
    program = CHAIN.compile()
    last = right_ends(1)[0][0]
    want = program(FIXED[0], FIXED[1], last)
    np.testing.assert_array_equal(program.map([[], []], {**FIXED, 2: last}), [want, want])
    np.testing.assert_array_equal(program.map([[FIXED[0], FIXED[1], last]], {}), [want])


def test_no_runs_give_no_results() -> None:
    assert CHAIN.compile("float32").map([], FIXED).shape == (0, 2, 5)
    assert CHAIN.compile("float32").map([], FIXED).dtype == np.float32


def test_stripped_exponents_of_constants_and_runs_add_up() -> None:
    expr = tn.Expr(((0, 1), (1, 2), (2, 3), (3,)), (0,), (2, 2, 2, 2))
    plan = tn.plan_expr(expr, [(0, 1), (0, 2), (0, 1)], strip_exponent=True)
    huge, tiny = np.full((2, 2), 1e200), np.full(2, 1e-300)
    constants = {0: huge, 1: huge, 2: huge}
    mantissas, exponents = plan.compile().map([[tiny], [np.zeros(2)]], constants)
    logs = np.log10(mantissas[0]) + exponents[0] * np.log10(2.0)
    np.testing.assert_allclose(logs, 600 - 300 + np.log10(8), rtol=1e-12)
    assert not mantissas[1].any()
    assert exponents[1] == -np.inf


def test_half_precision_is_rounded_at_the_end_only() -> None:
    plan = tn.plan(["ab", "bc", "c"], "a", {"a": 2, "b": 2, "c": 2}, optimize=[(0, 1), (0, 1)])
    program = plan.compile("float16")
    large, small = np.full((2, 2), 300, "f2"), np.full(2, 1e-3, "f2")
    got = program.map([[small]], {0: large, 1: large})
    np.testing.assert_array_equal(got[0], program(large, large, small))
    assert np.isfinite(got).all()


def test_progress_counts_the_macs_of_all_runs() -> None:
    seen: list[tuple[float, float]] = []
    program = CHAIN.compile()
    _, rest = fold_tree(CHAIN.tree, FIXED.keys(), None)
    program.map(right_ends(3), FIXED, progress=lambda *n: seen.append(n))
    assert seen == [(k * rest.macs, 3 * rest.macs) for k in (1, 2, 3)]


def test_long_runs_report_on_the_way() -> None:
    expr = tn.Expr(((0, 1), (1, 2)), (0, 2), (200, 200, 200))
    program = tn.plan_expr(expr).compile(threads=1)
    seen: list[float] = []
    a = np.ones((200, 200))
    program.map([[a], [a]], {0: a}, progress=lambda done, _: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 2 * program.macs
    assert len(seen) > 2


def test_what_does_not_fit_is_named() -> None:
    program = CHAIN.compile()
    good, bad = right_ends(1)[0], [np.ones((5, 4))]
    with pytest.raises(tn.ShapeError, match=r"batch 1: operand 0 has shape \(5, 4\)"):
        program.map([good, bad], FIXED)
    with pytest.raises(tn.ShapeError, match="batch 0 has 2 arrays, expected 1"):
        program.map([good + good], FIXED)
    with pytest.raises(TypeError, match="batch 0: operand 0 has dtype complex128"):
        program.map([[1j * good[0]]], FIXED)
    with pytest.raises(tn.ShapeError, match=r"operand 1 has shape \(2, 3\), expected \(3, 4\)"):
        program.map([good], {0: FIXED[0], 1: FIXED[0]})
    with pytest.raises(tn.ShapeError, match="constants names operand 3, but there are 3"):
        program.map([good], {3: FIXED[0]})
    with pytest.raises(tn.ShapeError, match="without a length need out="):
        program.map(iter([good]), FIXED)
    with pytest.raises(tn.ShapeError, match=r"out must be an array of shape \(1, 2, 5\)"):
        program.map([good], FIXED, out=np.empty((2, 2, 5)))
    with pytest.raises(tn.ShapeError, match="out has room for 1 runs"):
        program.map(iter([good, good]), FIXED, out=np.empty((1, 2, 5)))
    with pytest.raises(tn.ShapeError, match="2 runs were expected, but there are 1"):
        program.map(iter([good]), FIXED, out=np.empty((2, 2, 5)))


def test_what_is_kept_takes_no_more_memory_than_a_run() -> None:
    expr = lattice(4, 4)
    tree = search(expr)
    for limit in (0, 4, 64, 1 << 20):
        folds, _ = fold_tree(tree, set(range(1, 16)), limit)
        kept = [np.prod(f.tree.expr.output_shape) for f in folds if len(f.operands) > 1]
        assert sum(kept) <= limit


# Planning for it


def test_a_repeated_network_counts_what_is_constant_once() -> None:
    rng = np.random.default_rng(8)
    for _ in range(60):
        expr = random_network(rng)
        if 0 in expr.sizes:
            continue
        constants = {k for k in range(len(expr.inputs)) if rng.random() < 0.6}
        many = search(repeated(expr, constants, 7))
        tree = one_run(many, expr)
        folds, rest = fold_tree(tree, constants, None)
        once = sum(fold.tree.macs for fold in folds)
        assert many.macs == once + (1 if many.expr == expr else 7) * rest.macs


def brickwork(n: int, depth: int) -> Circuit:
    rng = np.random.default_rng(n)
    gates = []
    for t in range(depth):
        gates += [Gate("rx", (q,), (float(rng.random()),)) for q in range(n)]
        gates += [Gate("fs", (q, q + 1), (0.6, 0.3)) for q in range(t % 2, n - 1, 2)]
    return Circuit(n, tuple(gates))


def test_amplitudes_of_one_circuit_cost_far_less_than_their_runs() -> None:
    n, free, runs = 12, 4, 16
    circuit = brickwork(n, 8)
    words = ["0" * (n - free) + f"{k:0{free}b}" for k in range(runs)]
    expr, constants, batches = circuit.amplitudes(words, "complex128")
    plan = tn.plan_expr(expr, constants=constants, runs=runs, dtype="complex128")
    got = plan.compile().map(batches, constants)
    for word, amplitude in zip(words, got):
        want = tn.contract_expr(*circuit.amplitude(word, "complex128"))
        np.testing.assert_allclose(amplitude, want, rtol=1e-10)
    folds, rest = fold_tree(plan.tree, constants.keys(), None)
    together = sum(fold.tree.macs for fold in folds) + runs * rest.macs
    assert together < runs * tn.plan_expr(expr).macs / 8


def test_a_plan_for_many_runs_keeps_to_its_memory() -> None:
    expr = lattice(8, 8)
    limit = 30_000
    common = set(range(64)) - {0, 9}
    free = tn.plan_expr(expr, constants=common, runs=50)
    assert free.peak_memory > limit
    plan = tn.plan_expr(expr, constants=common, runs=50, memory_limit=limit)
    assert plan.expr == expr
    assert plan.peak_memory <= limit
    arrays = [np.full(shape, 0.5) for shape in expr.shapes]
    constants = {k: arrays[k] for k in common}
    got = plan.compile().map([[arrays[0], arrays[9]]] * 2, constants)
    np.testing.assert_allclose(got, [plan.run(arrays)] * 2, rtol=1e-12)


def test_one_run_and_given_trees_are_planned_as_ever() -> None:
    expr = lattice(4, 4)
    tree = search(expr)
    assert tn.plan_expr(expr, constants=(1, 2), runs=1).tree == tree
    assert tn.plan_expr(expr, tree, constants=(1, 2), runs=9).tree is tree


def test_many_sets_of_evidence_are_runs_of_one_model() -> None:
    model = read_uai(DATA / "chain.uai", evidence={})
    sets = [{}, {0: 1}, {1: 2, 2: 0}, {0: 0, 1: 0, 2: 1}]
    expr, constants, batches = model.with_evidence(sets)
    plan = tn.plan_expr(expr, constants=constants, runs=len(sets), strip_exponent=True)
    mantissas, exponents = plan.compile().map(batches, constants)
    for evidence, z in zip(sets, mantissas * 2.0**exponents):
        alone = read_uai(DATA / "chain.uai", evidence=evidence)
        np.testing.assert_allclose(z, tn.contract_expr(alone.expr, alone.arrays), rtol=1e-14)
    more = read_uai(DATA / "chain.uai", evidence={1: 1}).with_evidence([{0: 1}])
    got = tn.plan_expr(more[0]).compile().map(more[2], more[1])
    alone = read_uai(DATA / "chain.uai", evidence={0: 1, 1: 1})
    np.testing.assert_allclose(got, [tn.contract_expr(alone.expr, alone.arrays)])


def test_evidence_that_does_not_fit_the_model_is_refused() -> None:
    model = read_uai(DATA / "chain.uai", evidence={1: 1})
    for evidence, message in (
        ({3: 0}, "variable 3 is not one of the 3"),
        ({0: 2}, "has the values 0 to 1, not 2"),
        ({1: 1}, "variable 1 of the model is observed already"),
    ):
        with pytest.raises(ValueError, match=message):
            model.with_evidence([evidence])


def test_a_variable_in_no_factor_counts_its_values_until_it_is_observed() -> None:
    model = read_uai(io.StringIO("MARKOV 2  2 3  1  1 0  2  1 2"), {})
    expr, constants, batches = model.with_evidence([{}, {1: 2}, {0: 1}])
    got = tn.plan_expr(expr).compile().map(batches, constants)
    np.testing.assert_allclose(got, [9.0, 3.0, 6.0])


# expression.map


def test_an_expression_is_called_with_many_sets() -> None:
    expression = tn.contract_expression(
        "ij,jk,kl->il", FIXED[0], FIXED[1], (4, 5), constants=[0, 1], runs=3
    )
    batches = right_ends(3)
    want = [expression(*batch) for batch in batches]
    np.testing.assert_array_equal(expression.map(batches), want)
    out = np.zeros((3, 2, 5), "complex128")
    assert expression.map(iter(batches), out=out) is out
    np.testing.assert_array_equal(out, want)
    assert expression.map([]).shape == (0, 2, 5)
    assert expression.map([[b.astype("f4")] for (b,) in batches]).dtype == np.float64
    with pytest.raises(tn.ShapeError, match="takes 1 array besides 2 constant, not 2"):
        expression.map([[FIXED[0], FIXED[1]]])


def test_constants_of_an_expression_are_folded_once_for_each_dtype(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 0

    def counted(*args: Any) -> Any:
        nonlocal count
        count += 1
        return contract_folds(*args)

    monkeypatch.setattr(tn.expression, "contract_folds", counted)
    fixed = [array.astype("float32") for array in FIXED.values()]
    expression = tn.contract_expression("ij,jk,kl->il", *fixed, (4, 5), constants=[0, 1])
    for dtype in ("float32", "float64", "float32", "float64"):
        batches = [[array.astype(dtype)] for (array,) in right_ends(2)]
        expression(*batches[0])
        expression(*batches[1], out=np.empty((2, 5), dtype))
        expression.map(batches)
    assert count == 2


def test_an_expression_maps_over_stretched_and_cast_operands() -> None:
    expression = tn.contract_expression(
        "...a,ba->...b", (3, 1, 2), np.eye(2), constants=[1], dtype="float32", casting="unsafe"
    )
    batches = [[np.full((3, 1, 2), k + 0.5)] for k in range(3)]
    got = expression.map(batches)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [expression(*batch) for batch in batches])


def test_constants_of_an_expression_may_leave_the_range_of_floats() -> None:
    huge = np.full((2, 2), 1e200)
    expression = tn.contract_expression(
        "ab,bc,cd,d->a", huge, huge, huge, (2,), constants=[0, 1, 2], strip_exponent=True
    )
    for mantissa, exponent in (
        expression(np.full(2, 1e-300)),
        [x[0] for x in expression.map([[np.full(2, 1e-300)]])],
        expression(np.full(2, 1e-300)),
    ):
        logs = np.log10(mantissa) + exponent * np.log10(2.0)
        np.testing.assert_allclose(logs, 600 - 300 + np.log10(8), rtol=1e-12)


def test_what_an_expression_keeps_counts_in_its_memory_limit() -> None:
    expr = lattice(8, 8)
    arrays = [np.full(shape, 0.5) for shape in expr.shapes]
    given: list[Any] = []
    for k, (array, term) in enumerate(zip(arrays, expr.inputs)):
        given += [array.shape if k == 0 else array, list(term)]
    for limit in (20_000, 40_000):
        expression = tn.contract_expression(
            *given, [], constants=range(1, 64), memory_limit=f"{limit}B", runs=100
        )
        expression(arrays[0])
        prepared = next(iter(expression._prepared.values()))
        kept = sum(array.nbytes for array in prepared.folded if array.size > 16)
        assert kept + prepared.program.memory_required <= limit


def test_saved_plans_for_many_runs_are_plans_of_one() -> None:
    plan = tn.plan_expr(lattice(3, 3), constants=(1, 2), runs=9)
    assert tn.Plan.from_json(plan.to_json()) == plan
    assert plan.expr == lattice(3, 3)
