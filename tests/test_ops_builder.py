"""NconBuilder: networks written as ``a(-1, 1) @ b(1, -2)``."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import NconBuilder, Tensor, finalize

A = np.arange(6.0).reshape(2, 3)
B = np.arange(12.0).reshape(3, 4)


def test_a_called_tensor_begins_a_network_and_at_joins_two() -> None:
    a, b = Tensor(A), Tensor(B)
    left, right = a(-1, 1), b(1, -2)
    both = left @ right
    assert type(both) is NconBuilder
    assert both.tensors[0] is a
    assert both.tensors[1] is b
    assert both.axes == [[-1, 1], [1, -2]]
    assert left.axes == [[-1, 1]]  # unchanged
    assert repr(both) == "NconBuilder(2 tensors, [[-1, 1], [1, -2]])"
    got = finalize(both)
    assert type(got) is Tensor
    np.testing.assert_allclose(got, A @ B)


def test_any_number_of_tensors_and_any_labels() -> None:
    a, b = Tensor(A), Tensor(B)
    np.testing.assert_allclose(finalize(a(-2, -1)), A.T)
    np.testing.assert_allclose(finalize(a(1, 2)), A.sum())
    ring = a(1, "x") @ b("x", 2) @ Tensor(B.T)(2, 3) @ Tensor(A.T)(3, 1)
    np.testing.assert_allclose(finalize(ring), np.trace(A @ B @ B.T @ A.T))
    np.testing.assert_allclose(finalize(a("-row", 1) @ a("-row", 1)), (A * A).sum(1))
    assert finalize(Tensor(2.0)() @ Tensor(3.0)()).shape == ()


def test_builders_take_arrays_too() -> None:
    got = finalize(NconBuilder([A, B], [[-1, 1], (1, -2)]))
    assert type(got) is np.ndarray
    np.testing.assert_allclose(got, A @ B)
    assert type(finalize(NconBuilder([A], [[-1, 1]]) @ Tensor(B)(1, -2))) is Tensor


def test_mistakes_are_named() -> None:
    with pytest.raises(tn.ShapeError, match="1 lists of labels were given for 2 tensors"):
        NconBuilder([A, B], [[-1, 1]])
    with pytest.raises(tn.ShapeError, match="names 3 indices"):
        finalize(Tensor(A)(1, 2, 3))
    with pytest.raises(TypeError):
        Tensor(A)(-1, 1) @ 3  # type: ignore[operator]
    with pytest.raises(TypeError, match="not NconBuilder"):
        Tensor(A) @ Tensor(B)(-1, 1)
