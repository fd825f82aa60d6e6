"""Convolution and its gradients: exact sums, every layout, and what does not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import oracle
import pytest

import tensornet as tn
from tensornet import Tensor
from tensornet._kernels import info
from tensornet.errors import MemoryLimitError, ShapeError
from tensornet.nn.functional import conv1d, conv2d, conv3d
from tensornet.ops.convolution import (
    convolve,
    convolve_data_gradient,
    convolve_weight_gradient,
)
from tensornet.ops.windows import DATA_FORMATS, Windows, place_windows

Array = np.ndarray[Any, Any]
CONV = {1: conv1d, 2: conv2d, 3: conv3d}


def data_as(array: Array, last: bool) -> Array:
    """An array [batch, channels, ..] with the channels last, or as it is."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if last else array


def weights_as(w: Array, last: bool) -> Array:
    return np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2))) if last else w


class Case:
    """A random convolution, channels first."""

    def __init__(self, seed: int, dtype: str = "float64") -> None:
        rng = np.random.default_rng(seed)
        self.rng, self.dtype = rng, dtype
        self.spatial = n = int(rng.choice([1, 2, 2, 3]))
        self.groups = int(rng.choice([1, 1, 1, 2, 3]))
        self.kernel = tuple(map(int, rng.integers(1, 5, n)))
        self.stride = tuple(map(int, rng.integers(1, 4, n)))
        self.dilation = tuple(map(int, rng.integers(1, 3, n)))
        self.padding = [(int(a), int(b)) for a, b in rng.integers(0, 4, (n, 2))]
        extents = [
            max(int(e), (k - 1) * d + 1 - a - b)
            for e, k, d, (a, b) in zip(
                rng.integers(1, 13, n), self.kernel, self.dilation, self.padding
            )
        ]
        channels, outputs = rng.choice([1, 2, 3, 5, 9, 17], 2) * self.groups
        batch = int(rng.integers(1, 4))
        self.x = self.array((batch, channels, *extents))
        self.w = self.array((outputs, channels // self.groups, *self.kernel))

    def array(self, shape: tuple[int, ...]) -> Array:
        return oracle.small_integers(self.rng, shape, self.dtype)

    def windows(self, last: bool) -> Windows:
        return place_windows(
            "conv",
            data_as(self.x, last).shape,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            DATA_FORMATS[self.spatial][not last],
            self.spatial,
        )

    def expected(self, y: Array | None = None) -> tuple[Array, Array, Array]:
        arguments = (self.stride, self.padding, self.dilation, self.groups)
        return oracle.convolution(self.x, self.w, y, *arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
@pytest.mark.parametrize("last", [True, False])
def test_random_convolutions_and_gradients_are_exact(dtype: str, last: bool) -> None:
    for seed in range(60):
        case = Case(seed, dtype)
        y = case.array(case.expected()[0].shape)
        result, to_x, to_w = case.expected(y)
        x, w, windows = data_as(case.x, last), weights_as(case.w, last), case.windows(last)
        name = DATA_FORMATS[case.spatial][not last]
        got = CONV[case.spatial](
            x, w, case.stride, case.padding, case.dilation, case.groups, data_format=name
        )
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, data_as(result, last), strict=True)
        y = data_as(y, last)
        back = convolve_data_gradient(y, w, windows, case.groups)
        np.testing.assert_array_equal(back, data_as(to_x, last), strict=True)
        back = convolve_weight_gradient(x, y, windows, case.groups)
        np.testing.assert_array_equal(back, weights_as(to_w, last), strict=True)


@pytest.mark.parametrize("channels", [(1, 2), (3, 1), (2, 7), (40, 3)])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_few_channels_of_large_images_are_exact(
    channels: tuple[int, int], last: bool, stride: int
) -> None:
    rng = np.random.default_rng(1)
    x = oracle.small_integers(rng, (2, channels[0], 41, 57), "float32")
    w = oracle.small_integers(rng, (channels[1], channels[0], 5, 7), "float32")
    arguments = ((stride,) * 2, [(2, 2), (3, 3)], (1, 1), 1)
    y = oracle.small_integers(rng, oracle.convolution(x, w, None, *arguments)[0].shape, "float32")
    result, to_x, to_w = oracle.convolution(x, w, y, *arguments)
    x, w, y = data_as(x, last), weights_as(w, last), data_as(y, last)
    name = DATA_FORMATS[2][not last]
    windows = place_windows("conv", x.shape, (5, 7), stride, (2, 3), data_format=name)
    np.testing.assert_array_equal(convolve(x, w, windows), data_as(result, last))
    np.testing.assert_array_equal(convolve_data_gradient(y, w, windows), data_as(to_x, last))
    np.testing.assert_array_equal(convolve_weight_gradient(x, y, windows), weights_as(to_w, last))


@pytest.mark.parametrize("few", [1, 3, 8, 9])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("stride", [1, 3])
def test_what_is_not_finite_stays_within_64_bytes_of_the_windows_that_see_it(
    few: int, last: bool, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORNET_WINOGRAD", "0")
    rng, name = np.random.default_rng(1), DATA_FORMATS[2][not last]
    many = data_as(oracle.small_integers(rng, (2, 16, 24, 128), "float32"), last)
    w = weights_as(oracle.small_integers(rng, (few, 16, 3, 3), "float32"), last)
    windows = place_windows("conv", many.shape, 3, stride, 1, data_format=name)
    extents = (23 * stride + 1, 127 * stride + 1)
    shape = (2, *extents, few) if last else (2, few, *extents)
    back = w.swapaxes(-1, -2) if last else w.swapaxes(0, 1)
    windows_back = place_windows("conv", shape, 3, stride, 1, data_format=name)
    unit = np.zeros_like(many, "int32")
    unit[(0, 11, 51, 3) if last else (0, 3, 11, 51)] = 1
    pixels = 64 // 4 // few
    for operation, weights, placed, reach in (
        (convolve, w, windows, pixels - 1),
        (convolve_data_gradient, back, windows_back, max(pixels, stride) - 1 if few < 9 else 0),
    ):
        seen = operation(unit, np.ones_like(weights, "int32"), placed) != 0
        got = operation(np.where(unit, np.float32(np.inf), many), weights, placed)
        axis = 2 if last else 3
        near = np.any([np.roll(seen, by, axis) for by in range(-reach, reach + 1)], axis=0)
        assert not np.isfinite(got[seen]).any()
        np.testing.assert_array_equal(got[~near], operation(many, weights, placed)[~near])


@pytest.mark.parametrize("layout", oracle.LAYOUTS)
def test_operands_may_lie_anywhere_in_memory(layout: str) -> None:
    for seed in range(8):
        case = Case(seed)
        case.x, case.w = (oracle.arrange(a, layout) for a in (case.x, case.w))
        y = oracle.arrange(case.array(case.expected()[0].shape), layout)
        result, to_x, to_w = case.expected(y)
        windows = case.windows(last=False)
        kept = case.x.copy(), case.w.copy(), y.copy()
        np.testing.assert_array_equal(convolve(case.x, case.w, windows, case.groups), result)
        got = convolve_data_gradient(y, case.w, windows, case.groups)
        np.testing.assert_array_equal(got, to_x)
        got = convolve_weight_gradient(case.x, y, windows, case.groups)
        np.testing.assert_array_equal(got, to_w)
        for array, before in zip((case.x, case.w, y), kept):
            np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_three_are_each_others_transposes(dtype: str) -> None:
    """<conv(x, w), y> = <x, data gradient(y, w)> = <w, weight gradient(x, y)>"""
    rng = np.random.default_rng(3)

    def noise(shape: tuple[int, ...]) -> Array:
        real = rng.standard_normal(shape)
        return (real + 1j * real[::-1] if dtype[0] == "c" else real).astype(dtype)

    x, w = noise((3, 17, 19, 20)), noise((3, 4, 10, 24))
    windows = place_windows("conv", x.shape, (3, 4), (2, 1), "SAME", (1, 2))
    y = noise(windows.shape(24))
    first = np.sum(convolve(x, w, windows, 2) * y)
    bound = 1e3 * np.finfo(dtype).eps * np.linalg.norm(x) * np.linalg.norm(w)
    assert abs(np.sum(x * convolve_data_gradient(y, w, windows, 2)) - first) < bound
    assert abs(np.sum(w * convolve_weight_gradient(x, y, windows, 2)) - first) < bound


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("int8", "float32"), ("bool", "bool")])
def test_dtypes_combine_as_in_numpy(dtypes: tuple[str, str]) -> None:
    rng = np.random.default_rng(4)
    x = oracle.small_integers(rng, (1, 5, 6, 2), dtypes[0])
    w = oracle.small_integers(rng, (2, 2, 2, 3), dtypes[1])
    got = conv2d(x, w)
    assert got.dtype == np.result_type(x, w)
    exact = conv2d(x.astype("float64"), w.astype("float64"))
    np.testing.assert_array_equal(got, exact.astype(got.dtype))


def test_float16_is_summed_in_float32() -> None:
    x, w = np.ones((1, 8, 8, 64), "float16"), np.full((3, 3, 64, 1), 1 + 2**-10, "float16")
    got = conv2d(x, w)
    assert got.dtype == np.float16
    assert (got == np.float16(576 * (1 + 2**-10))).all()


def test_nothing_at_all_gives_zeros_or_nothing() -> None:
    w = np.ones((3, 3, 2, 4))
    assert conv2d(np.ones((0, 5, 5, 2)), w).shape == (0, 3, 3, 4)
    assert conv2d(np.ones((2, 0, 5, 2)), w, padding="SAME").shape == (2, 0, 5, 4)
    assert (
        conv2d(np.ones((2, 5, 5, 0)), np.ones((3, 3, 0, 4))).tolist()
        == np.zeros((2, 3, 3, 4)).tolist()
    )
    assert conv2d(np.ones((2, 5, 5, 2)), np.ones((3, 3, 2, 0))).shape == (2, 3, 3, 0)
    assert not conv2d(np.ones((1, 0, 0, 2)), w, padding=2).any()
    for shape, outputs in (((0, 5, 5, 2), 4), ((2, 5, 5, 0), 4), ((2, 5, 5, 2), 0)):
        windows = place_windows("conv", shape, 3)
        weights = np.ones((3, 3, shape[-1], outputs))
        y = np.ones(windows.shape(outputs))
        assert convolve_data_gradient(y, weights, windows).shape == shape
        got = convolve_weight_gradient(np.ones(shape), y, windows)
        assert got.shape == weights.shape
        assert not got.any()


def test_a_window_larger_than_the_array_needs_padding() -> None:
    x, w = np.ones((1, 2, 2, 1)), np.ones((5, 5, 1, 1))
    with pytest.raises(ShapeError, match="does not fit on spatial axis 0"):
        conv2d(x, w)
    assert conv2d(x, w, padding=2).ravel().tolist() == [4, 4, 4, 4]
    assert conv2d(x, w, padding=[(3, 0), (1, 4)]).ravel().tolist() == [4, 4, 2]


def test_same_has_one_window_for_every_stride_and_the_odd_zero_behind() -> None:
    x = np.arange(1.0, 6).reshape(1, 5, 1)
    assert conv1d(x, np.ones((2, 1, 1)), padding="SAME").ravel().tolist() == [3, 5, 7, 9, 5]
    assert conv1d(x, np.ones((3, 1, 1)), 2, "same").ravel().tolist() == [3, 9, 9]
    assert conv1d(x, np.ones((1, 1, 1)), 3, "SAME").ravel().tolist() == [1, 4]


def test_positions_between_strides_that_no_window_sees_have_no_gradient() -> None:
    windows = place_windows("conv", (1, 7, 1), 1, 3, data_format="NWC", spatial=1)
    y = np.ones(windows.shape(1))
    got = convolve_data_gradient(y, np.full((1, 1, 1), 2.0), windows)
    assert got.ravel().tolist() == [2, 0, 0, 2, 0, 0, 2]


def test_tensors_in_tensors_out() -> None:
    x, w = np.ones((1, 4, 4, 2)), np.ones((2, 2, 2, 3))
    got = conv2d(Tensor(x), w)
    assert type(got) is Tensor
    np.testing.assert_array_equal(got.array, conv2d(x, w))
    assert type(conv2d(x.tolist(), Tensor(w), padding="SAME")) is Tensor
    assert type(conv2d(x.tolist(), w.tolist())) is np.ndarray
    windows = place_windows("conv", x.shape, 2)
    assert type(convolve_data_gradient(got, w, windows)) is Tensor
    assert type(convolve_weight_gradient(x, got, windows)) is Tensor


def test_what_does_not_fit_is_named() -> None:
    x, w = np.ones((1, 4, 4, 6)), np.ones((2, 2, 6, 4))
    with pytest.raises(ShapeError, match=r"takes weights of shape \(2, 2, 3, 4\), not"):
        conv2d(x, w, groups=2)
    with pytest.raises(ShapeError, match="4 groups do not divide 6 channels and 4 outputs"):
        conv2d(x, w, groups=4)
    with pytest.raises(ShapeError, match="0 groups"):
        conv2d(x, w, groups=0)
    with pytest.raises(ShapeError, match="weights of 4 axes"):
        conv2d(x, w[0])
    with pytest.raises(ShapeError, match="an array of 4 axes"):
        conv2d(x[0], w)
    with pytest.raises(ShapeError, match="takes data_format 'NHWC' or 'NCHW'"):
        conv2d(x, w, data_format="CHWN")
    with pytest.raises(ShapeError, match="stride"):
        conv2d(x, w, stride=[1, 2, 3])
    with pytest.raises(ShapeError, match="padding"):
        conv2d(x, w, padding="FULL")
    with pytest.raises(TypeError, match="dtype <U1"):
        conv2d(x, [[[["a"]]]])
    windows = place_windows("conv", x.shape, 2)
    with pytest.raises(ShapeError, match="x has shape"):
        convolve(x[:, 1:], w, windows)
    with pytest.raises(ShapeError, match="y has shape"):
        convolve_data_gradient(x, w, windows)
    with pytest.raises(ShapeError, match="y has shape"):
        convolve_weight_gradient(x, x, windows)


def test_windows_that_reach_too_far_are_out_of_memory() -> None:
    x, w = np.ones((1, 3, 3, 3, 1)), np.ones((2, 2, 2, 1, 1))
    far = 1 << 40
    with pytest.raises(MemoryLimitError):
        conv3d(x, w, padding=far, dilation=2 * far)


@pytest.mark.parametrize("last", [True, False])
def test_the_bits_do_not_depend_on_the_number_of_threads(last: bool) -> None:
    rng = np.random.default_rng(5)
    name = DATA_FORMATS[2][not last]
    x = data_as(rng.standard_normal((2, 40, 30, 26), "float32"), last)
    w = weights_as(rng.standard_normal((48, 40, 3, 3), "float32"), last)
    windows = place_windows("conv", x.shape, 3, 1, 1, data_format=name)
    y = rng.standard_normal(windows.shape(48), "float32")
    results = []
    before = tn.get_num_threads()
    try:
        for threads in (1, 2, 5):
            tn.set_num_threads(threads)
            results.append(
                [
                    convolve(x, w, windows).tobytes(),
                    convolve_data_gradient(y, w, windows).tobytes(),
                    convolve_weight_gradient(x, y, windows).tobytes(),
                ]
            )
    finally:
        tn.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("isa", info()["available_isas"][1:])
def test_every_instruction_set_is_exact(isa: str) -> None:
    here = os.path.basename(__file__)
    which = "random or few_channels or anywhere"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", here, "-k", which],
        check=True,
        cwd=os.path.dirname(__file__),
        env={**os.environ, "TENSORNET_ISA": isa},
        stdout=subprocess.DEVNULL,
    )


def test_torch_agrees() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    for stride, padding, dilation, groups in ((1, 1, 1, 1), (2, 3, 1, 4), (3, 0, 2, 2)):
        x = rng.standard_normal((2, 16, 23, 31), "float32")
        w = rng.standard_normal((24, 16 // groups, 3, 5), "float32")
        want = torch.nn.functional.conv2d(
            torch.from_numpy(x), torch.from_numpy(w), None, stride, padding, dilation, groups
        ).numpy()
        got = conv2d(x, w, stride, padding, dilation, groups, "NCHW")
        np.testing.assert_allclose(got, want, atol=1e-4)
