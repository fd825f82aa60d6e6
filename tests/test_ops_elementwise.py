"""Elementwise operations: NumPy's results on arrays, Tensors and lists, whatever the dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

rng = np.random.default_rng(0)
REAL = rng.uniform(0.1, 2.0, (2, 3))
COMPLEX = REAL + 1j * rng.standard_normal((2, 3))
UNARY = [
    (tn.sqrt, np.sqrt),
    (tn.exp, np.exp),
    (tn.log, np.log),
    (tn.sin, np.sin),
    (tn.cos, np.cos),
    (tn.abs, np.abs),
    (tn.sign, np.sign),
    (tn.conj, np.conj),
    (ops.negative, np.negative),
]
BINARY = [
    (ops.add, np.add),
    (ops.subtract, np.subtract),
    (ops.multiply, np.multiply),
    (ops.divide, np.true_divide),
    (ops.power, np.power),
    (ops.equal, np.equal),
    (ops.not_equal, np.not_equal),
    (ops.less, np.less),
    (ops.less_equal, np.less_equal),
    (ops.greater, np.greater),
    (ops.greater_equal, np.greater_equal),
]


def agree(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert got.dtype == want.dtype
    assert got.shape == want.shape


@pytest.mark.parametrize(("ours", "numpys"), UNARY)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (), (0, 2)])
def test_unary_functions_are_numpys(
    ours: Callable[..., Any], numpys: Callable[..., Any], dtype: str, shape: tuple[int, ...]
) -> None:
    source = COMPLEX if "complex" in dtype else REAL
    array = np.resize(source, shape).astype(dtype)
    got = ours(array)
    assert isinstance(got, (np.ndarray, np.generic))
    agree(got, numpys(array))
    assert type(ours(Tensor(array))) is Tensor
    agree(ours(Tensor(array)), np.asarray(numpys(array)))
    agree(ours(tensor=Tensor(array)), np.asarray(numpys(array)))
    agree(ours(array.tolist() or np.empty(shape)), numpys(array.tolist() or np.empty(shape)))


@pytest.mark.parametrize(("ours", "numpys"), BINARY)
@pytest.mark.parametrize(
    ("a", "b"),
    [(REAL, REAL[::-1]), (REAL, REAL[0]), (COMPLEX, 2.0), (3, REAL), (2, 3), (REAL[:0], 1)],
    ids=lambda x: str(np.shape(x)),
)
def test_binary_functions_are_numpys(
    ours: Callable[..., Any], numpys: Callable[..., Any], a: Any, b: Any
) -> None:
    want = numpys(a, b)
    agree(ours(a, b), want)
    assert not isinstance(ours(a, b), Tensor)
    for left, right in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b))):
        got = ours(left, right)
        assert type(got) is Tensor
        np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("function", [f for f, _ in UNARY])
def test_integers_are_read_as_numpy_reads_them(function: Callable[..., Any]) -> None:
    wanted = dict(UNARY)[function]
    integers = np.array([1, 4, 9])
    agree(function(integers), wanted(integers))


def test_signs_of_complex_numbers_lie_on_the_unit_circle() -> None:
    got = tn.sign(np.array([3 + 4j, 0, -2j], "complex64"))
    np.testing.assert_allclose(got, [0.6 + 0.8j, 0, -1j], rtol=1e-6)
    assert got.dtype == "complex64"


def test_real_arrays_are_their_own_conjugates() -> None:
    assert tn.conj(REAL) is REAL
    assert not np.shares_memory(tn.conj(COMPLEX), COMPLEX)


@pytest.mark.parametrize("function", [f for f, _ in UNARY])
@pytest.mark.parametrize("bad", ["text", None, [1, None]])
def test_what_is_not_numeric_is_refused(function: Callable[..., Any], bad: Any) -> None:
    with pytest.raises(TypeError, match="array, a list or a number"):
        function(bad)


def test_arrays_of_torch_are_read() -> None:
    torch = pytest.importorskip("torch")
    got = tn.exp(torch.ones(2))
    assert type(got) is np.ndarray
    np.testing.assert_allclose(got, np.exp(np.ones(2, "float32")))
    with pytest.raises(TypeError, match="records gradients"):
        tn.exp(torch.ones(2, requires_grad=True))
