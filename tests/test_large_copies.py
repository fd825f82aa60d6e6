"""Copies into another order of axes that are too large for the caches."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn

BYTES = 9 << 20  # past the caches from 16 MB on, counting what is read
CASES = [
    ("ab->ba", (1619,)),
    ("abc->cba", (131, 137)),
    ("abc->acb", (97, 151)),
    ("ab->ba", (1280,)),
    ("ab->ba", (1024,)),  # rows of a are pages apart, and meet in few sets of the cache
    ("ab->ba", (1536,)),
    ("abc->cba", (32, 512)),
    ("abc->acb", (136, 1024)),
    ("ab->ba", (16384,)),  # and those of c are short
    ("abc->bca", (9, 4096)),
]


def numbers(shape: tuple[int, ...], dtype: str, offset: int) -> np.ndarray:
    """Small integers, `offset` bytes behind a line of memory."""
    count, itemsize = int(np.prod(shape)), np.dtype(dtype).itemsize
    memory = np.zeros(count * itemsize + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    array = memory[start : start + count * itemsize].view(dtype)
    array[:] = np.resize(np.arange(8191), count)
    return array.reshape(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("subscripts", "inner"), CASES)
@pytest.mark.parametrize("offsets", [(0, 0), (16, 48), (48, 16)])
def test_large_copies_move_every_element_wherever_lines_begin(
    dtype: str, subscripts: str, inner: tuple[int, ...], offsets: tuple[int, int]
) -> None:
    term, out = subscripts.split("->")
    first = BYTES // np.dtype(dtype).itemsize // int(np.prod(inner)) + 1
    a = numbers((first, *inner), dtype, offsets[0])
    expected = a.transpose([term.index(i) for i in out])
    c = numbers(expected.shape, dtype, offsets[1])
    tn.einsum(subscripts, a, out=c)
    assert np.array_equal(c, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("columns", [2, 3, 5, 6, 7, 9, 11, 12, 13, 20, 24, 40])
def test_strips_of_any_width_begin_with_lines_of_a_result_whose_rows_do(
    dtype: str, columns: int
) -> None:
    size = np.dtype(dtype).itemsize
    rows = BYTES // (1024 * columns * size) // 16 * 16 + 16 * 3  # of whole lines, and pages apart
    a = numbers((rows, 1024, columns), dtype, 0)
    assert np.array_equal(tn.einsum("abc->cba", a, order="C"), a.transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("offset", [0, 16, 48])
def test_a_last_row_by_itself_is_put_like_those_before_it(dtype: str, offset: int) -> None:
    a = np.broadcast_to(numbers((256, 33, 1), dtype, 0), (256, 33, 256))  # tiles of 8 rows and one
    c = numbers((256, 33, 256), dtype, offset)
    tn.einsum("abc->cba", a, out=c)
    assert np.array_equal(c, a.transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("subscripts", ["ab,ab->ab", "ab,ba->ab", "ab,b->ab", "ab,a->ab"])
def test_large_elementwise_products_write_every_element_once(dtype: str, subscripts: str) -> None:
    rows, columns = 1001, BYTES // np.dtype(dtype).itemsize // 1000
    extents = {"a": rows, "b": columns}
    left, right = subscripts.split("->")[0].split(",")
    a = numbers(tuple(extents[i] for i in left), dtype, 16)
    b = numbers(tuple(extents[i] for i in right), dtype, 48)
    memory = numbers((rows + 2, columns), dtype, 16)
    before = memory.copy()
    tn.einsum(subscripts, a, b, out=memory[1:-1])
    assert np.array_equal(memory[1:-1], np.einsum(subscripts, a, b))
    assert np.array_equal(memory[[0, -1]], before[[0, -1]])
