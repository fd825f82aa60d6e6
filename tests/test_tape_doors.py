"""Every front door takes Tensors, and returns one if an operand is one; arrays stay arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor

A = np.arange(6.0).reshape(2, 3)
B = np.arange(12.0).reshape(3, 4)
SIZES = {"i": 2, "j": 3, "k": 4}
PLAN = tn.plan(["ij", "jk"], "ik", SIZES)
PROGRAM = PLAN.compile()
EXPRESSION = tn.contract_expression("ij,jk->ik", (2, 3), (3, 4))
EXPR = PLAN.expr
DOORS: dict[str, Callable[[Any, Any], Any]] = {
    "einsum": lambda a, b: tn.einsum("ij,jk->ik", a, b),
    "einsum with options": lambda a, b: tn.einsum("ij,jk->ik", a, b, optimize=True, order="F"),
    "einsum broadcasting": lambda a, b: tn.einsum("...j,jk", a, b),
    "einsum with lists": lambda a, b: tn.einsum(a, [0, 1], b, [1, 2], [0, 2]),
    "einsum within memory": lambda a, b: tn.einsum("ij,jk", a, b, memory_limit="1MB"),
    "tensordot": lambda a, b: tn.tensordot(a, b, 1),
    "tensordot by axes": lambda a, b: tn.tensordot(a, b, [[1], [0]]),
    "ncon": lambda a, b: tn.ncon([a, b], [[-1, 1], [1, -2]]),
    "ncon in order": lambda a, b: tn.ncon((a, b), [[-1, 1], [1, -2]], con_order=[1]),
    "contract_expression": lambda a, b: EXPRESSION(a, b),
    "contract_expr": lambda a, b: tn.contract_expr(EXPR, [a, b]),
    "Plan.run": lambda a, b: PLAN.run([a, b]),
    "Program": lambda a, b: PROGRAM(a, b),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_tensor_among_the_operands_makes_a_tensor(door: Callable[..., Any], dtype: str) -> None:
    a, b = A.astype(dtype), B.astype(dtype)
    plain = door(a, b)
    assert type(plain) is np.ndarray
    np.testing.assert_allclose(plain, A @ B)
    for operands in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b))):
        for _ in range(2):  # the second time from what is remembered
            got = door(*operands)
            assert type(got) is Tensor
            assert got.dtype == plain.dtype
            np.testing.assert_array_equal(got.array, plain)
    with_list = door(Tensor(a), b.tolist())
    assert type(with_list) is Tensor
    np.testing.assert_allclose(with_list, A @ B)


def test_results_without_axes_are_tensors_without_axes() -> None:
    for got in (
        tn.einsum("ij,ij", Tensor(A), A),
        tn.tensordot(Tensor(A), A, 2),
        tn.ncon([Tensor(A), A], [[1, 2], [1, 2]]),
    ):
        assert type(got) is Tensor
        assert got.shape == ()
        assert float(got) == 55.0


def test_stripped_exponents_stay_numbers() -> None:
    mantissa, exponent = tn.einsum("ij,ij->", Tensor(A), A, strip_exponent=True)
    assert type(mantissa) is Tensor
    assert type(exponent) is float
    assert float(mantissa) * 2**exponent == 55.0


def test_out_takes_the_result_and_comes_back_as_it_is() -> None:
    out = np.empty((2, 4))
    a, b = Tensor(A), Tensor(B)
    assert tn.einsum("ij,jk->ik", a, b, out=out) is out
    np.testing.assert_allclose(out, A @ B)
    for call in (
        lambda: EXPRESSION(a, b, out=out),
        lambda: tn.contract_expr(EXPR, [a, b], out=out),
        lambda: PLAN.run([a, b], out=out),
        lambda: PROGRAM(a, b, out=out),
    ):
        out[:] = 0
        assert call() is out
        np.testing.assert_allclose(out, A @ B)
    with pytest.raises(TypeError, match="out must be a NumPy array, not Tensor"):
        tn.einsum("ij,jk->ik", A, B, out=Tensor(out))


def test_views_of_tensors_are_tensors() -> None:
    got = tn.einsum("ij->ji", Tensor(A))
    assert type(got) is Tensor
    assert np.shares_memory(got.array, A)


def test_constants_may_be_tensors() -> None:
    expression = tn.contract_expression("ij,jk->ik", Tensor(A), (3, 4), constants=[0])
    np.testing.assert_allclose(expression(B), A @ B)
    assert type(expression(B)) is np.ndarray
    assert type(expression(Tensor(B))) is Tensor
    np.testing.assert_allclose(expression.map([[Tensor(B)], [B]]), [A @ B] * 2)


def test_other_libraries_compute_with_the_arrays_of_tensors() -> None:
    got = PLAN.run([Tensor(A), B], backend=np)
    assert type(got) is np.ndarray
    np.testing.assert_allclose(got, A @ B)
    assert type(PLAN.run([Tensor(A), B], backend="auto")) is Tensor
    torch = pytest.importorskip("torch")
    for arrays in ([Tensor(A), B], [Tensor(A), torch.asarray(B)]):
        got = PLAN.run(arrays, backend="torch")
        assert type(got) is torch.Tensor
        np.testing.assert_allclose(got, A @ B)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_shapes_that_do_not_fit_are_refused_as_for_arrays(door: Callable[..., Any]) -> None:
    with pytest.raises(tn.ShapeError) as refused:
        door(A, A)
    with pytest.raises(tn.ShapeError) as again:
        door(Tensor(A), A)
    assert str(again.value) == str(refused.value)


def test_networks_of_nodes_compute_with_the_arrays_of_tensors() -> None:
    a, b = tn.Node(Tensor(A)), tn.Node(Tensor(B))
    edge = a[1] ^ b[0]
    result = tn.contract(edge).tensor
    assert type(result) is np.ndarray
    np.testing.assert_allclose(result, A @ B)
