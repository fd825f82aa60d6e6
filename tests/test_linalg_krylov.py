"""Krylov solvers: eigenpairs and linear systems over maps of arrays."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tensornet.linalg import krylov
from tensornet.linalg.arnoldi import leading_schur
from tensornet.linalg.krylov import ConvergenceWarning, eigs, eigsh_lanczos, gmres
from tensornet.linalg.maps import Rows
from tensornet.linalg.sampling import normal

DTYPES = ["float32", "float64", "complex64", "complex128"]


def tolerance(dtype: str) -> float:
    return 2e-4 if dtype in ("float32", "complex64") else 1e-8


def hermitian(values: Any, dtype: str = "float64") -> Any:
    """A matrix with these eigenvalues."""
    q = np.linalg.qr(normal((len(values), len(values)), dtype, 1))[0]
    matrix = (q * np.asarray(values)) @ q.conj().T
    return ((matrix + matrix.conj().T) / 2).astype(dtype)


def apply(x: Any, matrix: Any) -> Any:
    """The matrix on an array of any shape."""
    return (matrix @ x.reshape(-1)).reshape(x.shape)


def check_pairs(matrix: Any, values: Any, vectors: Any, shape: Any, atol: float) -> None:
    assert len(values) == len(vectors)
    for value, vector in zip(values, vectors):
        assert vector.shape == shape
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        residual = np.linalg.norm(apply(vector, matrix) - value * vector)
        assert residual <= atol * np.linalg.norm(matrix, 2)


def fewest_calls(limit: int, matrix: Any) -> Any:
    """A map that fails the test after `limit` products."""
    calls = []

    def function(x: Any) -> Any:
        calls.append(1)
        assert len(calls) <= limit
        return apply(x, matrix)

    return function


# Hermitian maps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("numeig", [1, 2, 4])
def test_lanczos_finds_the_lowest_pairs(dtype: str, numeig: int) -> None:
    matrix = hermitian(np.r_[-5, -4, -3.5, -3, np.linspace(0, 1, 20)], dtype)
    x0 = normal((2, 3, 4), dtype, 3)
    values, vectors = eigsh_lanczos(
        apply, args=[matrix], x0=x0, num_krylov_vecs=24, numeig=numeig, reorthogonalize=True
    )
    assert values.dtype == x0.real.dtype
    assert {vector.dtype for vector in vectors} == {np.dtype(dtype)}
    np.testing.assert_allclose(values, [-5, -4, -3.5, -3][:numeig], atol=tolerance(dtype))
    check_pairs(matrix, values, vectors, (2, 3, 4), tolerance(dtype))


def test_lanczos_starts_by_itself_and_the_same_each_time() -> None:
    matrix = hermitian(np.arange(12.0))
    first = eigsh_lanczos(apply, "numpy", [matrix], shape=(3, 4), dtype=np.float64)
    np.random.seed(1)
    second = eigsh_lanczos(apply, args=[matrix], shape=[3, 4])
    np.testing.assert_array_equal(first[1][0], second[1][0])
    assert first[0][0] == pytest.approx(0, abs=1e-12)


def test_lanczos_makes_no_more_products_than_vectors() -> None:
    matrix = hermitian(np.linspace(0, 1, 200))
    with pytest.warns(ConvergenceWarning, match="eigsh_lanczos: eigenpair 0 .* raise num_krylov"):
        eigsh_lanczos(fewest_calls(10, matrix), shape=(200,), num_krylov_vecs=10)


def test_lanczos_stops_early_when_it_has_what_is_wanted() -> None:
    matrix = hermitian(np.r_[-100, np.linspace(0, 1, 299)])
    values, vectors = eigsh_lanczos(
        fewest_calls(15, matrix), shape=(300,), num_krylov_vecs=100, ndiag=3
    )
    assert values[0] == pytest.approx(-100, abs=1e-8)
    check_pairs(matrix, values, vectors, (300,), 1e-8)


def test_lanczos_restarts_within_its_memory() -> None:
    exact = np.linspace(0, 1, 400) ** 1.5
    matrix = hermitian(exact)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, vectors = eigsh_lanczos(
            apply,
            args=[matrix],
            x0=normal((400,), seed=1),
            num_krylov_vecs=20,
            numeig=3,
            reorthogonalize=True,
            maxiter=200,
        )
    np.testing.assert_allclose(values, exact[:3], atol=1e-8)
    check_pairs(matrix, values, vectors, (400,), 1e-7)


def test_full_orthogonality_leaves_no_spurious_copies() -> None:
    matrix = hermitian(np.r_[-1000, np.linspace(0, 1, 99)])
    values, vectors = eigsh_lanczos(
        apply,
        args=[matrix],
        x0=normal((100,), seed=1),
        num_krylov_vecs=99,
        numeig=3,
        reorthogonalize=True,
        ndiag=1000,
    )
    np.testing.assert_allclose(values, np.r_[-1000, np.linspace(0, 1, 99)[:2]], atol=1e-6)
    gram = np.array(vectors) @ np.array(vectors).T
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-10)


@pytest.mark.parametrize("solver", ["lanczos", "eigs"])
@pytest.mark.parametrize("exact", [[1, 1, 1, 2, 2, 3], [1] * 6, [0, 0, 0, 5, 5, 5, 5]])
def test_multiple_eigenvalues_come_as_often_as_they_occur(solver: str, exact: list[int]) -> None:
    matrix = hermitian(np.array(exact, float))
    shape = (len(exact),)
    if solver == "lanczos":
        values, vectors = eigsh_lanczos(
            apply, args=[matrix], shape=shape, numeig=3, reorthogonalize=True
        )
    else:
        values, vectors = eigs(apply, args=[matrix], shape=shape, numeig=3, which="SR")
    np.testing.assert_allclose(values, exact[:3], atol=1e-10)
    check_pairs(matrix, values, vectors, shape, 1e-10)
    assert np.linalg.matrix_rank(np.array(vectors)) == 3


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_vectors_of_a_multiple_eigenvalue_are_orthogonal(dtype: str) -> None:
    for seed in range(30):  # of which rounding made a third dependent
        q = np.linalg.qr(normal((7, 7), dtype, seed))[0]
        matrix = (q * [0, 0, 0, 5, 5, 5, 5]) @ q.conj().T
        values, vectors = eigs(apply, args=[matrix], shape=(7,), numeig=3, which="SR", dtype=dtype)
        check_pairs(matrix, values, vectors, (7,), 1e-10)
        gram = np.array(vectors).conj() @ np.array(vectors).T
        np.testing.assert_allclose(gram, np.eye(3), atol=1e-10)


def test_multiple_eigenvalues_that_rounding_makes_a_complex_pair_have_vectors() -> None:
    for seed in range(1, 200, 2):
        basis = normal((9, 9), seed=seed)
        matrix = basis @ np.diag([1.0] * 6 + [2.0] * 3) @ np.linalg.inv(basis)
        values, vectors = eigs(apply, args=[matrix], shape=(9,), numeig=3, which="SR")
        np.testing.assert_allclose(values, [1, 1, 1], atol=1e-5)
        assert all(np.isfinite(vector).all() for vector in vectors)


def test_vectors_of_multiple_complex_eigenvalues_are_orthogonal() -> None:
    for seed in range(10):
        q = np.linalg.qr(normal((6, 6), seed=seed))[0]
        matrix = q @ np.kron(np.eye(3), [[0, -2], [2, 0]]) @ q.T
        values, vectors = eigs(apply, args=[matrix], shape=(6,), numeig=3, which="LI")
        np.testing.assert_allclose(values, [2j, 2j, 2j], atol=1e-10)
        gram = np.array(vectors).conj() @ np.array(vectors).T
        np.testing.assert_allclose(gram, np.eye(3), atol=1e-10)


@pytest.mark.parametrize("solver", ["lanczos", "eigs"])
def test_multiple_eigenvalues_are_found_among_many(solver: str) -> None:
    exact = np.r_[0, 0, 0, 0.5, np.linspace(2, 3, 196)]
    matrix = hermitian(exact)
    if solver == "lanczos":
        values, _ = eigsh_lanczos(
            apply, args=[matrix], shape=(200,), numeig=4, reorthogonalize=True, maxiter=40
        )
    else:
        values, _ = eigs(apply, args=[matrix], shape=(200,), numeig=4, which="SR", maxiter=40)
    np.testing.assert_allclose(values, exact[:4], atol=1e-8)


@pytest.mark.parametrize("size", [9, 14, 40])
def test_the_search_for_copies_looks_elsewhere_each_time(size: int) -> None:
    exact = np.repeat([0.0, 1, 2, 3], [6, 10, 9, 10])
    matrix = hermitian(exact, "complex128")
    options: dict[str, Any] = {"args": [matrix], "shape": (35,), "dtype": complex, "numeig": 7}
    values, vectors = eigsh_lanczos(
        apply, num_krylov_vecs=size, reorthogonalize=True, maxiter=100, **options
    )
    np.testing.assert_allclose(values, exact[:7], atol=1e-8)
    check_pairs(matrix, values, vectors, (35,), 1e-8)
    values, vectors = eigs(apply, num_krylov_vecs=size, which="SR", maxiter=100, **options)
    np.testing.assert_allclose(values, exact[:7], atol=1e-8)
    check_pairs(matrix, values, vectors, (35,), 1e-8)


def test_pairs_that_are_not_good_are_never_returned_in_silence() -> None:
    for seed in range(8):
        matrix = hermitian(normal((24,), seed=seed), "complex128")
        options: dict[str, Any] = {"args": [matrix], "shape": (24,), "dtype": complex}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # All imaginary parts are rounding, so what is wanted changes from round to round.
            pairs = eigs(apply, numeig=9, num_krylov_vecs=20, which="SI", maxiter=9, **options)
        if not caught:
            check_pairs(matrix, *pairs, (24,), 1e-7)
        assert {each.category for each in caught} <= {ConvergenceWarning}


def test_an_invariant_subspace_of_x0_is_not_left() -> None:
    matrix = np.diag(np.arange(8.0))
    x0 = np.zeros(8)
    x0[[2, 4, 7]] = 1
    values, vectors = eigsh_lanczos(fewest_calls(3, matrix), x0=x0)
    assert values[0] == pytest.approx(2)
    assert abs(vectors[0][2]) == pytest.approx(1)
    values, _ = eigs(fewest_calls(3, matrix), x0=x0, numeig=2)
    np.testing.assert_allclose(values, [7, 4], atol=1e-12)


def test_more_pairs_than_an_invariant_subspace_has_are_found_outside() -> None:
    matrix = np.diag(np.arange(8.0))
    x0 = np.eye(8)[3]
    values, vectors = eigsh_lanczos(apply, args=[matrix], x0=x0, numeig=8, reorthogonalize=True)
    np.testing.assert_allclose(values, np.arange(8), atol=1e-12)
    check_pairs(matrix, values, vectors, (8,), 1e-12)


def test_a_real_start_takes_a_complex_map_and_the_wider_precision() -> None:
    matrix = hermitian(np.arange(10.0), "complex128")
    for x0 in (np.ones(10), np.ones(10, "float32"), np.ones(10, int), [1.0] * 10):
        values, vectors = eigsh_lanczos(apply, args=[matrix], x0=x0)
        assert values[0] == pytest.approx(0, abs=1e-12)
        check_pairs(matrix, values, vectors, (10,), 1e-12)
        values, vectors = eigs(apply, args=[matrix], x0=x0, numeig=2)
        np.testing.assert_allclose(values, [9, 8], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
def test_the_scale_of_a_map_does_not_matter(scale: float) -> None:
    matrix = scale * hermitian(np.r_[-3, -2, np.linspace(0, 1, 38)])
    values, vectors = eigsh_lanczos(
        apply, args=[matrix], shape=(40,), numeig=2, num_krylov_vecs=40, reorthogonalize=True
    )
    np.testing.assert_allclose(values / scale, [-3, -2], atol=1e-8)
    check_pairs(matrix, values, vectors, (40,), 1e-8)
    values, vectors = eigs(apply, args=[matrix], shape=(40,), numeig=2, which="SR")
    np.testing.assert_allclose(values / scale, [-3, -2], atol=1e-8)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,)])
def test_the_smallest_maps(shape: tuple[int, ...]) -> None:
    values, vectors = eigsh_lanczos(lambda x: -3 * x, shape=shape)
    np.testing.assert_allclose(values, [-3])
    assert vectors[0].shape == shape
    values, vectors = eigs(lambda x: 2j * x, shape=shape)
    np.testing.assert_allclose(values, [2j])
    assert vectors[0].shape == shape
    values, _ = eigsh_lanczos(lambda x: 0 * x, shape=shape)
    np.testing.assert_allclose(values, [0])


def test_a_map_may_change_or_return_its_operand() -> None:
    def scaled(x: Any) -> Any:
        x *= np.arange(1.0, 11)
        return x

    values, _ = eigsh_lanczos(scaled, shape=(10,))
    assert values[0] == pytest.approx(1)
    values, _ = eigs(scaled, shape=(10,))
    assert values[0] == pytest.approx(10)
    b = np.ones(10)
    x, info = gmres(scaled, b, tol=1e-10)
    np.testing.assert_allclose(x, 1 / np.arange(1.0, 11), atol=1e-9)
    assert info == 0
    np.testing.assert_array_equal(b, np.ones(10))


# Maps of all kinds


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["LM", "SM", "LR", "SR", "LI", "SI"])
def test_eigs_finds_what_is_asked_for(dtype: str, which: str) -> None:
    matrix = normal((30, 30), dtype, 5)
    exact = np.linalg.eigvals(matrix.astype("complex128"))
    keys = {"M": abs(exact), "R": exact.real, "I": exact.imag}[which[1]]
    order = np.argsort(keys if which[0] == "S" else -keys, kind="stable")
    values, vectors = eigs(
        apply,
        args=[matrix],
        x0=normal((5, 6), dtype, 6),
        num_krylov_vecs=30 if which == "SM" else 20,
        numeig=4,
        which=which,
        maxiter=300,
        tol=1e-9,
    )
    assert values.dtype == np.result_type(dtype, "complex64")
    assert {vector.dtype for vector in vectors} == {values.dtype}
    key = {"M": np.abs, "R": np.real, "I": np.imag}[which[1]]
    np.testing.assert_allclose(key(values), key(exact[order[:4]]), atol=20 * tolerance(dtype))
    for value in values:
        assert abs(exact - value).min() < 20 * tolerance(dtype)
    check_pairs(matrix, values, vectors, (5, 6), tolerance(dtype))


def test_a_real_map_is_given_real_vectors() -> None:
    matrix = normal((60, 60), seed=2)

    def real_only(x: Any) -> Any:
        assert x.dtype == np.float64
        assert x.flags.c_contiguous
        return matrix @ x

    for numeig in (1, 2, 3, 4):
        values, vectors = eigs(real_only, shape=(60,), numeig=numeig, which="LM", maxiter=200)
        exact = np.linalg.eigvals(matrix)
        expected = np.sort(abs(exact))[::-1][:numeig]
        np.testing.assert_allclose(abs(values), expected, atol=1e-7)
        check_pairs(matrix, values, vectors, (60,), 1e-7)


def test_defective_and_far_from_normal_maps() -> None:
    jordan = np.diag(np.full(29, 1.0), 1) + np.diag(np.full(30, 2.0))
    values, vectors = eigs(apply, args=[jordan], shape=(30,), num_krylov_vecs=30)
    check_pairs(jordan, values, vectors, (30,), 1e-8)
    skewed = np.diag(np.arange(40.0)) + np.triu(normal((40, 40), seed=4), 1)
    values, vectors = eigs(apply, args=[skewed], shape=(40,), numeig=3, maxiter=100)
    np.testing.assert_allclose(values, [39, 38, 37], atol=1e-6)
    check_pairs(skewed, values, vectors, (40,), 1e-7)


def test_eigs_restarts_within_its_memory_and_says_when_that_is_not_enough() -> None:
    matrix = hermitian(np.linspace(0, 1, 300) ** 2)
    function = fewest_calls(8 * 3, matrix)
    with pytest.warns(ConvergenceWarning, match="eigs: eigenpair . has an estimated error"):
        values, _ = eigs(function, shape=(300,), num_krylov_vecs=8, numeig=2, maxiter=2)
    assert 0.9 < values[0].real < 1
    values, _ = eigs(apply, args=[matrix], shape=(300,), num_krylov_vecs=12, maxiter=300)
    assert values[0] == pytest.approx(1, abs=1e-8)


def test_arnoldi_without_restarts() -> None:
    matrix = normal((40, 40), seed=9)
    with pytest.warns(ConvergenceWarning):
        eigs(fewest_calls(5, matrix), shape=(40,), num_krylov_vecs=5, maxiter=0)


def test_eigs_agrees_with_arpack() -> None:
    sparse = pytest.importorskip("scipy.sparse.linalg")
    matrix = normal((100, 100), "complex128", 8)
    expected = sparse.eigs(matrix, 3, which="LR", v0=np.ones(100))[0]
    values, _ = eigs(apply, args=[matrix], shape=(100,), dtype=complex, numeig=3, maxiter=100)
    np.testing.assert_allclose(values, sorted(expected, key=lambda x: -x.real), atol=1e-8)


def test_leading_schur_is_an_ordered_partial_schur_form() -> None:
    for dtype in ("float64", "complex128"):
        matrix = normal((9, 9), dtype, 3)
        for count in range(10):
            q, t = leading_schur(matrix, count, lambda values: np.argsort(-abs(values)))
            size = q.shape[1]
            assert count <= size <= count + (dtype == "float64")
            assert q.dtype == t.dtype == matrix.dtype
            np.testing.assert_allclose(q.conj().T @ q, np.eye(size), atol=1e-12)
            np.testing.assert_allclose(matrix @ q, q @ t, atol=1e-11)
            expected = np.sort(abs(np.linalg.eigvals(matrix)))[::-1][:size]
            found = np.sort(abs(np.linalg.eigvals(t)))[::-1] if size else []
            np.testing.assert_allclose(found, expected, atol=1e-10)


# What is refused


@pytest.mark.parametrize("solver", [eigsh_lanczos, eigs])
def test_what_eigensolvers_refuse_is_named(solver: Any) -> None:
    x0 = np.ones((2, 3))
    with pytest.raises(ValueError, match="give x0"):
        solver(lambda x: x)
    with pytest.raises(ValueError, match=r"plan.run\(backend=\)"):
        solver(lambda x: x, "jax", x0=x0)
    with pytest.raises(ValueError, match="zero or empty"):
        solver(lambda x: x, x0=0 * x0)
    with pytest.raises(ValueError, match="zero or empty"):
        solver(lambda x: x, shape=(0, 3))
    with pytest.raises(ValueError, match=r"x0 .*NaN or infinity"):
        solver(lambda x: x, x0=np.nan * x0)
    with pytest.raises(ValueError, match=r"the result of A .*NaN or infinity"):
        solver(lambda x: x * np.inf, x0=x0)
    with pytest.raises(ValueError, match=r"result of A has shape \(6,\), but .*\(2, 3\)"):
        solver(lambda x: x.ravel(), x0=x0)
    with pytest.raises(ValueError, match="numeig is 7"):
        solver(lambda x: x, x0=x0, numeig=7, **reorthogonalized(solver))
    with pytest.raises(ValueError, match="num_krylov_vecs is 3"):
        solver(lambda x: x, x0=x0, numeig=4, num_krylov_vecs=3, **reorthogonalized(solver))
    with pytest.raises(TypeError, match="A must be a function"):
        solver(np.eye(6), x0=x0)
    with pytest.raises(TypeError, match="supported"):
        solver(lambda x: x, x0=np.array(["a"]))


def reorthogonalized(solver: Any) -> dict[str, bool]:
    return {"reorthogonalize": True} if solver is eigsh_lanczos else {}


def test_arguments_that_only_one_eigensolver_has() -> None:
    with pytest.raises(ValueError, match="reorthogonalize=True"):
        eigsh_lanczos(lambda x: x, shape=(5,), numeig=2)
    with pytest.raises(ValueError, match="'LA' is not known; it is one of LM"):
        eigs(lambda x: x, shape=(5,), which="LA")
    with pytest.raises(ValueError, match="at least 4"):
        eigs(lambda x: x, shape=(9,), numeig=2, num_krylov_vecs=3)


def test_solvers_run_in_many_threads() -> None:
    matrices = [hermitian(np.arange(30.0) + k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(
                lambda m: eigsh_lanczos(apply, args=[m], shape=(30,), num_krylov_vecs=30)[0][0],
                matrices,
            )
        )
    np.testing.assert_allclose(found, np.arange(8.0), atol=1e-9)


def test_the_names_are_where_google_tensornetwork_has_them() -> None:
    import tensornet

    assert tensornet.linalg.krylov is krylov
    assert tensornet.linalg.krylov.gmres is gmres


# Linear systems


@pytest.mark.parametrize("dtype", DTYPES)
def test_gmres_solves_in_one_full_round(dtype: str) -> None:
    matrix = (normal((24, 24), dtype, 1) + 6 * np.eye(24)).astype(dtype)
    b = normal((2, 3, 4), dtype, 2)
    x, info = gmres(apply, b, [matrix], tol=1e-5 if tolerance(dtype) > 1e-6 else 1e-12)
    assert info == 0
    assert x.shape == b.shape
    assert x.dtype == np.dtype(dtype)
    np.testing.assert_allclose(apply(x, matrix), b, atol=tolerance(dtype))


def test_gmres_with_restarts_keeps_to_its_vectors_and_rounds() -> None:
    matrix = 0.3 * normal((50, 50), seed=1) / 7 + np.eye(50)
    b = normal((50,), seed=2)
    x, info = gmres(apply, b, [matrix], tol=1e-10, num_krylov_vectors=6, maxiter=20)
    assert info == 0
    assert np.linalg.norm(matrix @ x - b) <= 1e-10 * np.linalg.norm(b)
    x, info = gmres(fewest_calls(7 * 2, matrix), b, tol=1e-14, num_krylov_vectors=6, maxiter=2)
    assert info == 2
    assert np.linalg.norm(matrix @ x - b) < np.linalg.norm(b)


def test_gmres_minimises_the_residual() -> None:
    matrix, b = normal((12, 12), "complex128", 1), normal((12,), "complex128", 2)
    for size in range(1, 12):
        x, _ = gmres(apply, b, [matrix], num_krylov_vectors=size, tol=1e-14)
        space = [b]
        for _ in range(size - 1):
            space.append(matrix @ space[-1])
        basis = np.linalg.qr(np.array(space).T)[0]
        best = basis @ np.linalg.lstsq(matrix @ basis, b)[0]
        residual = np.linalg.norm(matrix @ x - b)
        assert residual == pytest.approx(float(np.linalg.norm(matrix @ best - b)), rel=1e-6)


def test_gmres_goes_on_from_x0() -> None:
    matrix = normal((10, 10), seed=1) + 5 * np.eye(10)
    b = normal((10,), seed=2)
    exact = np.linalg.solve(matrix, b)
    x, info = gmres(fewest_calls(1, matrix), b, x0=exact)
    assert info == 0
    np.testing.assert_array_equal(x, exact)
    x, info = gmres(apply, b, [matrix], x0=normal((10,), seed=3), tol=1e-12)
    assert info == 0
    np.testing.assert_allclose(x, exact, atol=1e-10)


def test_gmres_stops_by_the_larger_of_the_tolerances() -> None:
    matrix = np.diag(np.arange(1.0, 31))
    b = np.full(30, 1e-7)
    x, info = gmres(apply, b, [matrix])
    assert info == 0
    assert not x.any()  # the residual is below atol, which is tol by default
    x, info = gmres(apply, b, [matrix], tol=1e-10, atol=0)
    assert info == 0
    np.testing.assert_allclose(x, b / np.arange(1.0, 31), rtol=1e-8)
    x, info = gmres(apply, 1e7 * b, [matrix], tol=0, atol=0.5)
    assert info == 0
    assert 0.1 < np.linalg.norm(matrix @ x - 1e7 * b) <= 0.5


def test_gmres_with_a_preconditioner_needs_fewer_products() -> None:
    diagonal = np.linspace(1, 1e4, 80)
    matrix = np.diag(diagonal) + normal((80, 80), seed=1)
    b = normal((8, 10), seed=2)
    x, info = gmres(
        fewest_calls(14, matrix),
        b,
        tol=1e-9,
        num_krylov_vectors=12,
        M=lambda x: x / diagonal.reshape(8, 10),
    )
    assert info == 0
    np.testing.assert_allclose(apply(x, matrix), b, atol=1e-7)


def test_gmres_of_a_singular_map_does_what_can_be_done() -> None:
    matrix = np.diag([1.0, 2.0, 0.0])
    x, info = gmres(apply, np.array([1.0, 2.0, 0.0]), [matrix], tol=1e-12)
    assert info == 0
    np.testing.assert_allclose(x, [1, 1, 0], atol=1e-12)
    x, info = gmres(apply, np.array([1.0, 2.0, 1.0]), [matrix], maxiter=5)
    assert info > 0
    assert np.isfinite(x).all()
    x, info = gmres(lambda x: 0 * x, np.ones(3), maxiter=4)
    assert info == 1
    np.testing.assert_array_equal(x, np.zeros(3))


def test_gmres_of_special_right_sides() -> None:
    assert gmres(lambda x: 2 * x, np.zeros((2, 2)))[0].tolist() == [[0, 0], [0, 0]]
    assert gmres(lambda x: 2 * x, np.zeros((0, 2)))[0].shape == (0, 2)
    x, info = gmres(lambda x: 2 * x, np.array(3.0))
    assert (float(x), info) == (1.5, 0)
    x, info = gmres(lambda x: 2j * x, [2, 4])
    np.testing.assert_allclose(x, [-1j, -2j])
    rotation = np.array([[0.0, 1.0], [1.0, 0.0]])
    x, info = gmres(apply, np.array([1.0, 0.0]), [rotation], tol=1e-14)
    np.testing.assert_allclose(x, [0, 1], atol=1e-14)
    assert info == 0


def test_what_gmres_refuses_is_named() -> None:
    b = np.ones((2, 3))

    def solve(function: Any = lambda x: x, right: Any = b, **options: Any) -> None:
        gmres(function, right, **options)

    with pytest.raises(ValueError, match="tol is -1"):
        solve(tol=-1)
    with pytest.raises(ValueError, match="atol is -1"):
        solve(atol=-1)
    for count in (0, 7, -2):
        with pytest.raises(ValueError, match=f"num_krylov_vectors is {count}; .*at most 6"):
            solve(num_krylov_vectors=count)
    with pytest.raises(ValueError, match="maxiter is 0"):
        solve(maxiter=0)
    with pytest.raises(ValueError, match=r"x0 has shape \(6,\), but b has \(2, 3\)"):
        solve(x0=np.ones(6))
    with pytest.raises(TypeError, match="x0 has dtype float32, but b has float64"):
        solve(x0=np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match=r"b .*NaN or infinity"):
        solve(right=np.full(2, np.nan))
    with pytest.raises(ValueError, match="the result of A_mv has shape"):
        solve(lambda x: x[0])
    with pytest.raises(ValueError, match=r"the result of A_mv .*NaN or infinity"):
        solve(lambda x: x * np.nan)
    with pytest.raises(ValueError, match="the result of M has shape"):
        solve(M=lambda x: x[0])
    with pytest.raises(TypeError, match="M must be a function"):
        solve(M=np.eye(6))


# The vectors


def test_rows_grow_and_widen() -> None:
    rows = Rows(np.array([1.0, 0, 0, 0], "float32"))
    for _ in range(3):
        rows.append(rows.random_direction().astype("float64"))
    assert rows.all.dtype == np.float64
    np.testing.assert_allclose(rows.all @ rows.all.T, np.eye(4), atol=1e-6)
    rows.append(np.array([1j, 0, 0, 0]))
    assert rows.all.dtype == np.complex128
    many = Rows(np.eye(20)[0])
    for k in range(1, 20):
        many.append(np.eye(20)[k])
    np.testing.assert_array_equal(many.all, np.eye(20))
