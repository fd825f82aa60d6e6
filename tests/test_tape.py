"""Tensor: an array with operators and methods; apply and operation: where functions meet it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from operator import add, eq, ge, gt, le, lt, matmul, mul, ne, pow, sub, truediv
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor
from tensornet.tape import apply, as_operands, operation

A = np.arange(1.0, 7.0).reshape(2, 3)
Z = A + 1j * A[::-1]
DTYPES = ["bool", "int8", "uint64", "float16", "float32", "float64", "complex64", "complex128"]


def same(tensor: Any, array: Any) -> None:
    """A Tensor of just this array: shape, dtype and entries."""
    assert type(tensor) is Tensor
    assert tensor.dtype == np.asarray(array).dtype
    np.testing.assert_array_equal(tensor.array, array, strict=True)


def test_it_holds_the_array_it_is_given_and_tells_about_it() -> None:
    t = Tensor(A)
    assert t.array is A
    assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, np.float64)
    assert t.backend == "numpy"
    assert Tensor(t).array is A


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_keeps_the_dtype(dtype: str) -> None:
    array = A.astype(dtype)
    same(Tensor(array), array)
    same(Tensor(array).T, array.T)


@pytest.mark.parametrize(
    ("given", "want"),
    [([[1, 2], [3, 4]], [[1, 2], [3, 4]]), (2.5, 2.5), (1j, 1j), (np.float32(3), np.float32(3))],
)
def test_it_takes_lists_and_numbers(given: Any, want: Any) -> None:
    same(Tensor(given), np.asarray(want))


@pytest.mark.parametrize("bad", [None, "text", {"a": 1}, np.array([None]), [1, "a"]])
def test_it_refuses_what_is_not_numeric(bad: Any) -> None:
    with pytest.raises(TypeError, match="array, a list or a number"):
        Tensor(bad)


def test_it_refuses_ragged_lists_and_other_backends() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        Tensor([[1], [2, 3]])
    with pytest.raises(ValueError, match=r"backend 'jax' .* plan\.run\(backend=\)"):
        Tensor(A, backend="jax")
    assert Tensor(A, backend="numpy").array is A


def test_it_has_no_subclasses_and_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Tensor(A).colour = "red"  # type: ignore[attr-defined]


# Operators

OPERATORS = [add, sub, mul, truediv, pow, lt, le, gt, ge, eq, ne]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "other",
    [A[::-1].copy(), A[0], A[:, :1], 2, 2.5, np.float32(2), np.array(3), [[1.0, 2.0, 3.0]]],
    ids=repr,
)
def test_operators_follow_numpy_with_either_on_the_left(
    operator: Callable[[Any, Any], Any], other: Any
) -> None:
    theirs = np.asarray(other) if isinstance(other, list) else other
    same(operator(Tensor(A), other), np.asarray(operator(A, theirs)))
    if operator not in (lt, le, gt, ge):  # which swap their sides
        same(operator(other, Tensor(A)), np.asarray(operator(theirs, A)))
    if isinstance(other, np.ndarray):
        same(operator(Tensor(A), Tensor(other)), np.asarray(operator(A, other)))


def test_comparisons_from_the_left_are_turned_round() -> None:
    same(lt(A, Tensor(A + 1)), A < A + 1)
    same(le(2, Tensor(A)), A >= 2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "int8"])
def test_python_numbers_do_not_change_the_dtype_and_numpy_scalars_do(dtype: str) -> None:
    array = A.astype(dtype)
    same(2 * Tensor(array), 2 * array)
    assert (2 * Tensor(array)).dtype == dtype
    if dtype != "int8":
        assert (Tensor(array) * 2.0).dtype == dtype
    same(np.float64(2) * Tensor(array), np.multiply(np.float64(2), array))


def test_unary_operators() -> None:
    t = Tensor(A)
    same(-t, -A)
    assert +t is t
    same(abs(Tensor(Z)), np.abs(Z))
    with pytest.raises(TypeError, match="boolean negative"):
        -Tensor([True])


def test_matrix_products_take_arrays_on_either_side() -> None:
    same(Tensor(A) @ Tensor(A.T), A @ A.T)
    same(A @ Tensor(A.T), A @ A.T)
    same(Tensor(Z) @ Z.T, Z @ Z.T)
    same(Tensor(A) @ [1.0, 2.0, 3.0], A @ [1.0, 2.0, 3.0])
    same(matmul([1.0, 2.0], Tensor(A)), np.array([1.0, 2.0]) @ A)


@pytest.mark.parametrize("other", ["text", None, object()])
def test_what_is_no_number_is_unequal_and_cannot_be_combined(other: Any) -> None:
    t = Tensor(A)
    assert (t == other) is False
    assert (t != other) is True
    with pytest.raises(TypeError, match="array, a list or a number"):
        t + other
    with pytest.raises(TypeError):
        other * t


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        Tensor(A) + np.ones(4)
    with pytest.raises(tn.ShapeError, match="extents 3 and 2"):
        Tensor(A) @ Tensor(A)


def test_tensors_are_hashed_by_identity() -> None:
    first, second = Tensor(A), Tensor(A)
    assert len({first, second, first}) == 2


def test_numpys_own_functions_read_the_array_or_refuse() -> None:
    t = Tensor(A)
    assert np.linalg.norm(t) == np.linalg.norm(A)
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.sin(t)


# Methods


@pytest.mark.parametrize(
    "array", [A, Z, A[0], np.float32(2.0), np.ones((0, 2)), np.ones((1, 2, 1))]
)
def test_methods_give_what_numpys_give(array: Any) -> None:
    array = np.asarray(array)
    t = Tensor(array)
    same(t.T, array.T)
    same(t.transpose(), array.T)
    same(t.H, array.conj().T)
    same(t.hconj(), array.conj().T)
    same(t.conj(), array.conj())
    same(t.conjugate(), array.conj())
    same(t.copy(), array)
    same(t.flatten(), array.flatten())
    same(t.ravel(), array.ravel())
    same(t.squeeze(), array.squeeze())
    same(t.reshape(array.size), array.reshape(array.size))
    same(t.reshape((array.size, 1)), array.reshape(-1, 1))


def test_permutations_are_taken_by_position_and_by_name() -> None:
    t = Tensor(np.arange(24).reshape(2, 3, 4))
    same(t.transpose((2, 0, 1)), t.array.transpose(2, 0, 1))
    same(t.transpose(perm=[1, 0, 2]), t.array.transpose(1, 0, 2))
    z = Tensor(t.array * 1j)
    same(z.hconj((0, 2, 1)), z.array.conj().transpose(0, 2, 1))
    with pytest.raises(tn.ShapeError, match="does not name each axis"):
        t.transpose((0, 1))
    with pytest.raises(tn.ShapeError, match="6 entries, cannot take the shape"):
        Tensor(A).reshape((4, 2))


def test_ravel_shares_memory_and_copies_do_not() -> None:
    t = Tensor(A)
    assert np.shares_memory(t.ravel().array, A)
    assert np.shares_memory(t.T.array, A)
    assert not np.shares_memory(t.flatten().array, A)
    assert not np.shares_memory(t.copy().array, A)
    assert t.conj().array is A  # real: nothing to conjugate
    assert Tensor(A.T).copy().array.flags.c_contiguous


def test_items_are_numpys() -> None:
    t = Tensor(A)
    same(t[0], A[0])
    same(t[1, 2], A[1, 2])
    same(t[:, ::-1], A[:, ::-1])
    same(t[..., None], A[..., None])
    same(t[[1, 0, 1]], A[[1, 0, 1]])
    same(t[t > 2], A[A > 2])
    with pytest.raises(IndexError, match="out of bounds"):
        t[2]


def test_length_and_iteration_run_over_the_first_axis() -> None:
    t = Tensor(A)
    assert len(t) == 2
    for row, want in zip(t, A):
        same(row, want)
    assert list(Tensor(np.ones((0, 2)))) == []
    with pytest.raises(TypeError, match="without axes"):
        len(Tensor(1))
    with pytest.raises(TypeError, match="without axes"):
        iter(Tensor(1))


def test_one_entry_is_a_number() -> None:
    assert float(Tensor(2.5)) == 2.5
    assert float(Tensor([[2.5]])) == 2.5
    assert int(Tensor(7)) == 7
    assert complex(Tensor(1j)) == 1j
    assert bool(Tensor([0])) is False
    assert list(range(Tensor(3))) == [0, 1, 2]
    for function in (float, int, complex, bool):
        with pytest.raises(ValueError, match="only a single one"):
            function(Tensor(A))
    with pytest.raises(ValueError, match="0 entries"):
        bool(Tensor([]))
    with pytest.raises(TypeError):
        float(Tensor(1j))
    with pytest.raises(TypeError):
        range(Tensor(2.0))


def test_its_text_shows_entries_and_dtype() -> None:
    assert repr(Tensor(np.float32([1, 2]))) == "Tensor([1., 2.], dtype=float32)"
    assert repr(Tensor([[1], [2]])) == "Tensor([[1],\n        [2]], dtype=int64)"
    assert repr(Tensor(np.ones((2, 0)))) == "Tensor([], shape=(2, 0), dtype=float64)"
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 1000
    assert str(Tensor([1, 2])) == "[1 2]"
    assert f"{Tensor(2.0):.3f}" == "2.000"
    assert f"{Tensor([1, 2])}" == "[1 2]"


# Protocols


def test_it_is_read_as_an_array_without_a_copy_where_there_need_be_none() -> None:
    t = Tensor(A)
    assert np.asarray(t) is A
    assert np.asarray(t, dtype=np.float64) is A
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(t), A)
    assert np.shares_memory(np.from_dlpack(t), A)
    assert t.__array__(copy=False) is A
    with pytest.raises(ValueError, match="without a copy"):
        t.__array__(np.float32, copy=False)


@pytest.mark.parametrize("array", [A, Z.astype("complex64"), np.array(3), np.ones((0, 2))])
def test_it_survives_pickling_and_copying(array: Any) -> None:
    t = Tensor(array)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        same(pickle.loads(pickle.dumps(t, protocol)), array)
    same(copy.deepcopy(t), array)
    assert not np.shares_memory(copy.deepcopy(t).array, array)
    assert copy.copy(t).array is array


def test_node_and_tensor_share_an_array() -> None:
    assert tn.Node(Tensor(A)).tensor is A
    same(Tensor(tn.Node(A).tensor), A)


# apply and operation


def test_apply_wraps_arrays_scalars_and_tuples_and_nothing_else() -> None:
    def parts(x: Any, plus: float = 0.0) -> Any:
        return x + plus, (x.sum(), 3.5, "name"), None

    first, (second, third, fourth), last = apply(parts, (Tensor(A),), {"plus": 1.0})
    same(first, A + 1)
    same(second, A.sum())
    assert (third, fourth, last) == (3.5, "name", None)


def test_an_operation_is_asked_again_with_the_arrays() -> None:
    seen = []

    @operation
    def scale(x: Any, factor: Any = 2) -> Any:
        seen.append((type(x), type(factor)))
        return x * factor

    same(scale(Tensor(A)), 2 * A)
    same(scale(x=Tensor(A), factor=Tensor(3)), 3 * A)
    same(scale(A, factor=Tensor(3)), 3 * A)
    assert type(scale(A)) is np.ndarray
    assert {given for given, _ in seen} == {np.ndarray}
    with pytest.raises(TypeError, match="missing a required argument"):
        scale(factor=Tensor(3))  # type: ignore[call-arg]


def test_operands_are_read_but_tensors_kept() -> None:
    t = Tensor(A)
    operands = as_operands([t, A, [1, 2]])
    assert operands[0] is t
    assert operands[1] is A
    assert operands[2].tolist() == [1, 2]
