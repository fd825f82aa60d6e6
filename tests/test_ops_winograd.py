"""Convolution in Winograd's form: against sums over windows in float64, its error, its switch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import config
from tensornet.autodiff import check_grads
from tensornet.errors import ShapeError
from tensornet.ops.convolution import (
    conv2d,
    convolve,
    convolve_data_gradient,
    convolve_weight_gradient,
)
from tensornet.ops.windows import Windows, place_windows
from tensornet.ops.winograd import (
    winograd,
    winograd_suits,
    winograd_to_data,
    winograd_to_weights,
)

FORMATS = ("NHWC", "NCHW")
KERNELS = (3, 5)
TOLERANCE = {"float32": 3e-6, "float64": 6e-15}  # of the largest entry


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    yield
    config.set_num_threads(None)
    config.set_winograd(None)


def oracle(x: Any, w: Any, padding: Any, data_format: str) -> Any:
    """A product for each tap in the dtype of the operands, of windows that NumPy slides."""
    if data_format == "NCHW":
        y = oracle(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), padding, "NHWC")
        return y.transpose(0, 3, 1, 2)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], (1, 2))
    return np.tensordot(windows, w, ((4, 5, 3), (0, 1, 2)))


def operands(
    rng: np.random.Generator, data_format: str, dtype: str, k: int, *shape: int
) -> tuple[Any, Any]:
    """Images and weights of k x k taps; the shape is n, h, w, c, o."""
    n, h, w, c, o = shape
    last = data_format == "NHWC"
    x = rng.standard_normal((n, h, w, c) if last else (n, c, h, w))
    weights = rng.standard_normal((k, k, c, o) if last else (o, c, k, k))
    return x.astype(dtype), weights.astype(dtype)


def place(x: Any, w: Any, padding: Any, data_format: str) -> Windows:
    kernel = w.shape[:2] if data_format == "NHWC" else w.shape[2:]
    return place_windows("conv", x.shape, kernel, padding=padding, data_format=data_format)


def weights_oracle(x: Any, y: Any, k: int, padding: Any, data_format: str) -> Any:
    """Products of `y` with what each of k x k taps sees."""
    if data_format == "NCHW":
        w = weights_oracle(x.transpose(0, 2, 3, 1), y.transpose(0, 2, 3, 1), k, padding, "NHWC")
        return w.transpose(3, 2, 0, 1)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (1, 2))
    return np.tensordot(windows, y, ((0, 1, 2), (0, 1, 2))).transpose(1, 2, 0, 3)


def near(got: Any, want: Any, dtype: Any) -> None:
    assert (got.shape, got.dtype) == (want.shape, dtype)
    largest = np.abs(want).max(initial=1)
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype.name] * largest)


def agree(
    x: Any, w: Any, padding: Any, data_format: str, out: Any = None, out_w: Any = None
) -> None:
    """The convolution, and its gradient to weights where the result is the cotangent."""
    windows = place(x, w, padding, data_format)
    got = winograd(x, w, windows, out)
    near(got, oracle(x.astype("f8"), w.astype("f8"), padding, data_format), x.dtype)
    to_weights = winograd_to_weights(x, got, windows, out_w)
    exact = weights_oracle(
        x.astype("f8"), got.astype("f8"), windows.kernel[0], padding, data_format
    )
    near(to_weights, exact, x.dtype)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("seed", range(30))
def test_random_shapes_and_paddings(seed: int, k: int, data_format: str) -> None:
    rng = np.random.default_rng(seed)
    channels, outputs = map(int, rng.choice([1, 2, 3, 8, 16, 17, 40, 65, 130], 2))
    n, h, w = int(rng.integers(1, 5)), *map(int, rng.integers(k, 32, 2))
    padding = rng.integers(0, 4, (2, 2)).tolist()
    dtype = ("float32", "float64")[seed % 2]
    shape = (n, h, w, channels, outputs)
    agree(*operands(rng, data_format, dtype, k, *shape), padding, data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1, 1),
        (1, 1, 1, 5, 3),
        (3, 2, 1, 16, 16),
        (2, 1, 2, 3, 40),
        (60, 2, 2, 4, 5),
        (1, 3, 301, 3, 2),  # rows that are longer than blocks of tiles
        (2, 97, 2, 2, 3),
        (1, 5, 95, 17, 33),
        (1, 8, 8, 300, 20),  # more channels than are summed at a time
        (1, 6, 6, 5, 200),  # more outputs than are transformed at a time
        (7, 40, 31, 6, 9),  # more tiles than are summed in one part
    ],
)
def test_extreme_shapes(shape: tuple[int, ...], k: int, data_format: str) -> None:
    rng = np.random.default_rng(0)
    half = k // 2
    for padding in (((half, half), (half, half)), ((k - 1, 0), (0, k - 1)), ((0, 4), (3, 5))):
        for dtype in ("float32", "float64"):
            agree(*operands(rng, data_format, dtype, k, *shape), padding, data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("n", "h", "w", "c", "o"),
    [(0, 4, 4, 3, 2), (2, 0, 3, 3, 2), (2, 4, 4, 0, 2), (2, 4, 4, 3, 0), (0, 0, 0, 0, 0)],
)
def test_without_entries_the_result_is_empty_or_zero(
    n: int, h: int, w: int, c: int, o: int, data_format: str
) -> None:
    for k in KERNELS:
        x, weights = operands(np.random.default_rng(0), data_format, "float32", k, n, h, w, c, o)
        windows = place(x, weights, k // 2 + 1, data_format)
        got = winograd(x, weights, windows)
        high, wide = h + 2, w + 2
        assert got.shape == ((n, high, wide, o) if data_format == "NHWC" else (n, o, high, wide))
        assert not got.any()
        to_weights = winograd_to_weights(x, got, windows)
        assert to_weights.shape == weights.shape
        assert not to_weights.any()
        to_data = winograd_to_data(got, weights, windows)
        assert to_data.shape == x.shape
        assert not to_data.any()


def strided(x: Any) -> Any:
    """The same entries, every second one of a larger array."""
    larger = np.full([2 * extent for extent in x.shape], np.nan, x.dtype)
    larger[tuple(slice(1, None, 2) for _ in x.shape)] = x
    return larger[tuple(slice(1, None, 2) for _ in x.shape)]


def reversed_axes(x: Any) -> Any:
    return np.ascontiguousarray(x.transpose(3, 1, 0, 2)[:, ::-1, ::-1]).transpose(2, 1, 3, 0)[
        ::-1, ::-1
    ]


def unaligned(x: Any) -> Any:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    made = memory[1:].view(x.dtype).reshape(x.shape)
    made[...] = x
    return made


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("change", [strided, reversed_axes, unaligned, np.asfortranarray])
def test_any_strides(change: Any, k: int, data_format: str) -> None:
    x, w = operands(np.random.default_rng(5), data_format, "float32", k, 2, 11, 14, 19, 21)
    padding = ((1, 1), (1, 1))
    out = change(np.full(place(x, w, padding, data_format).shape(21), np.nan, "f4"))
    out_w = change(np.full(w.shape, np.nan, "f4"))
    agree(change(x), change(w), padding, data_format, out, out_w)
    agree(np.broadcast_to(x[:1], x.shape), w, padding, data_format)
    agree(x, w[..., ::-1, :, :] if data_format == "NHWC" else w[:, ::-1], padding, data_format)


def test_writes_nothing_but_the_result() -> None:
    for data_format, k in product(FORMATS, KERNELS):
        x, w = operands(np.random.default_rng(5), data_format, "float32", k, 3, 9, 11, 5, 18)
        windows = place(x, w, 0, data_format)
        shape = windows.shape(18)
        around = np.full([extent + 2 for extent in shape], 7, "f4")
        inside = tuple(slice(1, -1) for _ in shape)
        got = winograd(x, w, windows, around[inside])
        assert np.shares_memory(got, around)
        np.testing.assert_array_equal(got, winograd(x, w, windows))
        around[inside] = 7
        assert (around == 7).all()
        around = np.full([extent + 2 for extent in w.shape], 7, "f4")
        winograd_to_weights(x, np.ones(shape, "f4"), windows, around[inside])
        around[inside] = 7
        assert (around == 7).all()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("change", [np.ascontiguousarray, np.asfortranarray, strided])
@pytest.mark.parametrize("padding", [((1, 0), (2, 1)), ((0, 0), (0, 0)), ((4, 3), (0, 5))])
def test_the_gradient_to_data_is_the_transposed_map(
    data_format: str, change: Any, k: int, padding: Any
) -> None:
    """The sum of y * winograd(x, w) is that of x * winograd_to_data(y, w), whatever y is."""
    rng = np.random.default_rng(3)
    x, w = operands(rng, data_format, "float64", k, 2, 9, 12, 33, 20)
    windows = place(x, w, padding, data_format)
    result = winograd(x, w, windows)
    y = np.asarray(rng.standard_normal(result.shape))
    to_x = winograd_to_data(change(y), change(w), windows)
    assert to_x.shape == x.shape
    np.testing.assert_allclose((to_x * x).sum(), (y * result).sum(), rtol=1e-11)
    again = winograd_to_data(y, w, windows, change(np.full(x.shape, np.nan)))
    np.testing.assert_array_equal(again, to_x)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("k", KERNELS)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("c", "o", "h"),
    [(16, 16, 24), (64, 64, 14), (32, 64, 14), (256, 32, 14), (3, 32, 24), (70, 40, 23)],
)
def test_the_error_is_at_most_4_times_that_of_the_direct_form(
    c: int, o: int, h: int, kind: str, k: int, data_format: str
) -> None:
    rng = np.random.default_rng(11)
    x, w = operands(rng, data_format, "float32", k, 2, h, h, c, o)
    windows = place(x, w, k // 2, data_format)
    y = rng.standard_normal(windows.shape(o)).astype("f4")
    if kind == "uniform":
        x, w, y = (rng.random(each.shape, "f4") for each in (x, w, y))
    config.set_winograd(False)
    for ours, direct, a, b in (
        (winograd, convolve, x, w),
        (winograd_to_data, convolve_data_gradient, y, w),
        (winograd_to_weights, convolve_weight_gradient, x, y),
    ):
        exact = direct(a.astype("f8"), b.astype("f8"), windows)
        within_4_times(ours(a, b, windows), direct(a, b, windows), exact)


def within_4_times(got: Any, direct: Any, exact: Any) -> None:
    errors, others = got - exact, direct - exact
    assert np.abs(errors).max() <= 4 * np.abs(others).max()
    assert np.sqrt((errors**2).mean()) <= 4 * np.sqrt((others**2).mean())


@pytest.mark.parametrize("k", KERNELS)
def test_derivatives_of_convolutions_of_this_form_to_second_order(k: int) -> None:
    x, w = operands(np.random.default_rng(4), "NHWC", "float64", k, 1, 10, 10, 16, 16)
    assert winograd_suits(place(x, w, k // 2, "NHWC"), 16, 16, x.dtype)
    check_grads(lambda x, w: conv2d(x, w, padding="SAME"), (x, w))


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    for data_format, k in product(FORMATS, KERNELS):
        x, w = operands(np.random.default_rng(1), data_format, "float32", k, 5, 23, 30, 70, 90)
        windows = place(x, w, 1, data_format)
        results = []
        for threads in (1, 2, 3, 7):
            config.set_num_threads(threads)
            y = winograd(x, w, windows)
            results.append((y, winograd_to_weights(x, y, windows)))
        for y, to_weights in results[1:]:
            np.testing.assert_array_equal(y, results[0][0])
            np.testing.assert_array_equal(to_weights, results[0][1])


PROGRAM = """
import sys
from test_ops_winograd import FORMATS, KERNELS, agree, np, operands, product
for data_format, k in product(FORMATS, KERNELS):
    for dtype in ("float32", "float64"):
        for shape in ((2, 9, 14, 19, 37), (1, 30, 7, 4, 5), (1, 3, 120, 5, 3)):
            x, w = operands(np.random.default_rng(2), data_format, dtype, k, *shape)
            agree(x, w, ((1, 2), (0, 1)), data_format)
"""


@pytest.mark.parametrize("isa", tn._kernels.info()["available_isas"][1:])
def test_every_instruction_set(isa: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"TENSORNET_ISA": isa, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


def test_other_windows_shapes_and_dtypes_are_refused() -> None:
    x, w = operands(np.random.default_rng(0), "NHWC", "float32", 3, 1, 8, 8, 4, 5)
    windows = place(x, w, 0, "NHWC")
    for other in (
        place_windows("conv", x.shape, 2),
        place_windows("conv", x.shape, 4),
        place_windows("conv", x.shape, (3, 5)),
        place_windows("conv", x.shape, 3, stride=2),
        place_windows("conv", x.shape, 3, dilation=2),
        place_windows("conv", (1, 8, 8), 3, data_format="NWC", spatial=1),
    ):
        with pytest.raises(ShapeError, match="3 x 3 or 5 x 5 with stride and dilation 1"):
            winograd(x, w, other)
        assert not winograd_suits(other, 64, 64, "float32")
    with pytest.raises(ShapeError, match=r"w has shape \(3, 3, 5, 5\), not \(3, 3, 4, 5\)"):
        winograd(x, np.ones((3, 3, 5, 5), "f4"), windows)
    with pytest.raises(ShapeError, match=r"x has shape \(1, 8, 7, 4\)"):
        winograd(x[:, :, 1:], w, windows)
    with pytest.raises(ShapeError, match=r"the result has shape"):
        winograd(x, w, windows, np.empty((1, 6, 7, 5), "f4"))
    with pytest.raises(ShapeError, match=r"the result has shape"):
        winograd_to_weights(x, np.empty((1, 6, 7, 5), "f4"), windows)
    with pytest.raises(TypeError, match="float64, float32 and float64"):
        winograd(x.astype("f8"), w, windows)
    with pytest.raises(TypeError, match="not of complex64"):
        winograd(x.astype("c8"), w.astype("c8"), windows)
    with pytest.raises(TypeError, match="not of >f4"):
        winograd(x.astype(">f4"), w.astype(">f4"), windows)


def test_no_memory_for_the_workspace_leaves_the_result_as_it_was() -> None:
    x = np.broadcast_to(np.float32(1), (1, 3, 3, 1 << 30))
    w = np.broadcast_to(np.float32(1), (3, 3, 1 << 30, 1 << 16))
    out = np.full((1, 1, 1, 1 << 16), 7, "f4")
    with pytest.raises(tn.MemoryLimitError, match=r"no memory for [0-9]{16} bytes"):
        winograd(x, w, place(x, w, 0, "NHWC"), out)
    assert (out == 7).all()


def test_entries_that_are_not_finite_stay_within_their_tiles() -> None:
    x, w = operands(np.random.default_rng(2), "NHWC", "float32", 3, 1, 8, 8, 3, 4)
    x[0, 3, 3, 1] = np.inf
    seen = ~np.isfinite(winograd(x, w, place(x, w, 1, "NHWC")))
    assert seen[0, 2:5, 2:5].all()
    assert not seen[0, 6:].any()
    assert not seen[0, :, 6:].any()


@pytest.mark.parametrize("k", KERNELS)
def test_it_suits_many_channels_and_not_few(k: int) -> None:
    def suits(n: int, h: int, c: int, o: int, dtype: str = "float32") -> bool:
        windows = place_windows("conv", (n, h, h, c), k, padding=k // 2)
        return winograd_suits(windows, c, o, dtype)

    assert suits(32, 56, 64, 64)
    assert suits(32, 14, 32, 64)
    assert suits(8, 14, 256, 256)
    assert suits(8, 28, 128, 128, "float64")
    assert not suits(8, 28, 1, 64)
    assert not suits(8, 28, 3, 64)
    assert not suits(8, 28, 64, 2)
    assert not suits(1, 2, 512, 512)  # most of a tile lies outside of the image
    assert not suits(0, 28, 64, 64)
    assert not suits(8, 28, 64, 64, "complex64")


def test_a_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = place_windows("conv", (8, 28, 28, 64), 3)
    monkeypatch.delenv("TENSORNET_WINOGRAD", raising=False)
    assert winograd_suits(windows, 64, 64, "float32")
    monkeypatch.setenv("TENSORNET_WINOGRAD", "0")
    assert not winograd_suits(windows, 64, 64, "float32")
    config.set_winograd(True)
    assert winograd_suits(windows, 64, 64, "float32")
    monkeypatch.setenv("TENSORNET_WINOGRAD", "1")
    config.set_winograd(False)
    assert not winograd_suits(windows, 64, 64, "float32")
    config.set_winograd(None)
    assert winograd_suits(windows, 64, 64, "float32")
    monkeypatch.setenv("TENSORNET_WINOGRAD", "maybe")
    with pytest.raises(ValueError, match="TENSORNET_WINOGRAD must be 0 or 1, not 'maybe'"):
        config.winograd_allowed()
    with pytest.raises(TypeError, match="True, False or None, not 0"):
        config.set_winograd(0)  # type: ignore[arg-type]
