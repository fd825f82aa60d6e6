"""Products of few summed points, tall ones, those of few rows and gates, in exact integers."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import config

DTYPES = ["float32", "float64", "complex64", "complex128"]


def whole_numbers(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Small integers, whose products and sums every dtype holds exactly."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, shape).astype(dtype)
    return x + 1j * rng.integers(-4, 5, shape) if np.dtype(dtype).kind == "c" else x


def check(subscripts: str, extents: dict[str, int], dtype: str) -> None:
    left, right = subscripts.split("->")[0].split(",")
    a = whole_numbers(tuple(extents[i] for i in left), dtype, 1).astype(dtype)
    b = whole_numbers(tuple(extents[i] for i in right), dtype, 2).astype(dtype)
    exact = np.einsum(subscripts, a, b, optimize=True)
    np.testing.assert_array_equal(tn.einsum(subscripts, a, b), exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [4, 8, 12, 20, 24, 40])
def test_tiles_whose_columns_end_within_vectors_are_written_to_their_places(
    inner: int, dtype: str
) -> None:
    for rows in (23, 24, 46, 47, 50):
        extents = {"a": inner, "b": rows, "c": 6, "e": 10, "f": 24}
        check("eafc,fb->ecba", extents, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [*range(3, 14), 20, 23, 24, 26, 50])
def test_tiles_of_every_height_and_one_or_two_panels_are_exact(rows: int, dtype: str) -> None:
    # columns end in the first panel or the second, within a vector or with it; one block or more
    for inner in (7, 8, 12, 16, 20, 24, 33):
        check("kim,kjn->imjn", {"i": 1, "j": 5, "k": 24, "m": rows, "n": inner}, dtype)
    for inner in (16, 24, 40):
        check("kim,kjn->ijmn", {"i": 4, "j": 9, "k": 700, "m": rows, "n": inner}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [16, 24, 48, 96])
def test_large_results_of_one_or_two_panels_are_exact(inner: int, dtype: str) -> None:
    columns = 17_000_000 // (24 * 36 * inner * np.dtype(dtype).itemsize) + 1
    extents = {"i": 24, "j": columns, "k": 24, "m": 36, "n": inner}
    check("kim,kjn->ijmn", extents, dtype)
    check("kim,jkn->jimn", extents, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subscripts", ["mk,kn->mn", "km,nk->nm"])
def test_deep_blocks_of_results_larger_than_the_second_cache_are_exact(
    subscripts: str, dtype: str
) -> None:
    for m, n, k in ((730, 750, 2000), (1500, 1100, 90), (130, 4200, 1300)):
        check(subscripts, {"m": m, "n": n, "k": k}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [5, 12, 13, 24, 25, 60, 200])
def test_strips_of_every_width_are_exact(rows: int, dtype: str) -> None:
    for columns in (9, 16, 17, 31, 32, 40, 63, 64, 100):
        check("mk,kn->mn", {"m": rows, "k": 50, "n": columns}, dtype)
        check("bmk,bkn->bmn", {"b": 3, "m": rows, "k": 21, "n": columns}, dtype)
        check("mk,nk->mn", {"m": rows, "k": 50, "n": columns}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_boxes_that_end_within_lines_of_the_result_lose_none_of_it(dtype: str) -> None:
    for inner in (5, 12, 20, 24, 28, 56):
        extents = {"a": inner, "b": 7, "c": 9, "d": 24, "e": 24, "f": 12}
        check("afbce,df->edcba", extents, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [16, 19, 32])
def test_rows_that_lie_multiples_of_64_kilobytes_apart_are_packed_exactly(
    inner: int, dtype: str
) -> None:
    apart = (64 << 10) // np.dtype(dtype).itemsize
    for across, steps in ((9, 5), (8, 2), (24, 24)):
        around = whole_numbers((across, steps, apart), dtype, 1).astype(dtype)
        a = around[:, :, 3 : 3 + 7 * inner].reshape(across, steps, 7, inner)
        assert np.shares_memory(a, around)
        b = whole_numbers((24, steps), dtype, 2).astype(dtype)
        exact = np.einsum("afce,df->edca", a, b, optimize=True)
        np.testing.assert_array_equal(tn.einsum("afce,df->edca", a, b), exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [7, 8, 15, 16, 23, 24])
def test_few_rows_times_numbers_along_the_sum_are_exact(rows: int, dtype: str) -> None:
    for steps in (32, 40, 100):
        check("ak,kn->na", {"a": 1000, "k": steps, "n": rows}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [16, 24, 30, 48])
def test_tall_products_larger_than_the_caches_are_exact(columns: int, dtype: str) -> None:
    rows = 17_000_000 // (columns * np.dtype(dtype).itemsize) + 5
    check("mk,kn->mn", {"m": rows, "k": 12, "n": columns}, dtype)
    check("mk,nk->mn", {"m": rows, "k": 12, "n": columns}, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [3, 4, 6, 8, 12, 16, 24, 30])
def test_few_rows_times_a_matrix_that_no_cache_holds_are_exact(rows: int, dtype: str) -> None:
    # rows of either matrix a power of two apart, or not; more steps than a strip has, or less
    for columns, steps in ((40_003, 60), (4096, 512), (2048, 163), (5000, 301)):
        check("mk,kn->mn", {"m": rows, "k": steps, "n": columns}, dtype)
    check("km,kn->mn", {"m": rows, "k": 512, "n": 4096}, dtype)
    a = whole_numbers((rows, 170), dtype, 1).astype(dtype)
    b = whole_numbers((170, 4001), dtype, 2).astype(dtype)[:, 3:-2]
    out = np.ones((rows, 5000), dtype)
    tn.einsum("mk,kn->mn", a, b, out=out[:, 2:3998])
    np.testing.assert_array_equal(out[:, 2:3998], a @ b)
    assert (out[:, :2] == 1).all()
    assert (out[:, 3998:] == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_results_are_streamed_wherever_lines_of_the_operand_begin(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = np.dtype(dtype).itemsize
    rows, columns, steps = 500, 64 * 1024 // size, 8
    a = whole_numbers((steps, rows), dtype, 1).astype(dtype)
    space = np.zeros(steps * columns * size + 128, np.uint8)
    monkeypatch.setattr(config, "_threads", None)  # restored, whatever happens
    line = -space.ctypes.data % 64
    for offset in range(0, 64, 16):
        bytes_of_b = space[line + offset :][: steps * columns * size]
        b = bytes_of_b.view(dtype).reshape(steps, columns)
        b[...] = whole_numbers(b.shape, dtype, 2)
        for threads in (1, 2):
            tn.set_num_threads(threads)
            np.testing.assert_array_equal(tn.einsum("ka,kn->an", a, b), a.T @ b)


def inside(
    shape: tuple[int, int], dtype: str, bytes_in_front: int, gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """An array that begins within a line, so many entries between its rows; and all around it."""
    size = np.dtype(dtype).itemsize
    rows, columns = shape
    around = np.full((rows * (columns + gap) + 128) * size, 7, np.uint8)
    first = -around.ctypes.data % 64 + bytes_in_front
    whole = around[first : first + rows * (columns + gap) * size].view(dtype)
    return whole.reshape(rows, columns + gap)[:, :columns], around


@pytest.mark.parametrize("dtype", [*DTYPES, "int16", "int32"])
@pytest.mark.parametrize("subscripts", ["m,n->mn", "mn,n->mn", "mn,mn->mn", "mk,kn->mn"])
def test_rows_written_past_the_caches_end_where_they_should(
    subscripts: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_threads", None)  # restored, whatever happens
    size = np.dtype(dtype).itemsize
    columns = 3001 if size > 2 else 5000
    rows = 17 * 2**20 // (columns * size) + 1
    extents = {"m": rows, "n": columns, "k": 3}
    left, right = subscripts.split("->")[0].split(",")
    a = whole_numbers(tuple(extents[i] for i in left), dtype, 1).astype(dtype)
    b = whole_numbers(tuple(extents[i] for i in right), dtype, 2).astype(dtype)
    exact = np.einsum(subscripts, a, b)
    for threads, bytes_in_front, gap in (
        (1, 0, 0),
        (1, 48, 0),
        (2, 16, 0),
        (2, 32, 5),
        (3, size, 1),
    ):
        out, around = inside((rows, columns), dtype, bytes_in_front, gap)
        tn.set_num_threads(threads)
        tn.einsum(subscripts, a, b, out=out)
        np.testing.assert_array_equal(out, exact)
        out[...] = np.full(size, 7, np.uint8).view(dtype)[0]
        assert (around == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subscripts", ["m,n->mn", "mk,kn->mn", "nm->mn", "mn->mn"])
def test_large_results_may_have_rows_at_any_byte(subscripts: str, dtype: str) -> None:
    size = np.dtype(dtype).itemsize
    columns = 3008
    rows = 17 * 2**20 // (columns * size) + 1
    extents = {"m": rows, "n": columns, "k": 3}
    terms = subscripts.split("->")[0].split(",")
    arrays = [
        whole_numbers(tuple(extents[i] for i in term), dtype, seed).astype(dtype)
        for seed, term in enumerate(terms)
    ]
    space = np.empty(rows * (columns * size + 1) + 1, np.uint8)
    for first in (0, 1):
        strides = (columns * size + 1, size)
        out: np.ndarray = np.ndarray((rows, columns), dtype, space, first, strides)
        tn.einsum(subscripts, *arrays, out=out)
        np.testing.assert_array_equal(out, np.einsum(subscripts, *arrays))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subscripts", ["mk,kn->mn", "km,nk->mn"])
def test_results_of_few_steps_are_exact_however_wide(subscripts: str, dtype: str) -> None:
    for m, n in ((60, 1001), (301, 299), (1003, 130), (40, 9000)):
        for steps in (2, 5, 16, 41):
            check(subscripts, {"m": m, "n": n, "k": steps}, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64"])
@pytest.mark.parametrize(("rows", "columns"), [(2, 65), (5, 40)])
def test_chunks_of_long_sums_keep_apart_whatever_their_length(
    rows: int, columns: int, dtype: str
) -> None:
    for length in (*range(480, 520, 3), 700, 1001):
        extents = {"a": rows, "b": columns, "c": length, "d": 2, "e": 16}
        check("caed,dbce->ab", extents, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("runs", "length"), [(3, 20_000), (37, 1024), (130, 200), (1000, 32), (700, 72)]
)
def test_few_sums_over_many_long_runs_are_exact(runs: int, length: int, dtype: str) -> None:
    for rows, columns in ((2, 4), (5, 7), (16, 9)):
        extents = {"k": runs, "m": rows, "n": columns, "p": length}
        plan = tn.plan(["kmp", "knp"], "mn", extents, dtype=dtype)
        assert "inner" in plan.compile(dtype).steps()[0]
        check("kmp,knp->mn", extents, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gate", [1, 2, 3])
def test_gates_meet_axes_of_a_state_in_any_order(gate: int, dtype: str) -> None:
    rng = np.random.default_rng(gate)
    state, met, new = list("abcdefghijkl"), list("KLM")[:gate], list("UVW")[:gate]
    for _ in range(12):
        left, result = rng.permutation(state + met), rng.permutation(state + new)
        subscripts = f"{''.join(left)},{''.join(new + met)}->{''.join(result)}"
        check(subscripts, dict.fromkeys(state + met + new, 2), dtype)
