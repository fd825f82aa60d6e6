"""tensornet.nn.functional: what networks are made of, under one roof."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import tensornet
from tensornet import Tensor
from tensornet.nn import functional, losses
from tensornet.ops import activations, convolution, normalising


@pytest.mark.parametrize("home", [activations, convolution, normalising, losses])
def test_everything_is_what_the_operations_and_losses_call_by_the_name(home: ModuleType) -> None:
    names = [name for name in functional.__all__ if hasattr(home, name)]
    assert names
    for name in names:
        assert getattr(functional, name) is getattr(home, name)


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling_of_arrays_gives_arrays_and_of_tensors_tensors(kind: str, spatial: int) -> None:
    x = np.arange(4.0**spatial).reshape(1, *[4] * spatial, 1)
    pool = getattr(functional, f"{kind}_pool{spatial}d")
    everywhere = getattr(functional, f"global_{kind}_pool{spatial}d")
    got = pool(x, 4)
    assert type(got) is np.ndarray
    assert got.shape == (1, *[1] * spatial, 1)
    assert got.item() == getattr(np, {"avg": "mean", "max": "max"}[kind])(x)
    np.testing.assert_array_equal(everywhere(Tensor(x)).array.ravel(), got.ravel())
    (gradient,) = tensornet.vjp(lambda x: pool(x, 4), x)[1](np.ones_like(got))
    assert gradient.sum() == 1.0


def test_networks_are_there_when_asked_for() -> None:
    code = "import sys, tensornet as tn; assert 'tensornet.nn' not in sys.modules; "
    code += "print(tn.nn.functional.relu(-1.0), tn.nn.Dense.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.split() == ["0.0", "Dense"], run.stderr


def test_the_documented_defaults() -> None:
    x, w = np.arange(25.0).reshape(1, 5, 5, 1), np.ones((3, 3, 1, 1))
    got = functional.conv2d(x, w)
    assert got.shape == (1, 3, 3, 1)
    assert got[0, 0, 0, 0] == x[0, :3, :3, 0].sum()
    first = functional.conv2d(
        Tensor(x.reshape(1, 1, 5, 5)), w.reshape(1, 1, 3, 3), data_format="NCHW"
    )
    np.testing.assert_array_equal(first.array.ravel(), got.ravel())
