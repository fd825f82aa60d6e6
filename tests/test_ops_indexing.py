"""Entries picked and put back, tensors joined and padded, axes moved: NumPy's results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

rng = np.random.default_rng(4)
A = rng.standard_normal((3, 4, 5))
ROWS = np.array([[0, 2, 0], [1, -1, 2]])
WHOLE = slice(None)
KEYS: list[Any] = [
    *(1, -2, slice(None, None, -1), (WHOLE, 1), (Ellipsis, 2), None, (), np.int64(2), True, False),
    *(ROWS, (WHOLE, ROWS), (WHOLE, WHOLE, ROWS), (ROWS, 1), (ROWS, WHOLE, ROWS), (0, ROWS)),
    *([0, 0, 1], A > 0, np.array([True, False, True]), (slice(0, 2), np.array([0, 0])), ROWS[:0]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64"])
def test_what_is_scattered_adds_up(key: Any, dtype: str) -> None:
    for shape in ((3, 4, 5), (3, 4, 20)):
        if isinstance(key, np.ndarray) and key.ndim == 3 and shape != A.shape:
            continue  # the mask has the shape of A
        values = (10 * rng.standard_normal(np.zeros(shape)[key].shape)).astype(dtype)
        want = np.zeros(shape, dtype)
        np.add.at(want, key, values)
        got = ops.scatter_add(values, key, shape)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint64"])
@pytest.mark.parametrize("shape", [(300, 4), (300, 20)])
def test_positions_of_any_whole_dtype_are_those_that_they_name(
    dtype: str, shape: tuple[int, int]
) -> None:
    rows, columns = np.array([99, 0, 99], dtype), np.array([3, 1, 3], dtype)
    for key in (rows, (rows, columns), (rows, WHOLE), (WHOLE, columns)):
        values = rng.standard_normal(np.zeros(shape)[key].shape)
        want = np.zeros(shape)
        np.add.at(want, key, values)
        np.testing.assert_allclose(ops.scatter_add(values, key, shape), want)
    gradient = tn.grad(lambda x: tn.sum(ops.take_along_axis(x, rows, 0)))(np.ones(300))
    np.testing.assert_array_equal(gradient, np.bincount([99, 0, 99], minlength=300))


def test_parts_of_complex_entries_are_scattered_apart() -> None:
    got = ops.scatter_add([complex(1, np.inf), complex(np.inf, 2)], ROWS[0, :2], (3,))
    assert (got.real.tolist(), got.imag.tolist()) == ([1, 0, np.inf], [np.inf, 0, 2])


def test_what_does_not_fit_is_not_scattered() -> None:
    for key in (slice(0, 2), ROWS, (ROWS, ROWS)):
        with pytest.raises(tn.ShapeError, match="for places of shape"):
            ops.scatter_add(np.ones(7), key, (3, 4))
    with pytest.raises(IndexError, match="positions 0 to 3 on an axis of 3"):
        ops.scatter_add(np.ones((2, 4)), np.array([0, 3]), (3, 4))


def test_positions_are_taken_as_numpy_takes_them() -> None:
    for axis in (None, 0, -1):
        np.testing.assert_array_equal(tn.take(A, ROWS, axis), np.take(A, ROWS, axis))
    places = rng.integers(0, 4, (3, 2, 5))
    np.testing.assert_array_equal(
        tn.take_along_axis(A, places, 1), np.take_along_axis(A, places, 1)
    )
    np.testing.assert_array_equal(
        tn.take_along_axis(A, ROWS[0], None), np.take_along_axis(A, ROWS[0], None)
    )
    assert type(tn.take(Tensor(A), Tensor(ROWS), 0)) is Tensor
    np.testing.assert_array_equal(Tensor(A)[Tensor(ROWS)].array, A[ROWS])
    with pytest.raises(IndexError):
        tn.take(A, 7, 0)


def test_a_diagonal_is_embedded_where_it_is_read() -> None:
    for offset in (-2, 0, 1, 4, 9):
        line = np.diagonal(A, offset, 0, 2)
        got = ops.embed_diagonal(line, A.shape, offset, 0, 2)
        np.testing.assert_array_equal(np.diagonal(got, offset, 0, 2), line)
        assert np.count_nonzero(got) == line.size
    with pytest.raises(tn.ShapeError, match=r"shape \(3,\) are given for places of shape \(2,\)"):
        ops.embed_diagonal(np.ones(3), (2, 2))


def test_tensors_are_joined_as_numpy_joins_them() -> None:
    parts = [A, A[:, :1], A[:, :0]]
    np.testing.assert_array_equal(tn.concatenate(parts, 1), np.concatenate(parts, 1))
    np.testing.assert_array_equal(tn.concatenate(parts, None), np.concatenate(parts, None))
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(tn.stack([A, A], axis), np.stack([A, A], axis))
    assert tn.concatenate([[1], [2.5]]).tolist() == [1, 2.5]
    assert type(tn.stack([Tensor([1.0]), [2.0]])) is Tensor
    assert tn.stack([1.0, 2.0]).tolist() == [1, 2]


def test_what_does_not_fit_is_not_joined() -> None:
    with pytest.raises(tn.ShapeError, match=r"one shape, not \(3, 4, 5\) and \(4, 5\)"):
        tn.stack([A, A[0]])
    with pytest.raises(tn.ShapeError, match="dimension"):
        tn.concatenate([A, A[0]])
    for join in (tn.stack, tn.concatenate):
        with pytest.raises(tn.ShapeError, match="no tensors"):
            join([])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_padding_is_numpys(mode: Any) -> None:
    for width in (1, (0, 2), ((1, 2), (0, 0), (3, 1)), ((1, 0),)):
        got = tn.pad(A, width, mode)
        np.testing.assert_array_equal(got, np.pad(A, width, mode=mode))
    assert type(tn.pad(Tensor(A), 1, mode)) is Tensor


def test_padding_with_a_number_and_what_cannot_be_padded() -> None:
    assert tn.pad([1.0], (0, 1), constant_values=-np.inf).tolist() == [1, -np.inf]
    assert tn.pad(3.0, 5).tolist() == 3
    with pytest.raises(tn.ShapeError, match="pair per axis"):
        tn.pad(A, ((1, 1), (2, 2)))
    with pytest.raises(ValueError, match="negative"):
        tn.pad(A, -1)
    with pytest.raises(ValueError, match="'median' is not"):
        tn.pad(A, 1, "median")


def test_axes_are_moved_as_numpy_moves_them() -> None:
    for axis in (0, -1, (0, 2), (-1, 1)):
        assert tn.expand_dims(A, axis).shape == np.expand_dims(A, axis).shape
    narrow = A[:, :1, :1]
    assert tn.squeeze(narrow).shape == (3,)
    assert tn.squeeze(narrow, -1).shape == (3, 1)
    np.testing.assert_array_equal(tn.swapaxes(A, 0, -1), np.swapaxes(A, 0, -1))
    for source, place in ((0, -1), ((0, 2), (1, 0)), (-1, 0)):
        np.testing.assert_array_equal(tn.moveaxis(A, source, place), np.moveaxis(A, source, place))
    assert type(tn.moveaxis(Tensor(A), 0, 1)) is Tensor
    with pytest.raises(tn.ShapeError, match="axis=1 is to be dropped"):
        tn.squeeze(A, 1)
    with pytest.raises(tn.ShapeError, match="axis=3 does not name"):
        tn.swapaxes(A, 0, 3)
    with pytest.raises(tn.ShapeError, match="2 axes are to be moved to 1 places"):
        tn.moveaxis(A, (0, 1), 0)
    with pytest.raises(tn.ShapeError, match="does not name different ones"):
        tn.expand_dims(A, (0, 0))


def test_entries_are_turned_round_as_numpy_does() -> None:
    for axis in (None, 1, (0, -1), [0, 1]):
        np.testing.assert_array_equal(
            tn.flip(A, axis), np.flip(A, tuple(axis) if type(axis) is list else axis)
        )
    for shift, over in ((2, None), (-1, 1), ((1, 2), (0, 2))):
        np.testing.assert_array_equal(tn.roll(A, shift, over), np.roll(A, shift, over))
    for k in (-1, 0, 2):
        np.testing.assert_array_equal(tn.tril(A, k), np.tril(A, k))
        np.testing.assert_array_equal(tn.triu(A, k), np.triu(A, k))


def test_inner_products_are_numpys() -> None:
    z = A + 1j * A[::-1]
    np.testing.assert_allclose(tn.vdot(z, A), np.vdot(z, A))
    np.testing.assert_allclose(tn.dot(z, A[0].T), np.dot(z, A[0].T))
    np.testing.assert_allclose(tn.dot(A[0].T, z), np.dot(A[0].T, z))
    assert tn.dot(2, A[0]).tolist() == (2 * A[0]).tolist()
    assert tn.vdot(np.zeros((0, 3)), np.zeros(0)) == 0
