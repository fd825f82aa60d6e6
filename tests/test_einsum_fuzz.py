"""einsum and tensordot against the NumPy reference, over everything they claim to take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tensornet as tn
from tensornet.expr import Expr, bind_equation, from_labels, parse_einsum

SIZES = [0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33]
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]
SEARCHES = ["auto", "greedy", "random-greedy", "optimal", "dp", True, False]
MAX_WORK = 40_000  # product of all extents, so that the reference stays quick

fuzz = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def networks(draw: st.DrawFn, max_operands: int = 5, max_axes: int = 4) -> Expr:
    """Operands that share few indices: hyperedges, traces, batch indices, outer products."""
    letters = list(range(draw(st.integers(1, 7))))
    sizes: list[int] = []
    work = 1
    for _ in letters:
        fitting = [n for n in SIZES if n * work <= MAX_WORK]
        sizes.append(draw(st.sampled_from(fitting)))
        work *= max(1, sizes[-1])
    axes = st.lists(st.sampled_from(letters), max_size=max_axes)
    terms = draw(st.lists(axes, min_size=1, max_size=max_operands))
    # size as if each repeated axis were memory of its own, to bound the operands themselves
    assume(all(np.prod([float(max(1, sizes[i])) for i in t]) <= 1e6 for t in terms))
    present = sorted({i for term in terms for i in term})
    output = draw(st.permutations(present))[: draw(st.integers(0, len(present)))]
    return from_labels(terms, output, dict(enumerate(sizes)))


def operands(draw: st.DrawFn, expr: Expr, dtypes: list[str]) -> list[oracle.Array]:
    """Small integers of drawn dtypes in drawn memory layouts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layouts = st.sampled_from(oracle.LAYOUTS)
    return [
        oracle.arrange(oracle.small_integers(rng, shape, dtype), draw(layouts))
        for shape, dtype in zip(expr.shapes, dtypes)
    ]


def interleaved(expr: Expr, arrays: list[oracle.Array]) -> list[Any]:
    flat = [x for array, term in zip(arrays, expr.inputs) for x in (array, list(term))]
    return [*flat, list(expr.output)]


def path_of(draw: st.DrawFn, n: int) -> list[tuple[int, ...]]:
    """Any path at all, unary and k-ary steps included."""
    path = []
    while n > 1:
        group = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True))
        path.append(tuple(group))
        n -= len(group) - 1
        if len(group) == 1:
            path.append((0, n - 1))
            n -= 1
    return path


@fuzz
@given(st.data())
def test_einsum_of_one_dtype_is_exact_on_small_integers(data: st.DataObject) -> None:
    expr = data.draw(networks())
    dtype = data.draw(st.sampled_from(oracle.DTYPES))
    arrays = operands(data.draw, expr, [dtype] * len(expr.inputs))
    optimize = data.draw(st.sampled_from(SEARCHES))
    got = tn.einsum(*interleaved(expr, arrays), optimize=optimize)
    oracle.assert_exact(got, expr, arrays)


@fuzz
@given(st.data())
def test_einsum_of_mixed_dtypes_has_numpys_result_type(data: st.DataObject) -> None:
    expr = data.draw(networks(max_operands=3))
    dtypes = [data.draw(st.sampled_from(oracle.DTYPES)) for _ in expr.inputs]
    arrays = operands(data.draw, expr, dtypes)
    oracle.assert_exact(tn.einsum(*interleaved(expr, arrays)), expr, arrays)


@fuzz
@given(st.data())
def test_einsum_of_floats_keeps_to_the_error_bound(data: st.DataObject) -> None:
    expr = data.draw(networks())
    dtype = np.dtype(data.draw(st.sampled_from(FLOATS)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    arrays = []
    for shape in expr.shapes:
        # neither products nor sums of these leave the range of float16
        values = rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)
        if dtype.kind == "c":
            values = values + 1j * rng.uniform(-1, 1, shape)
        layout = data.draw(st.sampled_from(oracle.LAYOUTS))
        arrays.append(oracle.arrange(values.astype(dtype), layout))
    oracle.assert_close(tn.einsum(*interleaved(expr, arrays)), expr, arrays)


@fuzz
@given(st.data())
def test_any_path_gives_the_same_integers(data: st.DataObject) -> None:
    expr = data.draw(networks(max_operands=6, max_axes=3))
    arrays = operands(data.draw, expr, ["int32"] * len(expr.inputs))
    path = path_of(data.draw, len(expr.inputs))
    got = tn.einsum(*interleaved(expr, arrays), optimize=path)
    oracle.assert_exact(got, expr, arrays)


@fuzz
@given(st.data())
def test_out_takes_the_result_whatever_is_in_it(data: st.DataObject) -> None:
    expr = data.draw(networks(max_operands=3))
    dtype = data.draw(st.sampled_from(FLOATS))
    arrays = operands(data.draw, expr, [dtype] * len(expr.inputs))
    layout = data.draw(st.sampled_from(["C", "F", "reversed", "strided", "unaligned"]))
    want = oracle.contract(expr, arrays)
    out = oracle.arrange(np.full(expr.output_shape, np.nan, dtype), layout)
    assert tn.einsum(*interleaved(expr, arrays), out=out) is out
    oracle.assert_exact(out, expr, arrays)
    assert out.shape == want.shape


@fuzz
@given(st.data())
def test_out_may_share_memory_with_an_operand(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from([1, 2, 3, 5, 8, 16, 17]))
    dtype = data.draw(st.sampled_from(["int64", "float32", "complex128"]))
    rng = np.random.default_rng(n)
    memory = oracle.small_integers(rng, (2 * n, n), dtype)
    other = oracle.small_integers(rng, (n, n), dtype)
    start = data.draw(st.integers(0, n))
    operand, out = memory[start : start + n], memory[:n]
    if data.draw(st.booleans()):
        out = out.T
    if data.draw(st.booleans()):
        operand = operand[::-1]
    subscripts = data.draw(st.sampled_from(["ij,jk->ik", "ij,jk->ki", "ij,ij->ij", "ij,kj->ik"]))
    want = np.einsum(subscripts, operand.copy(), other)
    assert tn.einsum(subscripts, operand, other, out=out) is out
    np.testing.assert_array_equal(out, want)


@fuzz
@given(st.data())
def test_slicing_to_a_memory_limit_changes_no_integer(data: st.DataObject) -> None:
    expr = data.draw(networks())
    arrays = operands(data.draw, expr, ["int64"] * len(expr.inputs))
    divisor = data.draw(st.sampled_from([2, 3, 10, 100]))
    whole = tn.plan_expr(expr, dtype="int64")
    limit = max(whole.peak_memory // divisor, 1)
    try:
        tn.plan_expr(expr, dtype="int64", memory_limit=limit)
    except tn.MemoryLimitError as error:  # then the limit that the message names has to do
        limit = int(str(error).partition("would do is ")[2].split()[0].replace(",", ""))
    assert tn.plan_expr(expr, dtype="int64", memory_limit=limit).peak_memory <= limit
    got = tn.einsum(*interleaved(expr, arrays), memory_limit=limit)
    oracle.assert_exact(got, expr, arrays)


@fuzz
@given(st.data())
def test_a_stripped_exponent_multiplies_back(data: st.DataObject) -> None:
    expr = data.draw(networks(max_operands=4, max_axes=3))
    dtype = data.draw(st.sampled_from(["float64", "complex128"]))
    arrays = operands(data.draw, expr, [dtype] * len(expr.inputs))
    mantissa, exponent = tn.einsum(*interleaved(expr, arrays), strip_exponent=True)
    oracle.assert_exact(mantissa * 2.0**exponent, expr, arrays)


@st.composite
def subscripts(draw: st.DrawFn) -> tuple[str, list[tuple[int, ...]]]:
    """Subscripts with ellipses and stretched axes, written out, and shapes for them."""
    names = draw(st.text("ijkLM", min_size=1, max_size=4))
    extents = {name: draw(st.sampled_from([1, 2, 3, 4])) for name in names}
    hidden = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = "".join(draw(st.lists(st.sampled_from(list(names)), max_size=3, unique=True)))
        shape = [draw(st.sampled_from([extents[name], extents[name], 1])) for name in term]
        if draw(st.booleans()):
            where = draw(st.integers(0, len(term)))
            tail = hidden[draw(st.integers(0, len(hidden))) :]
            term = f"{term[:where]}...{term[where:]}"
            shape[where:where] = [draw(st.sampled_from([n, n, 1])) for n in tail]
        terms.append(term)
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if draw(st.booleans()):
        kept = draw(st.permutations(sorted(set(text) - set(".,"))))
        text += "->..." + "".join(kept[: draw(st.integers(0, len(kept)))])
    return text, shapes


@fuzz
@given(subscripts())
def test_ellipses_and_stretched_axes_are_numpys(case: tuple[str, list[tuple[int, ...]]]) -> None:
    text, shapes = case
    rng = np.random.default_rng(0)
    arrays = [oracle.small_integers(rng, shape, "int64") for shape in shapes]
    want = np.einsum(text, *arrays)
    got = tn.einsum(text, *arrays)
    np.testing.assert_array_equal(got, want, strict=True)
    equation, _ = parse_einsum((text, *shapes))
    assert bind_equation(equation, shapes)[0].output_shape == want.shape


@fuzz
@given(st.data())
def test_tensordot_is_numpys(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(oracle.DTYPES))
    shared = data.draw(st.lists(st.sampled_from([0, 1, 2, 5, 8]), max_size=2))
    left = data.draw(st.lists(st.sampled_from([1, 3, 7, 16]), max_size=2))
    right = data.draw(st.lists(st.sampled_from([1, 2, 9, 17]), max_size=2))
    rng = np.random.default_rng(3)
    a = oracle.small_integers(rng, left + shared, dtype)
    b = oracle.small_integers(rng, shared + right, dtype)
    axes: Any = len(shared)
    if data.draw(st.booleans()):
        a_order = data.draw(st.permutations(range(a.ndim)))
        b_order = data.draw(st.permutations(range(b.ndim)))
        a, b = a.transpose(a_order), b.transpose(b_order)
        a_axes = [a_order.index(len(left) + k) for k in range(len(shared))]
        b_axes = [b_order.index(k) - b.ndim for k in range(len(shared))]
        axes = (a_axes, b_axes)
    np.testing.assert_array_equal(tn.tensordot(a, b, axes), np.tensordot(a, b, axes), strict=True)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 65])
def test_a_matrix_product_is_exact_around_every_tile_size(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    for m, k in [(n, n), (1, n), (n, 1), (n + 1, 6)]:
        a = oracle.small_integers(rng, (m, k), dtype)
        b = oracle.small_integers(rng, (k, n), dtype)
        expr = Expr(((0, 1), (1, 2)), (0, 2), (m, k, n))
        oracle.assert_exact(tn.einsum("ij,jk->ik", a, b), expr, [a, b])
        oracle.assert_exact(tn.einsum("ji,jk->ki", a.T.copy(), b).T, expr, [a, b])


@pytest.mark.parametrize(
    ("equation", "dtype"),
    [
        ("dabfe,fc->edcba", "float32"),
        ("dabfe,fc->edcba", "complex64"),
        ("aged,cbfg->fedcba", "float64"),
        ("cged,bafg->fedcba", "complex128"),
        ("cged,bafg->fedcba", "int32"),
    ],
)
def test_results_larger_than_the_caches_are_exact_wherever_they_begin(
    equation: str, dtype: str
) -> None:
    """Such results are written past the caches where the rows of tiles are whole lines."""
    terms, output = equation.split("->")
    itemsize = np.dtype(dtype).itemsize
    extents = dict.fromkeys("abcdef", 16) | {"g": 20}
    if len(output) == 5:
        extents |= {"f": 20, "e": 17 * 16 // itemsize}
    else:
        extents |= {"b": 3, "f": 3, "e": 116 * 4 // itemsize}
    shapes = [tuple(extents[i] for i in term) for term in terms.split(",")]
    rng = np.random.default_rng(5)
    arrays = [oracle.small_integers(rng, shape, dtype) for shape in shapes]
    wide = np.result_type(dtype, np.int64)
    expected = np.einsum(equation, *[a.astype(wide) for a in arrays], optimize=True)
    assert expected.size * itemsize > 16 << 20
    space = np.empty(expected.size + 64, dtype)
    line = -space.ctypes.data % 64 // itemsize
    for begin in (line, line + 1, line + 32 // itemsize):
        space[:] = 3
        end = begin + expected.size
        out = space[begin:end].reshape(expected.shape)
        tn.einsum(equation, *arrays, out=out)
        assert np.array_equal(out, expected)
        assert (space[:begin] == 3).all()
        assert (space[end:] == 3).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
@pytest.mark.parametrize("seed", range(24))
def test_products_are_exact_however_summed_and_kept_axes_alternate(seed: int, dtype: str) -> None:
    """Packed operands are read in squares, or in pieces of as many elements as lie together."""
    rng = np.random.default_rng(seed)
    kept, summed, rows = "abcd", "wxyz", "mn"
    extents = {i: int(rng.choice([2, 2, 3, 4, 6, 8])) for i in kept + summed}
    extents |= {"m": int(rng.integers(2, 8)), "n": int(rng.integers(3, 20))}

    def shuffled(indices: str) -> str:
        return "".join(rng.permutation(list(indices)))

    a, b, c = shuffled(rows + summed), shuffled(kept + summed), shuffled(rows + kept)
    arrays = [oracle.small_integers(rng, tuple(extents[i] for i in term), dtype) for term in (a, b)]
    wide = np.result_type(dtype, np.int64)
    expected = np.einsum(f"{a},{b}->{c}", *[x.astype(wide) for x in arrays], optimize=True)
    assert np.array_equal(tn.einsum(f"{a},{b}->{c}", *arrays), expected)
    assert np.array_equal(tn.einsum(f"{b},{a}->{c}", *arrays[::-1]), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("rows", [6, 7, 8, 12, 15, 16, 17, 24, 31, 48])
def test_few_rows_times_rows_along_k_are_exact(rows: int, dtype: str) -> None:
    rng = np.random.default_rng(rows)
    for kept, summed in ((4, 32), (20, 40), (36, 168), (34, 50), (8, 700)):
        large = rng.integers(-3, 4, (kept, 30, summed + 3)).astype(dtype)[:, :, 1:-2]
        small = rng.integers(-3, 4, (summed, rows)).astype(dtype)
        if np.dtype(dtype).kind == "c":
            large, small = large - 1j * large[::-1], small + 2j * small[:, ::-1]
        large, small = large.astype(dtype), small.astype(dtype)
        expected = np.einsum("abk,kr->rba", large, small)
        assert np.array_equal(tn.einsum("abk,kr->rba", large, small), expected)
        assert np.array_equal(tn.einsum("kr,abk->rba", small, large), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
@pytest.mark.parametrize("columns", [300, 509, 512, 1030])
@pytest.mark.parametrize("rows", [1, 2, 7, 16, 23, 37])
def test_few_rows_times_a_long_matrix_are_exact(rows: int, columns: int, dtype: str) -> None:
    """Strips that begin before and at lines, that crowd the cache, and sums in several parts."""
    rng = np.random.default_rng(rows)
    for depth, begin in ((3, 0), (61, 1), (170, 2), (345, 3)):
        a = oracle.small_integers(rng, (rows, depth), dtype)
        memory = oracle.small_integers(rng, (depth * columns + begin,), dtype)
        b = memory[begin:].reshape(depth, columns)
        result = tn.einsum("mk,kn->mn", a, b)
        np.testing.assert_array_equal(result, a @ b)
        np.testing.assert_array_equal(tn.einsum("km,kn->nm", a.T.copy(), b), (a @ b).T)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
@pytest.mark.parametrize("columns", [15, 16, 17, 24, 33, 48, 65])
def test_many_rows_times_a_small_matrix_are_exact(columns: int, dtype: str) -> None:
    rng = np.random.default_rng(columns)
    for depth in (2, 7, 31, 60, 300):
        a = oracle.small_integers(rng, (1501, depth), dtype)
        b = oracle.small_integers(rng, (depth, columns), dtype)
        np.testing.assert_array_equal(tn.einsum("mk,kn->mn", a, b), a @ b)
        np.testing.assert_array_equal(tn.einsum("mk,nk->mn", a, b.T.copy()), a @ b)


@pytest.mark.parametrize("itemsize", [4, 8, 16])
@pytest.mark.parametrize("order", ["ba", "bac", "acb", "cba", "acbd", "dcba", "bdac", "fedcba", ""])
def test_large_permutations_are_exact_wherever_they_begin(order: str, itemsize: int) -> None:
    """They are written past the caches in whole lines, and what is next is fetched meanwhile."""
    dtype = {4: "float32", 8: "float64", 16: "complex128"}[itemsize]
    least = (16 << 20) // itemsize
    rank = len(order) or least.bit_length()
    axes = ["abcdef".index(i) for i in order] or list(range(rank))[::-1]
    extent = 2 if not order else int(least ** (1 / rank)) + 3
    array = np.arange(extent**rank, dtype=dtype).reshape((extent,) * rank)
    expected = array.transpose(axes)
    space = np.empty(array.size + 64, dtype)
    line = -space.ctypes.data % 64 // itemsize
    for begin in (line, line + 1):
        space[:] = -3
        end = begin + array.size
        out = space[begin:end].reshape(expected.shape)
        tn.einsum(array, list(range(rank)), axes, out=out)
        assert np.array_equal(out, expected)
        assert (space[:begin] == -3).all()
        assert (space[end:] == -3).all()


@pytest.mark.parametrize("itemsize", [4, 8, 16])
@pytest.mark.parametrize(
    ("subscripts", "rows", "row_bytes"),
    [
        ("ab->ba", (2063,), 8192),
        ("ab->ba", (4111,), 4096),
        ("abc->acb", (3, 701), 8192),
        ("abcd->dcba", (13, 17, 11), 8192),
    ],
)
def test_large_permutations_of_rows_that_meet_in_the_cache_are_exact(
    subscripts: str, rows: tuple[int, ...], row_bytes: int, itemsize: int
) -> None:
    """Of rows of a power of two bytes the cache holds only a few of the same column."""
    dtype = {4: "float32", 8: "float64", 16: "complex128"}[itemsize]
    shape = (*rows, row_bytes // itemsize)
    array = np.arange(math.prod(shape) + 1, dtype=dtype)[1:].reshape(shape)
    axes = ["abcd".index(i) for i in subscripts.split("->")[1]]
    assert np.array_equal(tn.einsum(subscripts, array), array.transpose(axes))


@pytest.mark.parametrize("run_bytes", [32, 48, 64, 160, 320])
@pytest.mark.parametrize("middle", [16, 12, 7])
def test_large_permutations_of_runs_are_exact(middle: int, run_bytes: int) -> None:
    """Tiles of whole lines follow each other along the operand, others along the result."""
    first = (17 << 20) // (middle * run_bytes * 64) + 1
    shape = (first, 64, middle, run_bytes // 4)
    array = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    for axes in ((0, 2, 1, 3), (2, 1, 0, 3), (1, 2, 0, 3)):
        result = tn.einsum(array, list(range(4)), list(axes))
        assert np.array_equal(result, array.transpose(axes))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_large_products_are_exact(dtype: str) -> None:
    """Panels packed side by side and steps taken together leave no row, column or step out."""
    rng = np.random.default_rng(5)
    for m, n, k in [(200, 203, 198), (131, 330, 401), (260, 196, 805), (97, 1000, 131)]:
        a, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in [(m, k), (k, n)])
        if dtype[0] == "c":
            a, b = a + 1j * a[::-1], b - 1j * b[:, ::-1]
            a, b = a.astype(dtype), b.astype(dtype)
        expected = np.matmul(a, b)  # sums of small integers are exact
        np.testing.assert_array_equal(tn.einsum("mk,kn->mn", a, b), expected)
        out = np.full((m, n), np.nan, dtype)
        assert tn.einsum("km,kn->mn", a.T.copy(), b, out=out) is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(tn.einsum("mk,nk->nm", a, b.T.copy()), expected.T)
