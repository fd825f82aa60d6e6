"""Depthwise convolution against its definition and torch, and its gradients as transposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import window_oracle as oracle

import tensornet as tn
from tensornet import Tensor
from tensornet.ops.depthwise import (
    depthwise,
    depthwise_data_gradient,
    depthwise_weight_gradient,
)
from tensornet.ops.slides import array_shape
from tensornet.ops.windows import Windows, place_windows

DTYPES = ["float32", "float64", "float16", "complex64", "complex128"]


def random(rng: np.random.Generator, shape: Any, dtype: str) -> Any:
    made = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (made if "complex" in dtype else made.real).astype(dtype)


def tolerance(dtype: str) -> float:
    return {"float16": 1e-2, "float32": 3e-5, "complex64": 3e-5}.get(dtype, 1e-12)


def weights_shape(windows: Windows, multiplier: int = 1) -> tuple[int, ...]:
    channels = windows.channels * multiplier
    if windows.channels_last:
        return (*windows.kernel, 1, channels)
    return (channels, 1, *windows.kernel)


def matrix(w: Any, windows: Windows) -> Any:
    taps = int(np.prod(windows.kernel))
    return w.reshape(taps, -1) if windows.channels_last else w.reshape(-1, taps).T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(24))
def test_results_are_those_of_the_definition(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    multiplier = 1 + seed % 3
    x = random(rng, array_shape(windows), dtype)
    w = random(rng, weights_shape(windows, multiplier), dtype)
    got = depthwise(x, w, windows)
    want = oracle.depthwise(x, matrix(w, windows), windows)
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance(dtype), atol=10 * tolerance(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("seed", range(24))
def test_gradients_are_transposes(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    multiplier = 1 + seed % 2
    x = random(rng, array_shape(windows), dtype)
    w = random(rng, weights_shape(windows, multiplier), dtype)
    g = random(rng, windows.shape(windows.channels * multiplier), dtype)
    want = np.sum(oracle.depthwise(x, matrix(w, windows), windows) * g)
    to_data = depthwise_data_gradient(g, w, windows)
    to_weights = depthwise_weight_gradient(x, g, windows)
    assert (to_data.shape, to_data.dtype) == (x.shape, x.dtype)
    assert (to_weights.shape, to_weights.dtype) == (w.shape, w.dtype)
    wide = np.result_type(dtype, "float64")
    for one, other in ((to_data, x), (to_weights, w)):
        terms = one.astype(wide) * other
        assert abs(np.sum(terms) - want) < tolerance(dtype) * (1 + np.sum(np.abs(terms)))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_right_entry_by_entry(stride: int, data_format: str) -> None:
    """Integers, so that sums are exact; each entry of a gradient is what a unit vector gives."""
    rng = np.random.default_rng(0)
    shape = (2, 6, 5, 11) if data_format == "NHWC" else (2, 11, 6, 5)
    windows = place_windows("conv", shape, (3, 2), stride, [(1, 2), 1], 1, data_format)
    x = rng.integers(-3, 4, shape).astype(float)
    w = rng.integers(-3, 4, weights_shape(windows)).astype(float)
    g = rng.integers(-3, 4, windows.shape(11)).astype(float)
    to_weights, to_data = np.zeros_like(w), np.zeros_like(x)
    for at in np.ndindex(w.shape):
        unit = np.zeros_like(w)
        unit[at] = 1
        to_weights[at] = np.sum(oracle.depthwise(x, matrix(unit, windows), windows) * g)
    for at in np.ndindex((1, *shape[1:])):
        unit = np.zeros((1, *shape[1:]))
        unit[at] = 1
        for n in range(2):
            alone = windows._replace(batch=1)
            there = oracle.depthwise(unit, matrix(w, windows), alone)
            to_data[(n, *at[1:])] = np.sum(there * g[n])
    np.testing.assert_array_equal(depthwise_weight_gradient(x, g, windows), to_weights)
    np.testing.assert_array_equal(depthwise_data_gradient(g, w, windows), to_data)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_gradients_of_few_large_windows_are_exact(dilation: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    kernel = (189 // dilation, 217 // dilation)
    windows = place_windows(
        "conv", (2, 2, 190, 220), kernel, (1, 2), 2, dilation, data_format="NCHW"
    )
    w = rng.integers(-3, 4, weights_shape(windows)).astype(dtype)
    g = rng.integers(-3, 4, windows.shape(2)).astype(dtype)
    want = np.zeros((2, 2, 194, 224), dtype)  # with the padding
    for h, v in np.ndindex(windows.counts):
        rows, columns = (
            slice(first, first + dilation * n, dilation) for first, n in zip((h, 2 * v), kernel)
        )
        want[:, :, rows, columns] += g[:, :, h : h + 1, v : v + 1] * w[:, 0]
    got = depthwise_data_gradient(g, w, windows)
    np.testing.assert_array_equal(got, want[:, :, 2:-2, 2:-2])


def test_nan_and_infinity_reach_only_the_weights_that_see_them() -> None:
    for data_format, shape in (("NHWC", (1, 1, 13, 8)), ("NCHW", (1, 8, 1, 13))):
        windows = place_windows("conv", shape, (1, 3), data_format=data_format)
        x = np.ones(shape, "float32")
        x.reshape(-1)[-1] = np.nan  # the last column of the last channel
        g = np.ones(windows.shape(8), "float32")
        got = matrix(depthwise_weight_gradient(x, g, windows), windows)
        assert np.argwhere(np.isnan(got)).tolist() == [[2, 7]]


@pytest.mark.parametrize("last", [True, False])
def test_arrays_are_read_wherever_they_lie(last: bool) -> None:
    rng = np.random.default_rng(0)
    memory = rng.standard_normal((3, 20, 21, 22))
    windows_of = {"padding": 1, "data_format": "NHWC" if last else "NCHW"}
    for x in (memory[:, ::2, ::-1], memory.transpose(0, 3, 2, 1), memory[..., ::2]):
        windows = place_windows("conv", x.shape, 3, 2, **windows_of)
        w = rng.standard_normal(weights_shape(windows)[::-1]).transpose()
        want = depthwise(x.copy(), w.copy(), windows)
        np.testing.assert_allclose(depthwise(x, w, windows), want, rtol=1e-12, atol=1e-12)
        g = np.asfortranarray(want)
        np.testing.assert_allclose(
            depthwise_data_gradient(g, w, windows),
            depthwise_data_gradient(want, w.copy(), windows),
            rtol=1e-12,
            atol=1e-12,
        )
        np.testing.assert_allclose(
            depthwise_weight_gradient(x, g, windows),
            depthwise_weight_gradient(x.copy(), want, windows),
            rtol=1e-12,
            atol=1e-12,
        )


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_bits_do_not_depend_on_threads(data_format: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 40, 41, 42)).astype("float32")
    windows = place_windows("conv", x.shape, 3, 1, "SAME", data_format=data_format)
    w = rng.standard_normal(weights_shape(windows)).astype("float32")
    results = []
    for threads in (1, 2, 3):
        tn.set_num_threads(threads)
        y = depthwise(x, w, windows)
        back = depthwise_data_gradient(y, w, windows), depthwise_weight_gradient(x, y, windows)
        results.append((y, *back))
    tn.set_num_threads(None)
    for other in results[1:]:
        for first, second in zip(results[0], other):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation", "multiplier"),
    [
        ((2, 16, 14, 14), 3, 1, 1, 1, 1),
        ((2, 16, 15, 14), 3, 2, 1, 1, 1),
        ((1, 3, 9, 8), 5, 1, 2, 1, 2),
        ((3, 17, 12, 13), 3, 2, 2, 2, 1),
        ((2, 32, 7, 7), 7, 1, 3, 1, 1),
        ((2, 8, 20, 20), (1, 4), (3, 5), 0, 1, 3),
    ],
)
def test_torch_agrees(shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
                      multiplier: int, data_format: str) -> None:  # fmt: skip
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    w = rng.standard_normal((shape[1] * multiplier, 1, rows, columns))
    given, weights = torch.asarray(x).requires_grad_(), torch.asarray(w).requires_grad_()
    y = torch.nn.functional.conv2d(given, weights, None, stride, padding, dilation, groups=shape[1])
    g = rng.standard_normal(y.shape)
    back = torch.autograd.grad(y, (given, weights), torch.asarray(g))
    want = [each.detach().numpy() for each in (y, *back)]
    if data_format == "NHWC":
        x, g, want[0], want[1] = [np.moveaxis(each, 1, -1) for each in (x, g, *want[:2])]
        w, want[2] = w.transpose(2, 3, 1, 0), want[2].transpose(2, 3, 1, 0)
    windows = place_windows("conv", x.shape, kernel, stride, padding, dilation, data_format)
    got = (
        depthwise(x, w, windows),
        depthwise_data_gradient(g, w, windows),
        depthwise_weight_gradient(x, g, windows),
    )
    for ours, theirs in zip(got, want):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(0, 4, 4, 9), (2, 4, 4, 0)])
def test_empty_arrays(shape: Any) -> None:
    windows = place_windows("conv", shape, 3, 1, 1)
    x, w = np.zeros(shape), np.zeros(weights_shape(windows))
    y = depthwise(x, w, windows)
    assert y.shape == shape
    assert depthwise_data_gradient(y, w, windows).shape == shape
    to_weights = depthwise_weight_gradient(x, y, windows)
    assert to_weights.shape == w.shape
    assert not to_weights.any()


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_may_have_no_results(dtype: str, data_format: str) -> None:
    shape = (2, 4, 4, 9) if data_format == "NHWC" else (2, 9, 4, 4)
    windows = place_windows("conv", shape, 3, 1, 1, data_format=data_format)
    x, w = np.ones(shape, dtype), np.ones(weights_shape(windows, 0), dtype)
    y = depthwise(x, w, windows)
    assert (y.shape, y.dtype) == (windows.shape(0), x.dtype)
    assert depthwise_weight_gradient(x, y, windows).shape == w.shape
    np.testing.assert_array_equal(depthwise_data_gradient(y, w, windows), np.zeros_like(x))


def test_tensors_make_tensors() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 6, 6, 9)), rng.standard_normal((3, 3, 1, 9))
    windows = place_windows("conv", x.shape, 3, 1, 1)
    y = depthwise(Tensor(x), w, windows)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.array, depthwise(x, w, windows))
    assert type(depthwise_data_gradient(y, w, windows=windows)) is Tensor
    assert type(depthwise_weight_gradient(x, y, windows)) is Tensor
    mixed = depthwise(x.astype("float32"), w, windows)
    assert mixed.dtype == np.float64


def test_wrong_operands_are_named() -> None:
    x, w = np.ones((1, 4, 4, 6)), np.ones((3, 3, 1, 6))
    windows = place_windows("conv", x.shape, 3)
    with pytest.raises(TypeError, match=r"depthwise takes .*, and w is int64: convert it"):
        depthwise(x, w.astype("int64"), windows)
    with pytest.raises(tn.ShapeError, match="x has shape"):
        depthwise(x[:, 1:], w, windows)
    with pytest.raises(tn.ShapeError, match=r"w has shape .*, its windows take \(3, 3, 1, chan"):
        depthwise(x, w[1:], windows)
    with pytest.raises(tn.ShapeError, match="w has 5 channels, which is no multiple of the 6 of x"):
        depthwise(x, w[..., :5], windows)
    with pytest.raises(tn.ShapeError, match="g has shape"):
        depthwise_data_gradient(x, w, windows)
    with pytest.raises(tn.ShapeError, match="g has 4 channels"):
        depthwise_weight_gradient(x, np.ones((1, 2, 2, 4)), windows)
