"""eye, ones, zeros, randn and random_uniform: dtypes, seeds, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor

DTYPES = ["bool", "int8", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
SHAPES = [(2, 3), (4,), (), (0, 3), (1, 1, 1), 5, np.int64(2), np.array([2, 1])]
MAKERS = [tn.ones, tn.zeros, tn.randn, tn.random_uniform]


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_tensors(dtype: str) -> None:
    for shape in SHAPES:
        for ours, numpys in ((tn.ones, np.ones), (tn.zeros, np.zeros)):
            made = ours(shape, dtype)
            assert type(made) is Tensor
            np.testing.assert_array_equal(made.array, numpys(shape, dtype), strict=True)
    for rows, columns in ((3, None), (2, 3), (3, 2), (0, 2)):
        made = tn.eye(rows, dtype, columns)
        assert type(made) is Tensor
        np.testing.assert_array_equal(made.array, np.eye(rows, columns, dtype=dtype), strict=True)


@pytest.mark.parametrize("maker", MAKERS)
def test_float64_is_the_default(maker: Callable[..., Any]) -> None:
    assert maker((2,)).dtype == np.float64
    assert maker((2,), dtype=None).dtype == np.float64
    assert tn.eye(2).dtype == np.float64


@pytest.mark.parametrize("maker", [tn.randn, tn.random_uniform])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_random_tensors_have_the_shape_and_dtype(
    maker: Callable[..., Any], dtype: str, shape: Any
) -> None:
    made = maker(shape, dtype=dtype, seed=3)
    assert type(made) is Tensor
    assert made.dtype == dtype
    assert made.shape == np.empty(shape).shape
    again = maker(shape, dtype=dtype, seed=3)
    np.testing.assert_array_equal(made.array, again.array)


@pytest.mark.parametrize("maker", [tn.randn, tn.random_uniform])
def test_seeds_name_tensors_and_leave_the_global_state_alone(maker: Callable[..., Any]) -> None:
    before = np.random.get_state()
    assert not np.array_equal(maker((9,), seed=1).array, maker((9,), seed=2).array)
    after = np.random.get_state()
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    with pytest.raises(ValueError, match="Seed"):
        maker((2,), seed=-1)


@pytest.mark.parametrize("maker", [tn.randn, tn.random_uniform])
def test_without_a_seed_numpys_names_the_tensors(maker: Callable[..., Any]) -> None:
    state = np.random.get_state()
    made = []
    for _ in range(2):
        np.random.seed(5)
        made.append([maker((9,)).array, maker((9,)).array])
    np.random.set_state(state)
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(*made[0])


def test_normal_entries_have_mean_zero_and_variance_one() -> None:
    made = tn.randn((200, 200), seed=4).array
    assert abs(made.mean()) < 0.02
    assert abs(made.var() - 1) < 0.02
    made = tn.randn((200, 200), dtype="complex128", seed=4).array
    assert abs(made.real.var() - 1) < 0.02
    assert abs(made.imag.var() - 1) < 0.02
    assert abs((made.real * made.imag).mean()) < 0.02


def test_uniform_entries_lie_within_the_boundaries() -> None:
    made = tn.random_uniform((200, 200), seed=5, boundaries=(-3, 1)).array
    assert -3 <= made.min() < -2.99
    assert 0.99 < made.max() < 1
    made = tn.random_uniform((200, 200), dtype="complex64", seed=5, boundaries=(2, 3)).array
    assert 2 <= made.real.min() <= made.real.max() <= 3
    assert 2 <= made.imag.min() <= made.imag.max() <= 3
    integers = tn.random_uniform((500,), dtype=int, seed=5, boundaries=(0, 4)).array
    assert set(integers.tolist()) == {0, 1, 2, 3}
    default = tn.random_uniform((50,), seed=5, boundaries=None).array
    np.testing.assert_array_equal(default, tn.random_uniform((50,), seed=5).array)


@pytest.mark.parametrize("maker", [*MAKERS, tn.eye])
def test_other_backends_and_dtypes_are_refused(maker: Callable[..., Any]) -> None:
    shape = 2 if maker is tn.eye else (2,)
    with pytest.raises(ValueError, match="backend 'jax' is not supported"):
        maker(shape, backend="jax")
    with pytest.raises(TypeError, match="dtype object is not supported"):
        maker(shape, dtype=object)
    assert maker(shape, backend="numpy").dtype == np.float64


@pytest.mark.parametrize("maker", MAKERS)
def test_negative_extents_are_refused(maker: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="negative dimensions"):
        maker((2, -1))


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "complex64", "complex128"])
def test_seeded_entries_are_those_of_tensornetwork(dtype: str) -> None:
    tensornetwork = pytest.importorskip("tensornetwork")
    options: dict[str, Any] = {"dtype": np.dtype(dtype).type, "seed": 10, "backend": "numpy"}
    theirs = tensornetwork.randn((2, 3), **options).array
    np.testing.assert_array_equal(tn.randn((2, 3), **options).array, theirs, strict=True)
    options["boundaries"] = (-2.0, 5.0)
    theirs = tensornetwork.random_uniform((2, 3), **options).array
    np.testing.assert_array_equal(tn.random_uniform((2, 3), **options).array, theirs, strict=True)
