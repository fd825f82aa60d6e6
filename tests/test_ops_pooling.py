"""Pooling against its definition and torch, and its gradients as transposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import window_oracle as oracle

import tensornet as tn
from tensornet import Tensor
from tensornet.ops import pooling
from tensornet.ops.slides import array_shape
from tensornet.ops.windows import Windows, place_windows

FLOATS = ["float32", "float64"]


def random(rng: np.random.Generator, shape: Any, dtype: str) -> Any:
    made = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (made if "complex" in dtype else made.real).astype(dtype)


def tolerance(dtype: str) -> float:
    return {"float16": 4e-3, "float32": 4e-6, "complex64": 4e-6}.get(dtype, 1e-13)


def result_shape(windows: Windows) -> tuple[int, ...]:
    return windows.shape(windows.channels)


@pytest.mark.parametrize("dtype", [*FLOATS, "float16"])
@pytest.mark.parametrize("seed", range(25))
def test_the_largest_and_its_place_are_those_of_the_definition(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    x = random(rng, array_shape(windows), dtype)
    if seed % 2:
        x = np.round(x)  # with ties
    want, places = oracle.max_pool(x, windows)
    got, argmax = pooling.max_pool_with_argmax(x, windows)
    assert (got.dtype, argmax.dtype) == (x.dtype, np.uint8)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(argmax, places)
    np.testing.assert_array_equal(pooling.max_pool(x, windows), want)


@pytest.mark.parametrize("seed", range(8))
def test_nan_is_the_largest_and_minus_infinity_may_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    special = [np.nan, -np.inf, np.inf, 0.0, -0.0]
    x = rng.choice(special, array_shape(windows), p=[0.05, 0.6, 0.05, 0.2, 0.1])
    want, places = oracle.max_pool(x, windows)
    got, argmax = pooling.max_pool_with_argmax(x, windows)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(argmax, places)
    np.testing.assert_array_equal(pooling.max_pool(x, windows), want)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("seed", range(20))
def test_gradients_of_the_largest_go_where_they_were_picked(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    x = random(rng, array_shape(windows), dtype)
    g = np.round(8 * random(rng, result_shape(windows), dtype))  # sums are exact
    argmax = pooling.max_pool_with_argmax(x, windows)[1]
    at = oracle.positions(argmax, windows)
    source = oracle.flat(x, windows.channels_last)
    want = np.zeros_like(source)
    n, _, c = np.indices(at.shape)
    np.add.at(want, (n, at, c), oracle.flat(g, windows.channels_last))
    want = oracle.shaped(want, windows.extents, windows.channels_last)
    np.testing.assert_array_equal(pooling.max_pool_gradient(g, argmax, windows), want)
    picked = oracle.shaped(source[n, at, c], windows.counts, windows.channels_last)
    np.testing.assert_array_equal(pooling.max_pool_gather(x, argmax, windows), picked)


@pytest.mark.parametrize("dtype", [*FLOATS, "float16", "complex64", "complex128"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_averages_are_those_of_the_definition(seed: int, padded: bool, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    x = random(rng, array_shape(windows), dtype)
    got = pooling.avg_pool(x, windows, padded)
    want = oracle.avg_pool(x, windows, padded)
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance(dtype), atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", [*FLOATS, "complex128"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_the_gradient_of_averages_is_their_transpose(seed: int, padded: bool, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    windows = oracle.random_windows(rng)
    x = random(rng, array_shape(windows), dtype)
    g = random(rng, result_shape(windows), dtype)
    back = pooling.avg_pool_gradient(g, windows, padded)
    assert (back.shape, back.dtype) == (x.shape, x.dtype)
    want = np.sum(oracle.avg_pool(x, windows, padded) * g)
    size = np.sum(np.abs(back * x)) + 1
    assert abs(np.sum(back.astype(complex) * x) - want) < 10 * tolerance(dtype) * size


@pytest.mark.parametrize("dtype", [*FLOATS, "complex128"])
@pytest.mark.parametrize("padded", [False, True])
def test_gradients_of_few_large_windows_are_what_each_gives_to_all_it_sees(
    padded: bool, dtype: str
) -> None:
    windows = place_windows("pool", (2, 2, 190, 220), (188, 219), (1, 2), 2, data_format="NCHW")
    g = random(np.random.default_rng(0), result_shape(windows), dtype)
    want = np.zeros(array_shape(windows), dtype)
    for h, w in np.ndindex(windows.counts):
        seen = want[:, :, max(h - 2, 0) : h + 186, max(2 * w - 2, 0) : 2 * w + 217]
        count = 188 * 219 if padded else seen[0, 0].size
        seen += g[:, :, h : h + 1, w : w + 1] / count
    got = []
    for threads in (1, 3):
        tn.set_num_threads(threads)
        got.append(pooling.avg_pool_gradient(g, windows, padded))
    tn.set_num_threads(None)
    np.testing.assert_array_equal(*got)
    np.testing.assert_allclose(got[0], want, rtol=0, atol=tolerance(dtype) * np.abs(want).max())


def test_transposes_hold_entry_by_entry() -> None:
    """A random dot product may hide an entry in the wrong place; unit vectors do not."""
    windows = place_windows("pool", (1, 5, 4, 8), (3, 2), (2, 1), [(1, 0), 1])
    matrix, back = [], []
    for unit in np.eye(5 * 4 * 8):
        matrix.append(pooling.avg_pool(unit.reshape(1, 5, 4, 8), windows).ravel())
    shape = result_shape(windows)
    for unit in np.eye(int(np.prod(shape))):
        back.append(pooling.avg_pool_gradient(unit.reshape(shape), windows).ravel())
    np.testing.assert_allclose(np.array(back), np.array(matrix).T, rtol=1e-14)


@pytest.mark.parametrize("shape", [(3, 40, 40, 16), (3, 16, 40, 40)])
def test_windows_of_more_than_256_positions_have_wide_places(shape: Any) -> None:
    rng = np.random.default_rng(0)
    data_format = "NHWC" if shape[-1] == 16 else "NCHW"
    windows = place_windows("pool", shape, 18, 9, 2, data_format=data_format)
    x = rng.standard_normal(shape)
    want, places = oracle.max_pool(x, windows)
    got, argmax = pooling.max_pool_with_argmax(x, windows)
    assert argmax.dtype == np.int32
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(argmax, places)
    np.testing.assert_array_equal(pooling.max_pool_gather(x, argmax, windows), want)
    back = pooling.max_pool_gradient(want, argmax, windows)
    assert np.sum(back * x) == pytest.approx(np.sum(want**2))


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_arrays_are_read_wherever_they_lie(seed: int, last: bool) -> None:
    rng = np.random.default_rng(seed)
    memory = rng.standard_normal((4, 24, 26, 28))
    x = [
        memory[::2, 1:, ::-1],
        memory.transpose(0, 3, 1, 2),
        memory[:, ::2, ::3, ::2],
        np.broadcast_to(memory[:1], memory.shape),
        memory.transpose(3, 2, 1, 0)[::-1],
        np.frombuffer(b"x" + memory.tobytes(), np.uint8)[1:].view(np.float64).reshape(memory.shape),
    ][seed]
    windows = place_windows("pool", x.shape, 3, 2, 1, data_format="NHWC" if last else "NCHW")
    y, argmax = pooling.max_pool_with_argmax(x, windows)
    want, want_argmax = pooling.max_pool_with_argmax(x.copy(), windows)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(argmax, want_argmax)
    g = rng.standard_normal(y.shape[::-1]).transpose()
    back = pooling.max_pool_gradient(g, argmax.transpose().copy().transpose(), windows)
    np.testing.assert_array_equal(back, pooling.max_pool_gradient(g.copy(), argmax, windows))
    np.testing.assert_allclose(
        pooling.avg_pool(x, windows), pooling.avg_pool(x.copy(), windows), rtol=1e-14
    )


def test_bits_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(0)
    for data_format in ("NHWC", "NCHW"):
        x = rng.standard_normal((5, 40, 41, 42)).astype("float32")
        results = []
        for threads in (1, 2, 3):
            tn.set_num_threads(threads)
            windows = place_windows("pool", x.shape, 3, 2, "SAME", data_format=data_format)
            y, argmax = pooling.max_pool_with_argmax(x, windows)
            results.append(
                [y, argmax, pooling.max_pool_gradient(y, argmax, windows),
                 pooling.avg_pool(x, windows), pooling.avg_pool_gradient(y, windows)]
            )  # fmt: skip
        tn.set_num_threads(None)
        for other in results[1:]:
            for first, second in zip(results[0], other):
                np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, None, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), ((2, 3), (3, 1), (1, 0), 1), (3, 2, 1, 2)],
)
@pytest.mark.parametrize("shape", [(2, 17, 13, 14), (1, 3, 8, 9), (3, 32, 7, 7)])
def test_torch_agrees(shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
                      data_format: str) -> None:  # fmt: skip
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(0)
    planes = rng.standard_normal(shape).astype("float32")
    planes[0, 0, 3] = np.nan
    last = data_format == "NHWC"
    x = np.moveaxis(planes, 1, -1).copy() if last else planes
    given = torch.asarray(planes).requires_grad_()

    def agree(got: Any, want: Any) -> None:
        got = np.moveaxis(got, -1, 1) if last else got
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-6, atol=1e-6)

    theirs = functional.max_pool2d(given, kernel, stride, padding, dilation)
    ours = pooling.max_pool2d(x, kernel, stride, padding, data_format, dilation)
    agree(ours, theirs)
    g = np.random.default_rng(1).standard_normal(theirs.shape).astype("float32")
    (back,) = torch.autograd.grad(theirs, given, torch.asarray(g))
    step = kernel if stride is None else stride
    windows = place_windows("pool", x.shape, kernel, step, padding, dilation, data_format)
    argmax = pooling.max_pool_with_argmax(x, windows)[1]
    g = np.moveaxis(g, 1, -1).copy() if last else g
    agree(pooling.max_pool_gradient(g, argmax, windows), back)
    if dilation == 1:
        for counted in (False, True):
            theirs = functional.avg_pool2d(
                given, kernel, stride, padding, count_include_pad=counted
            )
            agree(pooling.avg_pool2d(x, kernel, stride, padding, data_format, counted), theirs)


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("last", [True, False])
def test_global_pooling_reduces_the_spatial_axes(spatial: int, last: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3, 9)[: spatial + 2])
    axes = tuple(range(1, spatial + 1) if last else range(2, spatial + 2))
    data_format = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[spatial]
    data_format = data_format if last else data_format.replace("C", "").replace("N", "NC")
    largest = getattr(pooling, f"global_max_pool{spatial}d")
    average = getattr(pooling, f"global_avg_pool{spatial}d")
    np.testing.assert_array_equal(largest(x, data_format=data_format), x.max(axes))
    np.testing.assert_allclose(average(x, data_format=data_format), x.mean(axes), rtol=1e-13)
    kept = average(x, True, data_format)
    np.testing.assert_allclose(kept, x.mean(axes, keepdims=True), rtol=1e-13)
    assert type(largest(Tensor(x), data_format=data_format)) is Tensor


def test_pooling_of_each_number_of_axes() -> None:
    x = np.arange(48.0).reshape(1, 2, 4, 6, 1)
    assert pooling.max_pool3d(x, (2, 2, 3)).ravel().tolist() == [32.0, 35.0, 44.0, 47.0]
    assert pooling.avg_pool3d(x, (2, 4, 6)).ravel().tolist() == [23.5]
    line = x.reshape(1, 1, 48)
    assert pooling.max_pool1d(line, 24, data_format="NCW").ravel().tolist() == [23.0, 47.0]
    assert pooling.avg_pool1d(line, 3, 40, data_format="NCW").ravel().tolist() == [1.0, 41.0]


@pytest.mark.parametrize("shape", [(0, 4, 4, 9), (2, 4, 4, 0), (0, 4, 4, 0)])
def test_empty_arrays_have_empty_results(shape: Any) -> None:
    windows = place_windows("pool", shape, 2, 2, "SAME")
    x = np.zeros(shape, "float32")
    y, argmax = pooling.max_pool_with_argmax(x, windows)
    assert y.shape == argmax.shape == result_shape(windows)
    assert pooling.max_pool_gradient(y, argmax, windows).shape == shape
    assert pooling.avg_pool(x, windows).shape == y.shape
    assert pooling.avg_pool_gradient(y, windows).shape == shape


def test_positions_that_no_window_sees_have_no_gradient() -> None:
    windows = place_windows("pool", (1, 7, 9), 1, 3, spatial=1, data_format="NWC")
    back = pooling.avg_pool_gradient(np.ones((1, 3, 9)), windows)
    assert back[0, :, 4].tolist() == [1, 0, 0, 1, 0, 0, 1]


def test_tensors_make_tensors() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 9))
    windows = place_windows("pool", x.shape, 2, 2)
    y, argmax = pooling.max_pool_with_argmax(Tensor(x), windows)
    assert type(y) is type(argmax) is Tensor
    plain = pooling.max_pool_with_argmax(x, windows)
    np.testing.assert_array_equal(y.array, plain[0])
    for made in (
        pooling.max_pool2d(Tensor(x), 2),
        pooling.avg_pool2d(Tensor(x), 2),
        pooling.max_pool_gradient(plain[0], argmax, windows),
        pooling.max_pool_gather(x, argmax, windows),
        pooling.avg_pool_gradient(y, windows=windows),
    ):
        assert type(made) is Tensor
    assert type(pooling.max_pool2d(x.tolist(), 2)) is np.ndarray


def test_windows_that_see_only_padding_are_refused() -> None:
    x = np.ones((1, 4, 4, 1))
    for pool in (pooling.max_pool2d, pooling.avg_pool2d):
        with pytest.raises(
            tn.ShapeError, match="window 0 sees nothing but padding on spatial axis 0"
        ):
            pool(x, 2, 1, padding=[2, 0])
        with pytest.raises(tn.ShapeError, match="window 2 sees nothing"):
            pool(x, 2, 2, padding=[(0, 2), 0])
    assert pooling.avg_pool2d(x, 2, 1, [2, 0], count_include_padding=True)[0, 0, 0, 0] == 0
    with pytest.raises(tn.ShapeError, match="sees nothing"):
        pooling.max_pool1d(np.ones((1, 2, 1)), 2, 1, "SAME", dilation=4)


def test_wrong_operands_are_named() -> None:
    x = np.ones((1, 4, 4, 9), "float32")
    windows = place_windows("pool", x.shape, 2, 2)
    y, argmax = pooling.max_pool_with_argmax(x, windows)
    with pytest.raises(TypeError, match="max_pool takes float16, float32, float64, and x is int64"):
        pooling.max_pool2d(np.ones((1, 4, 4, 9), int), 2)
    with pytest.raises(TypeError, match="and x is complex64"):
        pooling.max_pool2d(x.astype("complex64"), 2)
    with pytest.raises(TypeError, match=r"avg_pool takes .*complex128, and x is bool"):
        pooling.avg_pool2d(x.astype(bool), 2)
    with pytest.raises(tn.ShapeError, match="x has shape"):
        pooling.max_pool(y, windows)
    with pytest.raises(tn.ShapeError, match="g has shape"):
        pooling.max_pool_gradient(x, argmax, windows)
    with pytest.raises(TypeError, match="argmax of these windows is uint8, not int32"):
        pooling.max_pool_gradient(y, argmax.astype("int32"), windows)
    with pytest.raises(tn.ShapeError, match="argmax has shape"):
        pooling.max_pool_gather(x, argmax[:, :1], windows)
    with pytest.raises(tn.ShapeError, match="more than 2"):
        pooling.avg_pool2d(x, 100_000, 1, 100_000, count_include_padding=True)
