"""einsum, tensordot and plan: the results, the types and the one-line errors of the front doors."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import opt_einsum
import oracle
import pytest

import tensornet as tn
from tensornet import config
from tensornet.expr import Expr
from tensornet.planner import Tree

A = np.arange(6.0).reshape(2, 3)
B = np.arange(12.0).reshape(3, 4)


def complaint(call, *args, **options) -> str:
    """The message of the error that a call ends in: one line, and one of ours or a builtin's."""
    with pytest.raises((ValueError, TypeError, MemoryError)) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


# What comes back


def test_a_full_contraction_is_a_numpy_scalar() -> None:
    value = tn.einsum("ij,ij", A, A)
    assert type(value) is np.float64
    assert value == 55.0
    assert type(tn.einsum(",", 2, 3)) is np.int64
    assert tn.tensordot(A, A).shape == ()
    assert type(tn.tensordot(A, A)) is np.ndarray


def test_operands_may_be_lists_scalars_and_subclasses() -> None:
    assert tn.einsum("i,i", [1, 2, 3], (1.0, 2.0, 3.0)) == 14.0
    np.testing.assert_array_equal(tn.einsum("i,", [1, 2], 2), [2, 4])
    assert type(tn.einsum("ij->ij", A.view(np.matrix))) is np.ndarray


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("bool", "bool", "bool"),
        ("int8", "uint8", "int16"),
        ("int8", "float16", "float16"),
        ("int64", "float32", "float64"),
        ("float32", "complex64", "complex64"),
        ("uint64", "int64", "float64"),
        (">f4", "<f4", "float32"),
    ],
)
def test_result_types_are_numpys(left: str, right: str, result: str) -> None:
    a, b = np.ones((2, 3), left), np.ones((3, 2), right)
    assert tn.einsum("ij,jk", a, b).dtype == result
    assert tn.tensordot(a, b, 1).dtype == result
    np.testing.assert_array_equal(tn.einsum("ij,jk", a, b), np.einsum("ij,jk", a, b))


def test_small_integers_wrap_and_booleans_are_or_and() -> None:
    many = np.full(3, 100, np.int8)
    assert tn.einsum("i,i", many, many) == np.einsum("i,i", many, many)
    assert tn.einsum("i->", many).dtype == np.int8
    flags = np.array([True, True, False])
    assert tn.einsum("i->", flags) is np.True_
    assert tn.einsum("i,i->", flags, ~flags) is np.False_


@pytest.mark.parametrize("call", ["first", "repeated"])
def test_one_operand_comes_back_as_a_writable_view(call: str) -> None:
    a = np.zeros((3, 3))
    if call == "first":
        tn.clear_cache()
    tn.einsum("ii->i", a)[...] = 1
    np.testing.assert_array_equal(a, np.eye(3))
    assert np.shares_memory(tn.einsum("ij->ji", a), a)
    frozen = np.broadcast_to(1.0, (3, 3))
    assert not tn.einsum("ii->i", frozen).flags.writeable
    assert not np.shares_memory(tn.einsum("ij->ji", a, order="C"), a)
    swapped = np.eye(3, dtype=">f8")
    assert np.shares_memory(tn.einsum("ij->ji", swapped), swapped)
    assert tn.einsum("ij->ji", swapped, dtype="float64").dtype.isnative
    assert type(tn.einsum("->", np.array(2.0))) is np.float64
    assert tn.einsum("ij->ji", a[:2]).shape == (3, 2)


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
def test_order_sets_the_layout_and_not_the_value(order: str) -> None:
    a, b = np.asfortranarray(A), np.asfortranarray(B)
    np.testing.assert_array_equal(tn.einsum("ij->ji", a, order=order), A.T)
    got = tn.einsum("ij,jk->ik", a, b, order=order)
    np.testing.assert_array_equal(got, A @ B)
    if order != "K":
        assert got.flags.f_contiguous == (order != "C")
        assert got.flags.c_contiguous == (order == "C")


# dtype, casting and out


def test_dtype_sets_the_dtype_of_the_computation() -> None:
    many = np.full(3, 100, np.int8)
    assert tn.einsum("i,i", many, many, dtype=np.int64) == 30_000
    assert tn.einsum("ij,jk", A, B, dtype="f4", casting="same_kind").dtype == np.float32
    np.testing.assert_array_equal(
        tn.einsum("i->i", [1.7, 2.2], dtype=int, casting="unsafe"), [1, 2]
    )
    assert "cannot be cast to float32" in complaint(tn.einsum, "ij,jk", A, B, dtype="f4")


def test_out_has_its_say_in_the_result_type_as_in_numpy() -> None:
    many = np.full(3, 100, np.int8)
    out = np.zeros((), np.int64)
    assert tn.einsum("i,i", many, many, out=out) is out
    assert out == 30_000


def test_out_is_cast_as_casting_allows() -> None:
    out = np.zeros((2, 4), np.float32)
    tn.einsum("ij,jk", A, B, out=out, casting="same_kind")
    np.testing.assert_array_equal(out, A @ B)
    whole = np.zeros((2, 4), int)
    tn.einsum("ij,jk", A, B, out=whole, casting="unsafe")
    np.testing.assert_array_equal(whole, A @ B)
    wide = np.zeros((2, 4), complex)
    assert tn.einsum("ij,jk", A, B, out=wide).dtype == complex
    assert "casting='safe'" in complaint(tn.einsum, "ij,jk", A, B, out=out)
    assert "casting='same_kind'" in complaint(
        tn.einsum, "ij,jk", A, B, out=whole, casting="same_kind"
    )


def test_a_bad_out_is_refused_and_left_alone() -> None:
    out = np.full((2, 5), 7.0)
    assert "out has shape (2, 5)" in complaint(tn.einsum, "ij,jk", A, B, out=out)
    assert (out == 7).all()
    assert "must be a NumPy array, not list" in complaint(tn.einsum, "ij,jk", A, B, out=[1])
    frozen = np.zeros((2, 4))
    frozen.flags.writeable = False
    assert "read-only" in complaint(tn.einsum, "ij,jk", A, B, out=frozen)


# A new user's wrong moves


def test_wrong_moves_end_in_one_line() -> None:
    assert complaint(tn.einsum, "ij,jk->ik", A, B.T) == (
        "index 'j' has extent 3 on operand 0 (axis 1, shape (2, 3)) "
        "but 4 on operand 1 (axis 0, shape (4, 3))"
    )
    assert "output index 'l' is on no operand" in complaint(tn.einsum, "ij,jk->il", A, B)
    assert "name 3 operands but 2" in complaint(tn.einsum, "ij,jk,kl", A, B)
    assert "operand 1 has 2 axes" in complaint(tn.einsum, "ij,j", A, B)
    assert "order must be one of" in complaint(tn.einsum, "ij,jk", A, B, order="Z")
    assert "2 operands but 1 was given" in complaint(tn.einsum, "ij,jk", A)
    assert "casting" in complaint(tn.einsum, "ij,jk", A, B, casting="blah")
    assert "blah" in complaint(tn.einsum, "ij,jk", A, B, optimize="blah")
    assert "unexpected keyword" in complaint(tn.einsum, "ij,jk", A, B, optimise="auto")
    assert "size in bytes" in complaint(tn.einsum, "ij,jk", A, B, memory_limit="lots")


@pytest.mark.parametrize("dtype", [object, np.longdouble, np.clongdouble, "U3", "M8[s]"])
def test_an_unsupported_dtype_is_named_with_its_operand(dtype: object) -> None:
    bad = np.zeros((3, 4), dtype)
    message = complaint(tn.einsum, "ij,jk", A, bad)
    assert "operand 1" in message
    assert str(bad.dtype) in message
    assert "float64" in message
    assert "float64" in complaint(tn.tensordot, A, bad, 1)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (2, "shape"),
        (3, "axes=3 needs that many axes on both arrays"),
        (-1, "axes=-1"),
        (([1], [1]), "axis 1 of a has extent 3 but axis 1 of b"),
        (([1, 1], [0, 0]), "name an axis twice"),
        (([1, -1], [0, 1]), "name an axis twice"),
        (([1], [0, 1]), "pairs 1 axes of a with 2 axes of b"),
        (([5], [0]), "a has no axis 5"),
        (([0], [-3]), "b has no axis -3"),
        (1.5, "axes must be a number, or a pair"),
        ((1,), "axes must be a number, or a pair"),
        ("ab", "axes must be a number, or a pair"),
    ],
)
def test_tensordot_names_axes_and_extents(axes: object, message: str) -> None:
    assert message in complaint(tn.tensordot, A, B, axes)


@pytest.mark.parametrize("axes", [1, ([1], [0]), (1, 0), (-1, -2), np.array([[1], [0]]), ([], [])])
def test_tensordot_takes_axes_as_numpy_does(axes: object) -> None:
    np.testing.assert_array_equal(tn.tensordot(A, B, axes), np.tensordot(A, B, axes))


# Many indices, many operands


def test_indices_are_not_limited_to_the_alphabet() -> None:
    n = 300
    rng = np.random.default_rng(0)
    symbols = [opt_einsum.get_symbol(i) for i in range(n + 1)]
    arrays = [oracle.small_integers(rng, (2, 2), "int64") for _ in range(n)]
    text = ",".join([a + b for a, b in pairwise(symbols)])
    expr = Expr(tuple([(i, i + 1) for i in range(n)]), (0, n), (2,) * (n + 1))
    got = tn.einsum(f"{text}->{symbols[0]}{symbols[-1]}", *arrays)
    oracle.assert_exact(got, expr, arrays)


def test_one_index_may_be_on_many_operands() -> None:
    vectors = [np.array([1.0, 2.0, 0.5])] * 40
    got = tn.einsum(",".join(["i"] * 40) + "->i", *vectors)
    np.testing.assert_allclose(got, vectors[0] ** 40)


def test_a_hundred_thousand_tensors_need_no_recursion() -> None:
    n = 100_000
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    expr = Expr(tuple([(i, i + 1) for i in range(n)]), (0, n), (2,) * (n + 1))
    got = tn.contract_expr(expr, [turn] * n, optimize="greedy")
    np.testing.assert_array_equal(got, np.eye(2))


# optimize=


def test_every_kind_of_optimize_gives_the_same_number() -> None:
    rng = np.random.default_rng(1)
    text = "ab,bcd,de,ce,f->af"
    extents = {"a": 3, "b": 4, "c": 2, "d": 5, "e": 3, "f": 2}
    terms = text.partition("->")[0].split(",")
    arrays = [oracle.small_integers(rng, [extents[x] for x in t], "int64") for t in terms]
    want = np.einsum(text, *arrays)
    made = tn.plan(terms, "af", extents)
    kinds = [
        *("auto", "greedy", "random-greedy", "optimal", "dp", "branch-2", "eager", "auto-hq"),
        *(True, False, [(0, 1), (0, 1), (0, 1), (0, 1)], ((0, 1, 2, 3, 4),)),
        *(["einsum_path", (0, 1), (0, 1, 2, 3)], opt_einsum.RandomGreedy(max_repeats=4)),
        *(opt_einsum.DynamicProgramming(), made, made.tree),
    ]
    for kind in kinds:
        np.testing.assert_array_equal(tn.einsum(text, *arrays, optimize=kind), want)


def test_cotengra_optimizers_and_trees_are_taken() -> None:
    cotengra = pytest.importorskip("cotengra")
    rng = np.random.default_rng(1)
    text = "ab,bc,cd,da->"
    arrays = [rng.standard_normal((3, 3)) for _ in range(4)]
    want = np.einsum(text, *arrays)
    optimizer = cotengra.GreedyOptimizer()
    np.testing.assert_allclose(tn.einsum(text, *arrays, optimize=optimizer), want)


def test_a_path_for_another_network_is_refused() -> None:
    assert complaint(tn.einsum, "ij,jk", A, B, optimize=[(0, 5)])
    wrong = tn.plan(["ab", "bc", "cd"], "ad", dict.fromkeys("abcd", 2))
    assert complaint(tn.einsum, "ij,jk", A, B, optimize=wrong)


# Memory


def test_a_memory_limit_slices_and_an_impossible_one_says_what_would_do() -> None:
    rng = np.random.default_rng(5)
    text = "abcd,cdef,efgh,ghab->"
    arrays = [oracle.small_integers(rng, (8,) * 4, "float64") for _ in range(4)]
    want = tn.einsum(text, *arrays)
    terms = text[:-2].split(",")
    sizes = dict.fromkeys("abcdefgh", 8)
    whole = tn.plan(terms, "", sizes)
    limit = whole.peak_memory // 4
    sliced = tn.plan(terms, "", sizes, memory_limit=limit)
    assert sliced.peak_memory <= limit
    assert sliced.n_slices > 1
    assert set(sliced.sliced) <= set("abcdefgh")
    assert tn.einsum(text, *arrays, memory_limit=limit) == want
    assert tn.einsum(text, *arrays, memory_limit=f"{limit / 1000}KB") == want
    assert tn.einsum(text, *arrays, optimize=sliced) == want
    message = complaint(tn.plan, ["ab", "bc"], "ac", {"a": 64, "b": 2, "c": 64}, memory_limit=9000)
    smallest = int(message.partition("would do is ")[2].split()[0].replace(",", ""))
    assert smallest >= 64 * 64 * 8
    fits = tn.plan(["ab", "bc"], "ac", {"a": 64, "b": 2, "c": 64}, memory_limit=smallest)
    assert fits.peak_memory <= smallest


def test_a_run_that_cannot_fit_is_refused_before_anything_is_allocated() -> None:
    rows = np.broadcast_to(1.0, (config.total_memory() // 8,))
    pair = np.broadcast_to(1.0, (64,))
    with pytest.raises(MemoryError) as caught:
        tn.einsum("i,j->ij", rows, pair)
    assert isinstance(caught.value, tn.MemoryLimitError)
    assert "\n" not in str(caught.value)


# Plans


def test_a_plan_tells_what_it_costs() -> None:
    made = tn.plan(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 4, "d": 5})
    assert made.n_tensors == 3
    assert made.n_indices == 4
    assert made.macs == 2 * 3 * 4 + 2 * 4 * 5
    assert made.max_size == 10
    assert made.n_slices == 1
    assert made.sliced == ()
    assert made.path == [(0, 1), (0, 1)]
    assert made.ssa_path == ((0, 1), (2, 3)) or made.ssa_path == ((0, 1), (3, 2))
    text = str(made)
    for words in ("3 tensors", "4 indices", "width", "log10 macs", "peak memory", "slices"):
        assert words in text


def test_a_plan_beyond_any_machine_is_told_and_can_be_sliced() -> None:
    n = 40
    pairs = [(k, n + k) for k in range(n)]
    terms = [*pairs, *[(k,) for k in range(2 * n)]]
    outer = [tuple(range(n)), tuple(range(2 * n)), (0, 1)]  # all pairs first: 2**80 entries
    sizes = dict.fromkeys(range(2 * n), 2)
    made = tn.plan(terms, [], sizes, outer)
    assert made.max_size == 2**80
    assert "2^80.0 entries" in str(made)
    sliced = tn.plan(terms, [], sizes, outer, memory_limit="1MB")
    assert sliced.peak_memory <= 10**6
    ends = list(range(5000))
    many = tn.plan([[k] for k in ends], ends, dict.fromkeys(ends, 2))
    assert "5000 axes" in str(many)
    message = complaint(tn.plan, [[k] for k in ends], ends, dict.fromkeys(ends, 2), memory_limit=9)
    assert "the result alone takes 2^5003.0 bytes" in message


def test_a_plan_compiles_for_any_dtype() -> None:
    made = tn.plan(["ab", "bc"], "ac", {"a": 2, "b": 3, "c": 4})
    program = made.compile("complex64", threads=1)
    assert program.dtype == np.complex64
    np.testing.assert_allclose(program(A.astype("c8"), B.astype("c8")), A @ B)
    assert made.compile().dtype == np.float64
    assert "supported" in complaint(made.compile, object)
    assert "supported" in complaint(tn.plan, ["a"], "a", {"a": 2}, dtype=np.longdouble)


def test_a_plan_survives_json(tmp_path: Path) -> None:
    sizes = {("x", 1): 4, "b": 8, 3: 4}
    made = tn.plan(
        [[("x", 1), "b"], ["b", 3], [3, ("x", 1)]], [], sizes, memory_limit=250, dtype="float32"
    )
    assert tn.Plan.from_json(made.to_json()) == made
    made.save(tmp_path / "plan.json")
    again = tn.Plan.load(tmp_path / "plan.json")
    assert again == made
    assert again.sliced == made.sliced
    assert again.peak_memory == made.peak_memory
    numbered = tn.plan([[np.int64(0), np.int64(1)]], [0], {0: 2, 1: 3})
    assert tn.Plan.from_json(numbered.to_json()) == numbered
    unnamed = tn.plan([[frozenset()]], [], {frozenset(): 2})
    assert "cannot be saved" in complaint(unnamed.to_json)


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    good = json.loads(tn.plan(["ab", "bc", "cd"], "ad", dict.fromkeys("abcd", 2)).to_json())

    def changed(**fields: object) -> str:
        return complaint(tn.Plan.from_json, json.dumps({**good, **fields}))

    assert "JSON" in complaint(tn.Plan.from_json, "{")
    assert "not a saved plan" in complaint(tn.Plan.from_json, "[]")
    assert "not a saved plan" in changed(format="other")
    assert "version 99" in changed(version=99)
    assert "3 labels, 4 indices" in changed(labels=["a", "b", "c"])
    assert "label" in changed(labels=["a", "b", "c", {}])
    assert "label" in changed(labels=3)
    assert "threads" in changed(threads="two")
    assert "threads" in changed(threads=-5)
    assert "strip_exponent" in changed(strip_exponent=1)
    assert "malformed" in changed(dtype="float65")
    assert changed(tree=None)
    assert changed(tree={**good["tree"], "steps": [[0, 1], [0, 1]]})
    assert changed(tree={**good["tree"], "steps": [[0, 1]]})
    assert changed(tree={**good["tree"], "inputs": [[0, 9], [1, 2], [2, 3]]})
    assert changed(tree={**good["tree"], "sliced": [17]})
    for name in good:
        if name not in ("format", "search", "seconds"):
            assert complaint(
                tn.Plan.from_json, json.dumps({k: x for k, x in good.items() if k != name})
            )
    path = tmp_path / "bad.json"
    for content in (b"nothing", b"\x89PNG\r\n", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(tn.FormatError, match=r"bad\.json"):
            tn.Plan.load(path)


def test_none_stands_for_the_default_of_order_and_optimize() -> None:
    want = A @ B
    np.testing.assert_array_equal(tn.einsum("ij,jk", A, B, order=None, optimize=None), want)
    expression = tn.contract_expression("ij,jk", A.shape, B.shape, order=None, optimize=None)
    np.testing.assert_array_equal(expression(A, B), want)
    assert np.shares_memory(tn.einsum("ij->ji", A, order=None), A)


def test_plan_takes_only_whole_numbers_for_whole_numbers() -> None:
    chain = ["ab", "bc", "cd"], "ad", dict.fromkeys("abcd", 2)
    assert "extent 2.5" in complaint(tn.plan, ["ab"], "a", {"a": 2, "b": 2.5})
    assert "extent '2'" in complaint(tn.plan, ["ab"], "a", {"a": 2, "b": "2"})
    assert "max_steps is 2.5" in complaint(tn.plan, *chain, max_steps=2.5)
    assert "max_time is '1'" in complaint(tn.plan, *chain, max_time="1")
    assert "seed is 1.5" in complaint(tn.plan, *chain, seed=1.5)
    assert tn.plan(*chain, seed=np.int64(-1)).macs == 16


def test_an_impossible_limit_names_one_that_slicing_can_keep() -> None:
    sites = [(x, y) for x in range(10) for y in range(10)]
    bonds = [((x, y), z) for x, y in sites for z in ((x + 1, y), (x, y + 1)) if z in sites]
    inputs = [[bond for bond in bonds if site in bond] for site in sites]
    network = inputs, [], dict.fromkeys(bonds, 2), "greedy"
    whole = tn.plan(*network).peak_memory
    message = complaint(tn.plan, *network, memory_limit=1)
    smallest = int(message.partition("would do is ")[2].split()[0].replace(",", ""))
    assert smallest < whole
    assert tn.plan(*network, memory_limit=smallest).peak_memory <= smallest


def test_an_impossible_number_of_threads_is_refused() -> None:
    sizes = {"a": 2, "b": 2}
    assert "from 1 to 1024, not 0" in complaint(tn.plan, ["ab"], "a", sizes, threads=0)
    assert "from 1 to 1024, not 5000" in complaint(tn.plan, ["ab"], "a", sizes, threads=5000)
    assert "whole number" in complaint(tn.plan, ["ab"], "a", sizes, threads="2")
    assert "not -1" in complaint(tn.plan(["ab"], "a", sizes).compile, threads=-1)


def test_plan_says_what_is_wrong_with_its_labels() -> None:
    assert "one term per tensor" in complaint(tn.plan, "ab,bc", "ac", {})
    assert "'c' has no entry in sizes" in complaint(tn.plan, ["ab", "bc"], "ac", {"a": 2, "b": 2})
    assert "'z' is on no operand" in complaint(tn.plan, ["ab"], "z", {"a": 2, "b": 2})


def test_plan_expr_keeps_to_a_number_of_entries() -> None:
    expr = Expr(((0, 1), (1, 2)), (0, 2), (8, 4, 8))
    made = tn.plan_expr(expr, max_entries=16)
    assert made.max_size <= 16
    assert made.n_slices >= 4
    assert isinstance(made.tree, Tree)


def test_contract_expr_is_the_road_of_every_door() -> None:
    expr = Expr(((0, 1), (1, 2)), (0, 2), (2, 3, 4))
    out = np.full((2, 4), np.nan)
    assert tn.contract_expr(expr, [A, B], out=out) is out
    np.testing.assert_array_equal(out, A @ B)
    seen: list[tuple[float, float]] = []
    tn.contract_expr(expr, [A, B], progress=lambda done, total: seen.append((done, total)))
    mantissa, exponent = tn.contract_expr(expr, [A, B * 2.0**900], strip_exponent=True)
    np.testing.assert_allclose(mantissa * 2.0 ** (exponent - 900), A @ B)
    assert "operand 1 has shape" in complaint(tn.contract_expr, expr, [A, B.T])
    assert "2 operands but 1" in complaint(tn.contract_expr, expr, [A])
    assert tn.contract_expr(expr, [A, B], dtype="float32").dtype == np.float32


def test_a_remembered_einsum_is_not_taken_for_one_of_other_ranks_or_dtypes() -> None:
    matrix, vector = np.ones((2, 2)), np.ones(2)
    tn.einsum("ij,j", matrix, vector)
    assert "operand 0 has 1 axis" in complaint(tn.einsum, "ij,j", vector, matrix)
    assert tn.einsum("ij,j", matrix.astype("f4"), vector.astype("f4")).dtype == np.float32
    assert tn.einsum("ij,j", matrix, np.ones(1)).tolist() == [2.0, 2.0]
    assert tn.einsum("ij,j", matrix, np.ones(2, int)).dtype == np.float64
    program = tn.plan(["ij", "j"], "i", {"i": 2, "j": 2}).compile()
    assert "operand 0 has shape (2,)" in complaint(program, vector, matrix)


def test_a_changed_number_of_threads_counts_from_the_next_call() -> None:
    before = tn.get_num_threads()
    try:
        for n in (1, 2):
            tn.set_num_threads(n)
            np.testing.assert_array_equal(tn.einsum("ij,jk", A, B), A @ B)
            assert tn.plan(["ab"], "a", {"a": 2, "b": 2}).compile().threads >= 1
    finally:
        tn.set_num_threads(before)


def test_clear_cache_forgets_and_the_next_call_still_works() -> None:
    tn.einsum("ij,jk", A, B)
    tn.clear_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(tn.einsum("ij,jk", A, B), A @ B)


def test_a_repeated_einsum_writes_to_out_even_where_it_overlaps_an_operand():
    rng = np.random.default_rng(5)
    memory = rng.standard_normal(40)
    a, b = memory[:9].reshape(3, 3), rng.standard_normal((3, 3))
    outs = {
        "apart": np.empty((3, 3)),
        "strided": np.empty((6, 6))[::-2, ::2],
        "overlapping": memory[4:13].reshape(3, 3),
        "the operand": a,
        "wider": np.empty((3, 3), complex),
    }
    for name, out in outs.items():
        for _ in range(3):
            wanted = a @ b
            assert tn.einsum("ij,jk->ik", a, b, out=out) is out
            np.testing.assert_allclose(out, wanted, err_msg=name)
    read_only = np.empty((3, 3))
    read_only.flags.writeable = False
    for wrong in (read_only, np.empty((3, 4)), np.empty((3, 3), np.float32)):
        with pytest.raises((ValueError, TypeError)):
            tn.einsum("ij,jk->ik", a, b, out=wrong)


def test_a_transposition_is_a_view_whether_or_not_one_was_written_to_out_before():
    a = np.arange(6.0).reshape(2, 3)
    out = np.empty((3, 2))
    for _ in range(3):
        assert tn.einsum("ij->ji", a, out=out) is out
        assert (out == a.T).all()
        assert np.shares_memory(tn.einsum("ij->ji", a), a)
        tn.einsum("ij->ji", a.astype(int), out=out)  # of another dtype, which cannot be a view
        assert np.shares_memory(tn.einsum("ij->ji", a), a)


def test_what_the_search_makes_small_can_be_chosen() -> None:
    rng = np.random.default_rng(3)
    shapes = [(3, 9), (9, 4), (4, 9), (9, 2)]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    want = arrays[0] @ arrays[1] @ arrays[2] @ arrays[3]
    subscripts = "ab,bc,cd,de->ae"
    np.testing.assert_allclose(tn.einsum(subscripts, *arrays, minimize="size"), want)
    expression = tn.contract_expression(subscripts, *shapes, minimize="write")
    np.testing.assert_allclose(expression(*arrays), want)
    with pytest.raises(tn.PlanError, match="nothing to minimize"):
        tn.einsum(subscripts, *arrays, minimize="beauty")
    with pytest.raises(tn.PlanError, match="nothing to minimize"):
        tn.contract_expression(subscripts, *shapes, minimize="beauty")
