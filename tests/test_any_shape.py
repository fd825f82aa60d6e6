"""Products of two arrays and copies whose shapes, orders of axes and places in memory are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import prod

import numpy as np
import pytest
from oracle import small_integers

import tensornet as tn
from tensornet import config

DTYPES = ["float32", "float64", "complex64", "complex128", "int64"]
EXTENTS = [
    1,
    2,
    2,
    3,
    4,
    5,
    7,
    8,
    10,
    12,
    16,
    17,
    24,
    31,
    33,
    50,
    64,
    65,
    100,
    128,
    256,
    500,
    1024,
    2000,
]
MOST_BYTES, MOST_MACS = 24 << 20, 2e7  # past the caches from 16 MB on
Case = tuple[str, dict[str, int]]


def pairs(choose: random.Random, count: int, itemsize: int) -> Iterator[Case]:
    while count:
        letters = iter("abcdefghijkl")
        batch = [next(letters) for _ in range(choose.choice([0, 0, 0, 1]))]
        m, n, k = ([next(letters) for _ in range(choose.choice([0, 1, 1, 2, 3]))] for _ in "mnk")
        terms = [batch + m + k, batch + k + n, batch + m + n]
        if choose.random() < 0.5:
            for term in terms:
                choose.shuffle(term)
        extents = {i: choose.choice(EXTENTS) for i in batch + m + n + k}
        entries = sum(prod(extents[i] for i in term) for term in terms)
        if entries * itemsize <= MOST_BYTES and prod(extents.values()) <= MOST_MACS:
            left, right, out = map("".join, terms)
            yield f"{left},{right}->{out}", extents
            count -= 1


def copies(choose: random.Random, count: int, itemsize: int) -> Iterator[Case]:
    while count:
        rank = choose.choice([2, 2, 3, 3, 3, 4, 4, 5, 6, 14, 20])
        extents = [2 if rank > 6 else choose.choice(EXTENTS) for _ in range(rank)]
        if 256 <= prod(extents) * itemsize <= MOST_BYTES:
            letters = "abcdefghijklmnopqrst"[:rank]
            order = choose.sample(range(rank), rank)
            yield f"{letters}->{''.join(letters[i] for i in order)}", dict(zip(letters, extents))
            count -= 1


def placed(choose: random.Random, array: np.ndarray) -> np.ndarray:
    """The same numbers at some place within a line, backwards, with gaps or as they are."""
    kind = choose.randrange(8)
    if kind == 0 and array.ndim:
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if kind == 1 and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if kind > 5:
        return array
    space = np.empty(array.nbytes + 64, np.uint8)
    start = -space.ctypes.data % 16 + choose.randrange(0, 48, 16)
    there = space[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    there[...] = array
    return there


def drawn(
    choose: random.Random, rng: np.random.Generator, shape: list[int], dtype: str
) -> np.ndarray:
    """Small integers anywhere in memory; now and then the same along some axes, which take none."""
    if choose.randrange(4):
        return placed(choose, small_integers(rng, shape, dtype))
    apart = [n if choose.random() < 0.6 else 1 for n in shape]
    return np.broadcast_to(small_integers(rng, apart, dtype), shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [pairs, copies])
def test_whatever_is_drawn_is_exact(
    make: type[pairs], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_threads", None)  # what was chosen comes back
    choose, rng = random.Random(f"{make.__name__} {dtype}"), np.random.default_rng(7)
    for subscripts, extents in make(choose, 60, np.dtype(dtype).itemsize):
        terms = subscripts.split("->")[0].split(",")
        arrays = [drawn(choose, rng, [extents[i] for i in term], dtype) for term in terms]
        wanted = np.einsum(subscripts, *arrays, optimize=len(arrays) > 1)
        tn.set_num_threads(choose.choice([1, 1, 2, 3]))
        np.testing.assert_array_equal(tn.einsum(subscripts, *arrays, order="C"), wanted)
        out = placed(choose, np.full_like(wanted, 7))
        tn.einsum(subscripts, *arrays, out=out)
        np.testing.assert_array_equal(out, wanted, err_msg=f"{subscripts} {extents}")
