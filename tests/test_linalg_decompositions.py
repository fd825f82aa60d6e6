"""Decompositions, matrix functions and the truncated singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensornet import linalg
from tensornet.linalg import partial_svd as partial
from tensornet.linalg.sampling import normal, uniform

DTYPES = ["float32", "float64", "complex64", "complex128"]


def random(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> Any:
    return normal(shape, dtype, seed)


def tolerance(dtype: str) -> float:
    return 2e-5 if dtype in ("float32", "complex64") else 1e-12


def join(*factors: Any) -> Any:
    """The product over the axes between neighbours."""
    product = factors[0]
    for factor in factors[1:]:
        product = np.tensordot(product, factor, 1)
    return product


def with_values(rows: int, columns: int, s: Any, dtype: str = "float64") -> Any:
    """A matrix of these singular values."""
    u = np.linalg.qr(random((rows, len(s)), dtype, 1))[0]
    v = np.linalg.qr(random((columns, len(s)), dtype, 2))[0]
    return ((u * s) @ v.conj().T).astype(dtype)


# The singular value decomposition


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pivot", [0, 1, 2, 3, -1, -2, -3])
def test_svd_splits_a_tensor_at_the_pivot_axis(dtype: str, pivot: int) -> None:
    tensor = random((2, 3, 4), dtype)
    u, s, vh, dropped = linalg.svd(tensor, pivot)
    split = pivot % 3 if pivot < 0 else pivot
    assert u.shape[:-1] == (2, 3, 4)[:split]
    assert vh.shape[1:] == (2, 3, 4)[split:]
    assert dropped.shape == (0,)
    assert {part.dtype for part in (u, s, vh, dropped)} == {np.dtype(dtype)}
    np.testing.assert_allclose(join(u, np.diag(s), vh), tensor, atol=tolerance(dtype))
    assert list(s.real) == sorted(s.real, reverse=True)


def test_svd_keeps_at_most_max_singular_values() -> None:
    matrix = np.diag([4.0, 3.0, 2.0, 1.0])
    for count in (0, 1, 3, 4, 9):
        u, s, vh, dropped = linalg.svd(matrix, 1, max_singular_values=count)
        assert s.tolist() == [4.0, 3.0, 2.0, 1.0][:count]
        assert dropped.tolist() == [4.0, 3.0, 2.0, 1.0][count:]
        assert u.shape == (4, len(s))
        assert vh.shape == (len(s), 4)


@pytest.mark.parametrize(
    ("error", "kept"), [(0, 4), (0.99, 4), (1, 3), (2.2, 3), (2.3, 2), (4, 1), (5.4, 1), (6, 0)]
)
def test_svd_drops_as_much_as_the_truncation_error_allows(error: float, kept: int) -> None:
    matrix = np.diag([4.0, 3.0, 2.0, 1.0])
    for factor in (1.0, 1e-250, 1e250):  # whose squares vanish or overflow
        _, s, _, dropped = linalg.svd(matrix * factor, max_truncation_error=error * factor)
        assert len(s) == kept
        assert len(dropped) == 4 - kept
        _, s, _, _ = linalg.svd(matrix * factor, max_truncation_error=error / 4, relative=True)
        assert len(s) == kept


def test_max_singular_values_goes_before_the_truncation_error() -> None:
    matrix = np.diag([4.0, 3.0, 2.0, 1.0])
    assert len(linalg.svd(matrix, 1, 1, 1.0)[1]) == 1
    assert len(linalg.svd(matrix, 1, 4, 1.0)[1]) == 3


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1), (2, 0, 3)])
def test_decompositions_of_empty_and_single_entries(shape: tuple[int, ...]) -> None:
    tensor = np.ones(shape)
    u, s, vh, dropped = linalg.svd(tensor, 1, 5, 0.1, relative=True)
    np.testing.assert_allclose(join(u, np.diag(s), vh), tensor)
    assert dropped.size == 0
    for factors in (linalg.qr(tensor, 1, True), linalg.rq(tensor, 1, True)):
        np.testing.assert_allclose(join(*factors), tensor)


def test_a_zero_matrix_has_nothing_to_keep_when_an_error_is_allowed() -> None:
    u, s, vh, dropped = linalg.svd(np.zeros((3, 2)), 1, max_truncation_error=0)
    assert (u.shape, s.shape, vh.shape) == ((3, 0), (0,), (0, 2))
    assert dropped.tolist() == [0, 0]


def test_a_vector_and_a_number_are_matrices_too() -> None:
    u, s, vh, _ = linalg.svd(np.array([3.0, 4.0]))
    assert (u.shape, s.round(12).tolist(), vh.shape) == ((1,), [5.0], (1, 2))
    u, s, vh, _ = linalg.svd(-3.0, 0)
    assert float(u[0] * s[0] * vh[0]) == -3.0


def test_other_dtypes_are_computed_in_ones_that_lapack_has() -> None:
    half = random((4, 3), "float16")
    u, s, vh, dropped = linalg.svd(half, 1, 3)
    assert {part.dtype for part in (u, s, vh, dropped)} == {np.dtype("float16")}
    np.testing.assert_allclose(join(u * s, vh), half, atol=1e-2)
    whole = np.arange(6).reshape(2, 3)
    u, s, vh, _ = linalg.svd(whole)
    assert s.dtype == np.float64
    np.testing.assert_allclose(join(u * s, vh), whole, atol=1e-12)
    assert linalg.qr(whole > 2)[0].dtype == np.float64
    swapped = random((3, 3)).astype(">f8")
    assert linalg.qr(swapped)[0].dtype == np.float64
    with pytest.raises(TypeError, match="not supported"):
        linalg.svd(np.ones((2, 2), "longdouble"))
    with pytest.raises(TypeError, match="supported"):
        linalg.svd(np.array([["a"]]))


@pytest.mark.parametrize("function", [linalg.svd, linalg.qr, linalg.rq])
def test_what_cannot_be_decomposed_is_named(function: Any) -> None:
    tensor = np.ones((2, 3))
    for bad in (np.nan, np.inf, -np.inf):
        tensor[1, 2] = bad
        with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 6 .* at \(1, 2\)"):
            function(tensor)
    with pytest.raises(ValueError, match=r"pivot_axis 3 .* \(2, 3\)"):
        function(np.ones((2, 3)), 3)
    with pytest.raises(ValueError, match="pivot_axis -3"):
        function(np.ones((2, 3)), -3)
    with pytest.raises(TypeError):
        function(np.ones((2, 3)), 1.5)


def test_senseless_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="max_singular_values is -1"):
        linalg.svd(np.eye(2), max_singular_values=-1)
    with pytest.raises(ValueError, match="must not be negative or NaN"):
        linalg.svd(np.eye(2), max_truncation_error=-1e-3)
    with pytest.raises(ValueError, match="must not be negative or NaN"):
        linalg.svd(np.eye(2), max_truncation_error=np.nan)
    with pytest.raises(ValueError, match="'fast' is not known"):
        linalg.svd(np.eye(2), method="fast")


def test_operands_are_not_changed() -> None:
    tensor = random((4, 4))
    before = tensor.copy()
    tensor.flags.writeable = False
    linalg.svd(tensor)
    linalg.qr(tensor, non_negative_diagonal=True)
    linalg.rq(tensor.T, non_negative_diagonal=True)
    linalg.expm(tensor)
    np.testing.assert_array_equal(tensor, before)


# Few values of a large matrix

SPECTRA = {
    "falling by powers": 0.9 ** np.arange(450.0),
    "falling slowly": np.arange(1.0, 451) ** -1.5,
    "a step": np.r_[np.ones(20), np.full(430, 1e-3)],
    "exact rank": np.r_[np.linspace(2, 1, 7), np.zeros(443)],
    "many times the same": np.r_[np.ones(9), np.full(16, 0.5), 0.3 * 0.9 ** np.arange(425)],
    "tiny": 1e-20 * 0.8 ** np.arange(450.0),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float64") for name in SPECTRA]
    + [("many times the same", dtype) for dtype in DTYPES if dtype != "float64"],
)
def test_few_values_agree_with_the_full_decomposition(name: str, dtype: str) -> None:
    s = SPECTRA[name]
    matrix = with_values(500, 450, s, dtype)
    found = partial.partial_svd(matrix, 12)
    assert found is not None
    few = linalg.svd(matrix, 1, 12)
    full = linalg.svd(matrix, 1, 12, method="full")
    allowed = (1e-9 if dtype in ("float64", "complex128") else 2e-5) * float(s[0])
    np.testing.assert_allclose(few[1], full[1], atol=allowed, rtol=0)
    np.testing.assert_allclose(few[1].real, s[:12], atol=allowed, rtol=0)
    unit = np.eye(12)
    np.testing.assert_allclose(few[0].conj().T @ few[0], unit, atol=100 * tolerance(dtype))
    np.testing.assert_allclose(few[2] @ few[2].conj().T, unit, atol=100 * tolerance(dtype))
    error = np.linalg.norm(matrix - (few[0] * few[1]) @ few[2])
    assert few[3].shape == (1,)
    assert float(np.linalg.norm(few[3])) == pytest.approx(float(error), rel=1e-4, abs=allowed)
    assert float(np.linalg.norm(full[3])) == pytest.approx(float(error), rel=1e-4, abs=10 * allowed)


@pytest.mark.parametrize("shape", [(450, 900), (900, 450)])
def test_few_values_of_tall_and_wide_matrices(shape: tuple[int, int]) -> None:
    s = 0.8 ** np.arange(60.0)
    matrix = with_values(*shape, s, "complex128")
    u, values, vh, dropped = linalg.svd(matrix.reshape(30, -1, shape[1]), -1, 10)
    assert u.shape == (30, shape[0] // 30, 10)
    np.testing.assert_allclose(values, s[:10], atol=1e-12)
    rest = matrix - (u.reshape(-1, 10) * values) @ vh
    np.testing.assert_allclose(np.linalg.norm(dropped), np.linalg.norm(rest))
    np.testing.assert_allclose(np.linalg.norm(dropped), np.linalg.norm(s[10:]))


def test_the_truncation_error_is_kept_to_when_few_values_are_computed() -> None:
    s = 0.5 ** np.arange(500.0)
    matrix = with_values(500, 500, s)
    for error in (0.3, 1e-3, 1e-7):
        few = linalg.svd(matrix, 1, 25, error)
        full = linalg.svd(matrix, 1, 25, error, method="full")
        assert len(few[1]) == len(full[1])
        assert np.linalg.norm(few[3]) == pytest.approx(np.linalg.norm(full[3]), abs=1e-14)


def test_few_values_are_the_same_each_time() -> None:
    matrix = with_values(450, 450, SPECTRA["falling by powers"])
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, second = linalg.svd(matrix, 1, 8), linalg.svd(matrix, 1, 8)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_few_values_of_a_flat_spectrum(dtype: str) -> None:
    for matrix in (random((450, 500), dtype), with_values(500, 450, np.linspace(2, 1, 450), dtype)):
        assert partial._by_blocks(matrix, 20) is None
        u, s, vh, dropped = linalg.svd(matrix, 1, 20)
        full = linalg.svd(matrix, 1, 20, method="full")
        np.testing.assert_allclose(s, full[1], rtol=tolerance(dtype))
        np.testing.assert_allclose(u.conj().T @ u, np.eye(20), atol=10 * tolerance(dtype))
        np.testing.assert_allclose(vh @ vh.conj().T, np.eye(20), atol=10 * tolerance(dtype))
        assert dropped.shape == (1,)
        error = float(np.linalg.norm(full[3]))
        assert float(abs(dropped[0])) == pytest.approx(error, rel=1e-5)
        assert float(np.linalg.norm(matrix - (u * s) @ vh)) == pytest.approx(error, rel=1e-5)


def test_a_check_that_fails_leaves_it_to_the_full_decomposition() -> None:
    matrix = with_values(450, 450, np.r_[1e8, np.linspace(2, 1, 449)])
    assert partial.partial_svd(matrix, 20) is None
    s, dropped = linalg.svd(matrix, 1, 20)[1::2]
    np.testing.assert_allclose(s[1:], np.linspace(2, 1, 449)[:19], rtol=1e-6)
    assert len(dropped) == 430


def test_extreme_entries_are_decomposed_in_full() -> None:
    for factor in (1e-200, 1e200, 0.0):
        matrix = factor * with_values(450, 450, 0.5 ** np.arange(450.0))
        s, dropped = linalg.svd(matrix, 1, 5)[1::2]
        np.testing.assert_allclose(s, factor * 0.5 ** np.arange(5), rtol=1e-10)
        assert len(dropped) == 445


# QR and RQ


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("pivot", [0, 1, 2, 3, -1, -2])
def test_qr_and_rq_give_back_the_tensor(dtype: str, positive: bool, pivot: int) -> None:
    tensor = random((2, 3, 4), dtype)
    q, r = linalg.qr(tensor, pivot, positive)
    other_r, other_q = linalg.rq(tensor, pivot, positive)
    for left, right, isometry in ((q, r, True), (other_r, other_q, False)):
        assert left.dtype == right.dtype == np.dtype(dtype)
        np.testing.assert_allclose(join(left, right), tensor, atol=tolerance(dtype))
        size = left.shape[-1]
        unit = left.reshape(-1, size).conj().T if isometry else right.reshape(size, -1)
        np.testing.assert_allclose(unit @ unit.conj().T, np.eye(size), atol=tolerance(dtype))
    upper, lower = r.reshape(r.shape[0], -1), other_r.reshape(-1, other_r.shape[-1])
    np.testing.assert_allclose(upper, np.triu(upper), atol=0)
    np.testing.assert_allclose(lower, np.tril(lower), atol=0)
    if positive:
        for triangle in (upper, lower):
            diagonal = np.diagonal(triangle)
            assert (diagonal.real >= 0).all()
            assert (diagonal.imag == 0).all()


def test_a_zero_on_the_diagonal_leaves_q_orthonormal() -> None:
    for matrix in (np.zeros((3, 3)), np.ones((3, 3)), 1j * np.ones((4, 2))):
        q, r = linalg.qr(matrix, 1, True)
        np.testing.assert_allclose(q.conj().T @ q, np.eye(q.shape[1]), atol=1e-14)
        np.testing.assert_allclose(q @ r, matrix, atol=1e-14)
        r, q = linalg.rq(matrix, 1, True)
        np.testing.assert_allclose(q @ q.conj().T, np.eye(q.shape[0]), atol=1e-14)
        np.testing.assert_allclose(r @ q, matrix, atol=1e-14)


def test_a_non_negative_diagonal_makes_qr_unique() -> None:
    matrix = random((5, 3), "complex128")
    triangle = np.triu(random((3, 3), "complex128", 4))
    steps = np.arange(3)
    triangle[steps, steps] = [1.0, 2.0, 3.0]
    isometry = np.linalg.qr(matrix)[0]
    q, r = linalg.qr(isometry @ triangle, 1, True)
    np.testing.assert_allclose(r, triangle, atol=1e-12)
    np.testing.assert_allclose(q, isometry, atol=1e-12)


# Functions of square matrices


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh_reads_the_lower_triangle(dtype: str) -> None:
    matrix = random((6, 6), dtype)
    hermitian = np.tril(matrix) + np.tril(matrix, -1).conj().T
    steps = np.arange(6)
    hermitian[steps, steps] = hermitian[steps, steps].real
    values, vectors = linalg.eigh(np.tril(hermitian))
    assert values.dtype == hermitian.real.dtype
    assert vectors.dtype == np.dtype(dtype)
    assert list(values) == sorted(values)
    np.testing.assert_allclose(hermitian @ vectors, vectors * values, atol=20 * tolerance(dtype))


def exponential_series(matrix: Any) -> Any:
    """The power series, in extended precision, on a matrix scaled down by 2**20."""
    wide = "clongdouble" if np.iscomplexobj(matrix) else "longdouble"
    scaled = matrix.astype(wide) / 2**20
    total = term = np.eye(len(matrix), dtype=wide)
    for k in range(1, 20):
        term = term @ scaled / k
        total = total + term
    for _ in range(20):
        total = total @ total
    return total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-9, 0.003, 0.04, 0.2, 0.5, 1.5, 40])
def test_expm_agrees_with_the_power_series(dtype: str, size: float) -> None:
    matrix = random((6, 6), dtype)
    matrix = (matrix * (size / np.linalg.norm(matrix, 1))).astype(dtype)
    result = linalg.expm(matrix)
    assert result.dtype == np.dtype(dtype)
    expected = exponential_series(matrix).astype("complex128")
    scale = float(abs(expected).max())
    np.testing.assert_allclose(result, expected, atol=tolerance(dtype) * scale)


def test_expm_of_special_matrices() -> None:
    np.testing.assert_array_equal(linalg.expm(np.zeros((3, 3))), np.eye(3))
    np.testing.assert_allclose(
        linalg.expm(np.diag([0.0, 1.0, -700.0])), np.diag(np.exp([0.0, 1.0, -700.0])), rtol=1e-11
    )
    angle = np.array([[0, -np.pi], [np.pi, 0]])
    np.testing.assert_allclose(linalg.expm(angle), -np.eye(2), atol=1e-14)
    assert linalg.expm(np.zeros((0, 0))).shape == (0, 0)
    assert linalg.expm(np.eye(2, dtype=int)).dtype == np.float64
    assert np.isposinf(linalg.expm(np.array([[1e4]])))[0, 0]
    nilpotent = linalg.expm(np.array([[0, 1e6, 0], [0, 0, 1e6], [0, 0, 0]]))
    np.testing.assert_allclose(nilpotent[0], [1, 1e6, 5e11], rtol=1e-9)


def test_expm_agrees_with_scipy() -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    matrix = 3 * random((20, 20), "complex128")
    expected = scipy_linalg.expm(matrix)
    np.testing.assert_allclose(linalg.expm(matrix), expected, atol=1e-12 * abs(expected).max())


def test_inv_inverts_or_says_that_it_cannot() -> None:
    for dtype in DTYPES:
        matrix = random((4, 4), dtype)
        inverse = linalg.inv(matrix)
        assert inverse.dtype == np.dtype(dtype)
        np.testing.assert_allclose(inverse @ matrix, np.eye(4), atol=50 * tolerance(dtype))
    with pytest.raises(np.linalg.LinAlgError, match=r"shape \(2, 2\) is singular"):
        linalg.inv(np.ones((2, 2)))


@pytest.mark.parametrize("function", [linalg.eigh, linalg.expm, linalg.inv])
def test_functions_of_matrices_refuse_everything_else(function: Any) -> None:
    for shape in ((2, 3), (2, 2, 2), (4,), ()):
        with pytest.raises(ValueError, match="square matrix"):
            function(np.ones(shape))
    with pytest.raises(ValueError, match="NaN or infinity"):
        function(np.full((2, 2), np.nan))


def test_solve_takes_no_equations_at_all() -> None:
    for shape in ((0,), (0, 2), (0, 0)):
        assert linalg.solve(np.zeros((0, 0)), np.zeros(shape)).shape == shape


def test_norm_is_that_of_all_entries() -> None:
    for dtype in DTYPES:
        tensor = random((2, 3, 4), dtype)
        result = linalg.norm(tensor)
        assert result.dtype == tensor.real.dtype
        assert float(result) == pytest.approx(float(np.sqrt((abs(tensor) ** 2).sum())), rel=1e-5)
    assert float(linalg.norm([3, 4])) == 5.0
    assert float(linalg.norm(np.zeros((0, 2)))) == 0.0


# Random arrays


def test_seeded_arrays_are_those_of_numpy() -> None:
    source = np.random.RandomState(7)
    real, imaginary = source.standard_normal((2, 3)), source.standard_normal((2, 3))
    np.testing.assert_array_equal(normal((2, 3), seed=7), real)
    np.testing.assert_array_equal(normal((2, 3), "complex128", 7), real + 1j * imaginary)
    expected = np.random.RandomState(7).uniform(-2, 5, (4,))
    np.testing.assert_array_equal(uniform((4,), seed=7, boundaries=(-2, 5)), expected)
    assert normal((), "float32", 7).shape == ()
    assert normal((2, 0), "complex64", 7).dtype == np.complex64
    assert uniform((50,), "int64", 7, (0, 10)).dtype == np.int64


def test_unseeded_arrays_follow_numpys_seed_and_seeded_ones_leave_it_alone() -> None:
    np.random.seed(5)
    first = normal((3,))
    normal((3,), seed=1)
    second = uniform((3,))
    np.random.seed(5)
    np.testing.assert_array_equal(normal((3,)), first)
    np.testing.assert_array_equal(uniform((3,)), second)
