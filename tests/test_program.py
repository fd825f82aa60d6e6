"""Programs: one compiled tree, run on arrays of any strides, sliced, threaded, stripped."""

from __future__ import annotations

import threading
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import tensornet as tn
from tensornet import config
from tensornet._kernels import kept
from tensornet.arrays import SUPPORTED_DTYPES
from tensornet.errors import MemoryLimitError, ShapeError
from tensornet.expr import Expr, from_labels
from tensornet.formats import read_circuit
from tensornet.planner import Tree, slice_tree
from tensornet.program import Program, clear_cache, lower

SIZES = dict(zip("abcdefgh", (3, 4, 5, 2, 7, 6, 33, 17)))
FLOATS = ("float32", "complex64", "float64", "complex128")


def chain_tree(inputs: list[str], output: str, sliced: str = "", sizes: dict = SIZES) -> Tree:
    """The tree that contracts the operands from left to right."""
    expr = from_labels(inputs, output, sizes)
    number = {label: i for i, label in enumerate(dict.fromkeys("".join(inputs)))}
    steps, last = [], 0
    for operand in range(1, len(inputs)):
        steps.append((last, operand))
        last = len(inputs) + operand - 1
    return Tree(expr, tuple(steps), tuple(number[label] for label in sliced))


def integers(shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    """Small whole numbers, so that every order of summation gives the same result."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    low = 0 if dtype.kind == "u" else -2
    values = rng.integers(low, 3, shape)
    if dtype.kind == "c":
        values = values + 1j * rng.integers(low, 3, shape)
    return np.asarray(values).astype(dtype)


def operands(tree: Tree, dtype: np.dtype) -> list[np.ndarray]:
    return [integers(shape, dtype, seed) for seed, shape in enumerate(tree.expr.shapes)]


def reference(inputs: list[str], output: str, arrays: list[np.ndarray]) -> np.ndarray:
    dtype = arrays[0].dtype
    if dtype == np.float16:
        arrays = [a.astype("float64") for a in arrays]
    return np.einsum(",".join(inputs) + "->" + output, *arrays).astype(dtype)


NETWORKS = [
    (["ab", "bc", "cd"], "ad"),
    (["ab", "bc", "cd"], ""),
    (["abc", "abd", "ab"], "cda"),
    (["aab", "bcc", "ad"], "d"),
    (["ge", "ehg", "hb"], "gb"),
    (["ab"], "ba"),
    (["aab"], "b"),
    (["a", "b", "c"], "cab"),
    (["", "ab", ""], "a"),
]


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES, ids=str)
@pytest.mark.parametrize(("inputs", "output"), NETWORKS, ids=str)
def test_every_dtype_gives_numpys_result_exactly(
    inputs: list[str], output: str, dtype: np.dtype
) -> None:
    tree = chain_tree(inputs, output)
    arrays = operands(tree, dtype)
    got = lower(tree, dtype)(*arrays)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, reference(inputs, output, arrays))


@pytest.mark.parametrize("dtype", [np.dtype("float64"), np.dtype("float16"), np.dtype("int8")])
@pytest.mark.parametrize(("inputs", "output"), NETWORKS, ids=str)
def test_sliced_programs_sum_to_the_unsliced_value(
    inputs: list[str], output: str, dtype: np.dtype
) -> None:
    labels = sorted(set("".join(inputs)))
    for count in range(1, min(4, len(labels) + 1)):
        for sliced in combinations(labels, count):
            tree = chain_tree(inputs, output, "".join(sliced))
            arrays = operands(tree, dtype)
            got = lower(tree, dtype, threads=2)(*arrays)
            np.testing.assert_array_equal(got, reference(inputs, output, arrays))


def test_operands_and_out_of_any_strides() -> None:
    tree = chain_tree(["eg", "gh"], "eh")
    program = lower(tree, "float64")
    a, b = operands(tree, np.dtype("float64"))
    wide = np.zeros((2 * a.shape[0], 3 * a.shape[1]))
    wide[::2, ::3] = a
    unaligned = np.zeros(a.nbytes + 1, np.uint8)[1:].view("float64").reshape(a.shape)
    unaligned[...] = a
    expected = a @ b
    for left in (
        a,
        np.asfortranarray(a),
        a[::-1, ::-1].copy()[::-1, ::-1],
        wide[::2, ::3],
        unaligned,
    ):
        for right in (b, np.asfortranarray(b)):
            np.testing.assert_array_equal(program(left, right), expected)
            for out in (
                np.full((7, 17), np.nan),
                np.full((17, 7), np.nan).T,
                np.full((14, 34), np.nan)[::2, ::-2],
            ):
                assert program(left, right, out=out) is out
                np.testing.assert_array_equal(out, expected)


def test_broadcast_operands_are_read_with_stride_zero() -> None:
    tree = chain_tree(["eg", "gh"], "eh")
    a = np.broadcast_to(np.arange(33.0), (7, 33))
    b = np.broadcast_to(np.arange(33.0)[:, None], (33, 17))
    np.testing.assert_array_equal(lower(tree, "float64")(a, b), a @ b)


def test_out_may_be_an_operand() -> None:
    sizes = {"a": 20, "b": 20, "c": 20}
    tree = chain_tree(["ab", "bc"], "ac", sizes=sizes)
    a, b = operands(tree, np.dtype("float64"))
    expected = a @ b
    lower(tree, "float64")(a, b, out=a)
    np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    sizes = {"a": 70, "b": 90, "c": 150, "d": 6}
    for sliced in ("", "d", "b"):
        tree = chain_tree(["abd", "bcd", "cad"], "ad", sliced, sizes)
        rng = np.random.default_rng(1)
        arrays = [rng.standard_normal(shape) for shape in tree.expr.shapes]
        one = lower(tree, "float64", threads=1)(*arrays)
        assert np.array_equal(lower(tree, "float64", threads=threads)(*arrays), one)


@pytest.mark.parametrize("strip", [False, True])
def test_halves_of_a_tree_on_threads_of_their_own_give_the_same_bits(strip: bool) -> None:
    labels = [f"{a}{b}" for a, b in zip("abcdefgh", "bcdefgha")]
    tree = chain_tree(labels, "", sizes=dict.fromkeys("abcdefgh", 110))
    halves = ((0, 1), (8, 2), (9, 3), (4, 5), (11, 6), (12, 7), (10, 13))
    tree = Tree(tree.expr, halves)
    arrays = [np.random.default_rng(i).standard_normal((110, 110)) for i in range(8)]
    programs = [
        lower(tree, "float64", threads=threads, strip_exponent=strip) for threads in (1, 2, 3, 5)
    ]
    # either half has memory of its own
    assert programs[1].memory_required > programs[0].memory_required + 110 * 110 * 8
    one, *others = (program(*arrays) for program in programs)
    for other in others:
        assert np.array_equal(other, one)


def test_steps_outside_the_slice_loop_are_computed_once() -> None:
    sizes = {"a": 10, "b": 10, "c": 10, "d": 4}
    tree = chain_tree(["ab", "bc", "cd"], "a", "d", sizes)
    program = lower(tree, "float64")
    assert program.n_slices == 4
    assert program.macs == 1000 + 4 * 100
    assert [line.split("  ")[0] for line in program.steps()] == ["level 0", "level 1"]


def test_hoisting_cuts_the_arithmetic_of_a_sliced_sycamore_circuit() -> None:
    file = Path(tn.__file__).parent / "data" / "sycamore_n53_m10.qsim"
    expr, _ = read_circuit(file).amplitude("0" * 53, "complex64")
    plan = tn.plan_expr(expr, max_steps=8)
    for log2_entries, saved in ((18, 0.3), (16, 0.5)):
        tree = slice_tree(plan.tree, 2**log2_entries)
        assert lower(tree, "complex64").macs < (1 - saved) * tree.macs


def test_memory_is_known_before_running_and_slicing_lowers_it() -> None:
    sizes = {"a": 64, "b": 64, "c": 64, "d": 64}
    whole = lower(chain_tree(["ab", "cd", "bc"], "ad", "", sizes), "float64", threads=1)
    sliced = lower(chain_tree(["ab", "cd", "bc"], "ad", "b", sizes), "float64", threads=1)
    assert whole.memory_required > 64**4 * 8
    assert sliced.memory_required < whole.memory_required / 32


def test_strip_exponent_keeps_long_products_in_range() -> None:
    inputs = ["ab", "bc", "cd"] + ["da", "ab", "bc", "cd"] * 40
    tree = chain_tree(inputs, "")
    rng = np.random.default_rng(0)
    for scale in (1e300, 1e-300):
        arrays = [rng.random(shape) * scale for shape in tree.expr.shapes]
        mantissa, exponent = lower(tree, "float64", strip_exponent=True)(*arrays)
        plain = lower(tree, "float64", strip_exponent=True)(*[a / scale for a in arrays])
        logarithm = np.log10(float(mantissa)) + exponent * np.log10(2)
        expected = np.log10(float(plain[0])) + plain[1] * np.log10(2)
        expected += len(arrays) * np.log10(scale)
        assert 0.5 <= mantissa < 1
        assert abs(logarithm - expected) < 1e-6


def test_strip_exponent_across_slices_of_very_different_size() -> None:
    tree = chain_tree(["ab", "bc"], "ac", "b")
    a = np.ones((3, 4)) * np.array([1e-200, 1e200, 0.0, 1e-100])
    b = np.ones((4, 5)) * 1e200
    mantissa, exponent = lower(tree, "float64", strip_exponent=True)(a, b)
    assert mantissa.shape == (3, 5)
    np.testing.assert_allclose(np.log10(mantissa) + exponent * np.log10(2), 400, rtol=1e-12)


def test_an_exact_zero_has_exponent_minus_infinity() -> None:
    tree = chain_tree(["ab", "bc"], "")
    mantissa, exponent = lower(tree, "complex64", strip_exponent=True)(
        np.zeros((3, 4), "complex64"), np.ones((4, 5), "complex64")
    )
    assert mantissa == 0
    assert exponent == float("-inf")


@pytest.mark.parametrize("shapes", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_zero_extents_give_zeros(shapes: tuple[int, int, int]) -> None:
    sizes = dict(zip("abc", shapes))
    tree = chain_tree(["ab", "bc"], "ac", sizes=sizes)
    arrays = [np.ones(shape) for shape in tree.expr.shapes]
    out = np.full(tree.expr.output_shape, np.nan)
    np.testing.assert_array_equal(lower(tree, "float64")(*arrays, out=out), arrays[0] @ arrays[1])


def test_no_operands_at_all_is_the_number_one() -> None:
    assert lower(Tree(Expr((), (), ()), ()), "float64")() == 1.0


def test_a_hundred_thousand_tensors_need_no_recursion() -> None:
    n = 100_000
    expr = Expr(tuple((i, i + 1) for i in range(n)), (0, n), (2,) * (n + 1))
    steps = tuple((0 if t == 0 else n + t - 1, t + 1) for t in range(n - 1))
    arrays = [np.eye(2)] * n
    np.testing.assert_array_equal(lower(Tree(expr, steps), "float64")(*arrays), np.eye(2))


def test_progress_is_reported_and_its_exception_stops_the_run() -> None:
    sizes = {"a": 500, "b": 500, "c": 500, "d": 60}
    tree = chain_tree(["abd", "bcd", "cad"], "d", "d", sizes)
    arrays = [np.ones(shape) for shape in tree.expr.shapes]
    seen: list[tuple[float, float]] = []
    result = lower(tree, "float64")(*arrays, progress=lambda *at: seen.append(at))
    assert seen
    assert all(0 <= done <= total for done, total in seen)

    def stop(done: float, total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lower(tree, "float64")(*arrays, progress=stop)
    np.testing.assert_array_equal(lower(tree, "float64")(*arrays), result)


def test_one_program_may_be_called_from_many_threads() -> None:
    tree = chain_tree(["eg", "gh", "ha"], "ea")
    program = lower(tree, "float64")
    results: dict[int, bool] = {}

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        arrays = [rng.integers(-3, 4, shape).astype(float) for shape in tree.expr.shapes]
        expected = arrays[0] @ arrays[1] @ arrays[2]
        results[seed] = all(np.array_equal(program(*arrays), expected) for _ in range(50))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(results.values())


def test_equal_trees_share_one_program_until_the_cache_is_cleared() -> None:
    tree = chain_tree(["ab", "bc"], "ac")
    first = lower(tree, "float64")
    assert lower(chain_tree(["ab", "bc"], "ac"), "float64") is first
    clear_cache()
    assert lower(tree, "float64") is not first


def test_moving_float16_keeps_every_bit() -> None:
    bits = np.arange(2**16, dtype=np.uint16)  # all numbers, infinities and NaNs there are
    array = bits.view(np.float16).reshape(64, 32, 32)
    moved = tn.einsum("abc->cab", array, out=np.empty((32, 64, 32), np.float16))
    assert np.array_equal(moved.view(np.uint16), bits.reshape(array.shape).transpose(2, 0, 1))


def stem_tree(qubits: int, places: list[int]) -> Tree:
    """A state of so many qubits that meets gates at these places, one after the other."""
    state = list(range(qubits))
    inputs, fresh = [tuple(state)], qubits
    for at in places:
        inputs.append((fresh, state[at]))
        state[at] = fresh
        fresh += 1
    gates = len(places)
    steps = [(0, 1), *((gates + t, t + 1) for t in range(1, gates))]
    return Tree(Expr(tuple(inputs), tuple(state), (2,) * fresh), tuple(steps))


def test_steps_on_one_large_value_keep_only_blocks_of_what_is_between_them() -> None:
    tree = stem_tree(20, [17 + gate % 3 for gate in range(9)])
    program = lower(tree, "float64", threads=1)
    state = 8 << 20
    assert state < program.memory_required < 1.25 * 2 * state  # one state, the result, and blocks
    assert sum("blocks" in step for step in program.steps()) == 8
    arrays = [integers(shape, np.dtype("float64"), v) for v, shape in enumerate(tree.expr.shapes)]
    expected = arrays[0].reshape(-1, 2, 2, 2)
    for gate, matrix in enumerate(arrays[1:]):
        axis = 1 + gate % 3
        expected = np.moveaxis(np.tensordot(expected, matrix, (axis, 1)), -1, axis)
    assert np.array_equal(program(*arrays).reshape(expected.shape), expected)
    shared = lower(tree, "float64", threads=3)
    assert np.array_equal(shared(*arrays), program(*arrays))


def test_what_one_stem_was_cut_by_the_next_one_may_sum() -> None:
    places = [*range(19, 10, -1), *range(9)]
    tree = stem_tree(20, places)
    program = lower(tree, "float64", threads=1)
    assert sum("blocks" in step for step in program.steps()) == 17
    arrays = [integers(shape, np.dtype("float64"), v) for v, shape in enumerate(tree.expr.shapes)]
    expected = arrays[0]
    for axis, matrix in zip(places, arrays[1:], strict=True):
        expected = np.moveaxis(np.tensordot(expected, matrix, (axis, 1)), -1, axis)
    assert np.array_equal(program(*arrays), expected)


@pytest.mark.parametrize("sliced", [(), (2, 19)])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_a_stem_is_summed_with_another_large_value_in_blocks(
    dtype: str, sliced: tuple[int, ...]
) -> None:
    gates = [(20, 17), (21, 16), (22, 15)]  # the new index and the old one
    summed = np.random.default_rng(3).permutation([*range(15), 20, 21, 22]).tolist()
    inputs = (tuple(range(20)), *gates, (*summed[:9], 23, *summed[9:], 24), (18, 25))
    steps = ((0, 1), (6, 2), (7, 3), (8, 4), (9, 5))
    expr = Expr(inputs, (25, 19, 23, 24), (2,) * 26)
    program = lower(Tree(expr, steps, sliced), dtype, threads=1)
    assert sum("blocks" in step for step in program.steps()) == 4  # the sum is one of them
    state = (1 << 20 - len(sliced)) * np.dtype(dtype).itemsize
    assert program.memory_required < state / 4  # the state after the gates is never there
    arrays = [integers(shape, np.dtype(dtype), v) for v, shape in enumerate(expr.shapes)]
    terms = [x for pair in zip(arrays, inputs, strict=True) for x in pair]
    path = ["einsum_path", (0, 1), (0, 4), (0, 3), (0, 2), (0, 1)]
    expected = np.einsum(*terms, expr.output, optimize=path)
    assert np.array_equal(program(*arrays), expected)
    shared = lower(Tree(expr, steps, sliced), dtype, threads=3)
    assert np.array_equal(shared(*arrays), expected)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_operands_of_a_long_sum_are_laid_out_in_one_order(dtype: str) -> None:
    shared = np.random.default_rng(7).permutation(10).tolist()
    left, right = [*range(10), 10, 11], [*shared, 12, 13]
    gates = [(3, 14), (7, 15)]  # make the index that is shared from one of its own
    states = [14 if i == 3 else i for i in left], [15 if i == 7 else i for i in right]
    last = (10, 11, 12, 13)
    inputs = (tuple(states[0]), gates[0], tuple(states[1]), gates[1])
    tree = Tree(Expr(inputs, last, (2,) * 16), ((0, 1), (2, 3), (4, 5)))
    program = lower(tree, dtype, threads=1)
    assert "inner" not in program.steps()[-1]  # the road for many axes
    arrays = [integers(shape, np.dtype(dtype), v) for v, shape in enumerate(tree.expr.shapes)]
    terms = [
        np.einsum(arrays[0], states[0], arrays[1], gates[0], left),
        np.einsum(arrays[2], states[1], arrays[3], gates[1], right),
    ]
    expected = np.einsum(terms[0], left, terms[1], right, last)
    assert np.array_equal(program(*arrays), expected)


def test_too_much_memory_is_refused_with_the_bytes_before_allocating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"a": 2048, "b": 2, "c": 2048, "d": 2}
    program = lower(chain_tree(["ab", "cd", "bd"], "ac", sizes=sizes), "float64")
    arrays = [np.ones(shape) for shape in program.tree.expr.shapes]
    monkeypatch.setattr("tensornet.program.available_memory", lambda: 1 << 20)
    with pytest.raises(MemoryLimitError, match=r"needs .* bytes\) but .*memory_limit"):
        program(*arrays)


def test_wrong_operands_end_in_one_line_errors() -> None:
    program = lower(chain_tree(["ab", "bc"], "ac"), "float32")
    a, b = np.ones((3, 4), "float32"), np.ones((4, 5), "float32")
    with pytest.raises(ShapeError, match="2 operands but 1"):
        program(a)
    with pytest.raises(ShapeError, match=r"operand 1 has shape \(5, 4\), expected \(4, 5\)"):
        program(a, b.T)
    with pytest.raises(TypeError, match="operand 0 has dtype complex128"):
        program(a.astype("complex128"), b)
    with pytest.raises(ShapeError, match=r"out has shape \(3, 4\)"):
        program(a, b, out=a)
    with pytest.raises(TypeError, match="cannot be cast"):
        program(a, b, out=np.zeros((3, 5), "int64"))
    with pytest.raises(TypeError, match="supported are bool, int8"):
        lower(program.tree, "longdouble")
    with pytest.raises(TypeError, match="strip_exponent needs a floating dtype"):
        Program(program.tree, np.dtype("int64"), config.get_num_threads(), True)


def test_the_memory_of_a_result_is_used_again_and_given_back_on_request():
    a = np.ones((300, 300))
    clear_cache()
    first = tn.einsum("ij,jk->ik", a, a)
    address = first.ctypes.data
    del first
    assert kept() >= a.nbytes
    assert tn.einsum("ij,jk->ik", a, a).ctypes.data == address
    clear_cache()
    assert kept() == 0


def test_a_result_outlives_its_program_and_can_be_resized():
    result = tn.einsum("ij,jk->ik", np.full((200, 200), 2.0), np.eye(200))
    clear_cache()
    assert result.flags.owndata
    result.resize((400, 200), refcheck=False)
    np.testing.assert_array_equal(result[:200], 2.0)
    np.testing.assert_array_equal(result[200:], 0.0)


@pytest.mark.parametrize("dtype", [*FLOATS, "int16", "bool"])
@pytest.mark.parametrize("order", ["cba", "acb", "bac", "bca", "cab"])
def test_permutations_of_awkward_extents_move_every_element(dtype, order):
    a = (np.arange(37 * 24 * 19).reshape(37, 24, 19) % 251).astype(dtype)
    got = tn.einsum(f"abc->{order}", a, order="C")
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, a.transpose(["abc".index(i) for i in order]))


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128", "uint8"])
def test_permutations_of_axes_of_extent_two_are_permutations_of_bits(dtype):
    rank = 14
    a = (np.arange(2**rank) % 253).astype(dtype).reshape((2,) * rank)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(rank) for _ in range(12)] + [np.arange(rank)[::-1]]
    for axes in orders + [np.r_[rng.permutation(rank - 3), rank - 3 : rank] for _ in range(4)]:
        got = tn.einsum(a, list(range(rank)), [int(i) for i in axes], order="C")
        np.testing.assert_array_equal(got, a.transpose(axes))


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize(
    "subscripts",
    ["aebd,ce->dcba", "dabe,ec->dcba", "dfae,cebf->dcba", "fbea,cedf->dcba", "ged,cafg->fedca"],
)
def test_products_whose_operands_order_their_axes_differently_equal_numpys(subscripts, dtype):
    extents = dict(zip("abcdefg", (21, 13, 24, 26, 19, 9, 7)))
    rng = np.random.default_rng(1)
    arrays = [
        rng.integers(-3, 4, [extents[i] for i in term]).astype(dtype)
        for term in subscripts.split("->")[0].split(",")
    ]
    np.testing.assert_array_equal(
        tn.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays, optimize=True)
    )


@pytest.mark.parametrize("dtype", ["float32", "complex128", "int64", "bool"])
@pytest.mark.parametrize(
    "subscripts",
    ["k,k->", "kn,km->mn", "mk,nk->nm", "bk,bk->b", "kl,lk->", "kb->b", "mkn,nkm->n"],
)
def test_long_sums_are_cut_for_the_threads_without_touching_a_bit(subscripts, dtype):
    sizes = {"k": 131_101, "l": 3, "m": 3, "n": 2, "b": 3}
    terms = subscripts.split("->")[0].split(",")
    rng = np.random.default_rng(11)
    memory = [rng.integers(-9, 9, [2 * sizes[i] for i in term]) for term in terms]
    arrays = [x[tuple([slice(None, None, -2)] * x.ndim)].astype(dtype) for x in memory]
    before = tn.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            tn.set_num_threads(threads)
            results.append(tn.einsum(subscripts, *arrays))
    finally:
        tn.set_num_threads(before)
    wide = [x.astype("int64") if dtype == "float32" else x for x in arrays]
    np.testing.assert_array_equal(results[0], np.einsum(subscripts, *wide))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_long_runs_of_a_copy_are_not_mistaken_for_sums():
    a = np.arange(400_000.0).reshape(2, 200_000)
    np.testing.assert_array_equal(tn.einsum("ij->ij", a[::-1], order="C", dtype=float), a[::-1])
    out = np.empty((2, 200_000))
    np.testing.assert_array_equal(tn.einsum("ij->ij", a[::-1], out=out), a[::-1])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("lowest", [0, 1, 5, 9])
def test_many_summed_axes_of_extent_two_far_apart_give_the_exact_sums(dtype, lowest):
    rng = np.random.default_rng(lowest)
    state = rng.integers(-4, 5, (2,) * 15).astype(dtype)
    gate = rng.integers(-4, 5, (2,) * 8).astype(dtype)
    axes = [14 - lowest - k for k in (3, 2, 1, 0)]
    expected = np.tensordot(gate, state, (range(4, 8), axes))
    assert np.array_equal(tn.tensordot(gate, state, (range(4, 8), axes)), expected)
