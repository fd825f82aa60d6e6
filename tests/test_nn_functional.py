"""tensornet.nn.functional: what networks are made of, under one roof."""

from __future__ import annotations

import numpy as np
import pytest

from tensornet import Tensor
from tensornet.nn import functional
from tensornet.ops import convolution


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
def test_convolutions_are_those_of_the_operations(name: str) -> None:
    assert getattr(functional, name) is getattr(convolution, name)
    assert name in functional.__all__


def test_the_documented_defaults() -> None:
    x, w = np.arange(25.0).reshape(1, 5, 5, 1), np.ones((3, 3, 1, 1))
    got = functional.conv2d(x, w)
    assert got.shape == (1, 3, 3, 1)
    assert got[0, 0, 0, 0] == x[0, :3, :3, 0].sum()
    first = functional.conv2d(
        Tensor(x.reshape(1, 1, 5, 5)), w.reshape(1, 1, 3, 3), data_format="NCHW"
    )
    np.testing.assert_array_equal(first.array.ravel(), got.ravel())
