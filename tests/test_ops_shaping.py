"""Reshape, transpose, slices, diagonals and pivots, on arrays and Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

A = np.arange(24.0).reshape(2, 3, 4)
Z = (A + 1j * A[::-1]).astype("complex64")


def both(function: Any, array: Any, *args: Any, **options: Any) -> Any:
    """The result on the array, after seeing that the Tensor of it has the same."""
    got = function(array, *args, **options)
    assert not isinstance(got, Tensor)
    wrapped = function(Tensor(array), *args, **options)
    assert type(wrapped) is Tensor
    np.testing.assert_array_equal(wrapped.array, got, strict=True)
    return got


@pytest.mark.parametrize("new", [(6, 4), [4, -1], -1, 24, (2, 1, 12), np.array([3, 8]), (4.0, 6)])
def test_reshape_keeps_the_entries_in_c_order(new: Any) -> None:
    extents = [int(x) for x in np.atleast_1d(new)]
    np.testing.assert_array_equal(both(tn.reshape, A, new), A.reshape(extents), strict=True)
    np.testing.assert_array_equal(both(tn.reshape, A.T, new), A.T.reshape(extents), strict=True)


def test_reshape_takes_rank_zero_and_no_entries() -> None:
    assert both(tn.reshape, np.float32([[7]]), ()).shape == ()
    assert both(tn.reshape, 7, (1, 1)).tolist() == [[7]]
    assert both(tn.reshape, np.ones((0, 3)), (3, 0)).shape == (3, 0)
    assert np.shares_memory(tn.reshape(A, (6, 4)), A)
    assert type(tn.reshape(A, Tensor([6, 4]))) is Tensor
    assert tn.reshape([1, 2], (2, 1)).shape == (2, 1)


@pytest.mark.parametrize("new", [(5, 5), (-1, -1), (-1, 7), (2.5, 4), "ab"])
def test_impossible_shapes_are_refused_with_both_shapes(new: Any) -> None:
    with pytest.raises(tn.ShapeError, match=r"shape \(2, 3, 4\), 24 entries, cannot take"):
        tn.reshape(A, new)


@pytest.mark.parametrize("array", [A, Z, A[0], np.float32(3), np.ones((0, 2))], ids=np.shape)
def test_transpose_and_hconj_reverse_the_axes_by_default(array: Any) -> None:
    array = np.asarray(array)
    np.testing.assert_array_equal(both(tn.transpose, array), array.T, strict=True)
    np.testing.assert_array_equal(both(tn.hconj, array), array.conj().T, strict=True)


def test_transpose_and_hconj_take_a_permutation() -> None:
    np.testing.assert_array_equal(both(tn.transpose, A, (2, 0, 1)), A.transpose(2, 0, 1))
    np.testing.assert_array_equal(both(tn.transpose, A, perm=[-1, 0, 1]), A.transpose(2, 0, 1))
    np.testing.assert_array_equal(both(tn.hconj, Z, (0, 2, 1)), Z.conj().transpose(0, 2, 1))
    assert np.shares_memory(tn.transpose(A, (2, 0, 1)), A)


@pytest.mark.parametrize("perm", [(0, 1), (0, 1, 1), (0, 1, 3), (0, 1, -3), ()])
def test_permutations_name_each_axis_once(perm: Any) -> None:
    for function in (tn.transpose, tn.hconj):
        with pytest.raises(tn.ShapeError, match="does not name each axis"):
            function(A, perm)


def test_shape_is_a_tuple_for_arrays_tensors_and_lists() -> None:
    for given in (A, Tensor(A), A.tolist()):
        assert tn.shape(given) == (2, 3, 4)
    assert tn.shape(2.0) == ()


def test_take_slice_is_a_block() -> None:
    got = both(tn.take_slice, A, (0, 1, 2), (2, 2, 1))
    np.testing.assert_array_equal(got, A[0:2, 1:3, 2:3], strict=True)
    np.testing.assert_array_equal(both(tn.take_slice, A, (1,), (1,)), A[1:2])
    assert both(tn.take_slice, A, (0, 3, 0), (2, 0, 4)).shape == (2, 0, 4)
    assert both(tn.take_slice, np.array(3), (), ()) == 3
    assert np.shares_memory(tn.take_slice(A, (0, 0, 0), (1, 1, 1)), A)


@pytest.mark.parametrize(
    ("starts", "sizes"),
    [
        *[((0, 2, 0), (2, 2, 4)), ((-1, 0, 0), (1, 1, 1)), ((0, 0, 0), (1, 1, -1))],
        *[((0, 0), (1,)), ((0, 0, 0, 0), (1, 1, 1, 1)), ((3, 0, 0), (0, 1, 1))],
    ],
)
def test_blocks_that_leave_the_tensor_are_refused(starts: Any, sizes: Any) -> None:
    with pytest.raises(tn.ShapeError, match=r"is not within a tensor of shape \(2, 3, 4\)"):
        tn.take_slice(A, starts, sizes)


def test_diagonals_are_of_the_last_two_axes_by_default() -> None:
    np.testing.assert_array_equal(both(tn.diagonal, A), np.diagonal(A, 0, 1, 2), strict=True)
    got = both(tn.diagonal, Z, offset=1, axis1=0, axis2=2)
    np.testing.assert_array_equal(got, np.diagonal(Z, 1, 0, 2), strict=True)
    assert both(tn.diagonal, A, 9).shape == (2, 0)
    assert both(tn.diagonal, np.ones((0, 2))).shape == (0,)
    with pytest.raises(ValueError, match="two dimensions"):
        tn.diagonal([1, 2])
    with pytest.raises(ValueError, match="same"):
        tn.diagonal(A, axis1=1, axis2=1)


@pytest.mark.parametrize("k", [0, 2, -1])
def test_diagflat_puts_all_entries_on_a_diagonal(k: int) -> None:
    for array in (A[0], Z, np.float32(2), np.ones(0)):
        got = both(tn.diagflat, array, k)
        np.testing.assert_array_equal(got, np.diagflat(array, k), strict=True)
        assert got.shape == (np.size(array) + abs(k),) * 2


@pytest.mark.parametrize(
    ("axis", "want"),
    [(0, (1, 24)), (1, (2, 12)), (2, (6, 4)), (3, (24, 1)), (-1, (6, 4)), (-3, (1, 24))],
)
def test_pivot_makes_a_matrix(axis: int, want: tuple[int, int]) -> None:
    np.testing.assert_array_equal(both(tn.pivot, A, axis), A.reshape(want), strict=True)


def test_pivot_takes_any_rank_and_no_entries() -> None:
    assert both(tn.pivot, A).shape == (6, 4)
    assert both(tn.pivot, 5.0, 0).shape == (1, 1)
    assert both(tn.pivot, np.ones((2, 0, 3)), 1).shape == (2, 0)
    assert both(tn.pivot, np.ones((2, 0, 3)), pivot_axis=2).shape == (0, 3)
    for axis in (4, -4):
        with pytest.raises(tn.ShapeError, match=f"pivot_axis={axis} is not within the 3 axes"):
            tn.pivot(A, axis)


def test_copies_and_items_of_arrays() -> None:
    assert not np.shares_memory(both(ops.copy, A), A)
    assert ops.copy(A.T).flags.c_contiguous
    np.testing.assert_array_equal(both(ops.getitem, A, (0, slice(1, 3))), A[0, 1:3])
    assert type(ops.getitem(A, Tensor([0, 1]))) is Tensor
