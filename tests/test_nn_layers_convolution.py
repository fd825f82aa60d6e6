"""Convolution layers: their values and gradients are PyTorch's; what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import nn
from tensornet.autodiff import check_grads
from tensornet.errors import ShapeError

RNG = np.random.default_rng(0)
SHAPES = {1: (2, 9, 4), 2: (2, 7, 8, 4), 3: (2, 5, 6, 7, 4)}
LAYERS = {1: nn.Conv1D, 2: nn.Conv2D, 3: nn.Conv3D}


def of_torch(layer, x, weight, settings):
    """Result and gradients of torch's layer with the same parameters, in our layout."""
    torch = pytest.importorskip("torch")
    spatial = x.ndim - 2
    make = getattr(torch.nn, f"Conv{spatial}d")
    other = make(4, layer.filters, layer.window, bias=layer.use_bias, **settings).double()
    to_theirs = (spatial + 1, spatial, *range(spatial))
    with torch.no_grad():
        other.weight.copy_(torch.tensor(layer.kernel.array.transpose(to_theirs)))
        if layer.use_bias:
            other.bias.copy_(torch.tensor(layer.bias.array))
    given = torch.tensor(x, requires_grad=True)
    y = other(given.movedim(-1, 1)).movedim(1, -1)
    y = torch.relu(y) if layer.activation else y
    (y * torch.tensor(weight)).sum().backward()
    to_ours = (*range(2, spatial + 2), 1, 0)
    found = [given.grad.numpy(), other.weight.grad.numpy().transpose(to_ours)]
    return y.detach().numpy(), [*found, other.bias.grad.numpy()] if layer.use_bias else found


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"padding": "Same", "activation": "relu"}, {"padding": "same"}),
        ({"strides": 2, "padding": 1, "activation": "relu"}, {"stride": 2, "padding": 1}),
        ({"dilation": 2, "use_bias": False}, {"dilation": 2}),
        ({"groups": 2, "padding": "same"}, {"groups": 2, "padding": "same"}),
    ],
)
def test_convolutions_are_those_of_torch(spatial, ours, theirs):
    x = RNG.normal(size=SHAPES[spatial])
    layer = LAYERS[spatial](6, 3, dtype="float64", seed=0, **ours)
    weight = RNG.normal(size=layer(x).shape)
    if layer.use_bias:
        layer.bias.array[...] = RNG.normal(size=6)
    expected, slopes = of_torch(layer, x, weight, theirs)
    given = tn.Tensor(x)
    with tn.GradientTape() as tape:
        tape.watch(given)
        y = layer(given)
        loss = tn.sum(y * weight)
    np.testing.assert_allclose(y.array, expected, rtol=1e-9, atol=1e-11)
    for g, slope in zip(tape.gradient(loss, [given, *layer.parameters()]), slopes):
        np.testing.assert_allclose(g.array, slope, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("data_type", [np.float64, np.complex128])
def test_the_three_operations_of_convolution_have_gradients_of_each_other(data_type):
    from tensornet.ops.convolution import (
        convolve,
        convolve_data_gradient,
        convolve_weight_gradient,
    )
    from tensornet.ops.windows import place_windows

    def some(*shape):
        drawn = RNG.normal(size=shape)
        return drawn if data_type is np.float64 else drawn + 1j * RNG.normal(size=shape)

    x, w = some(2, 5, 4, 4), some(3, 2, 2, 6)
    windows = place_windows("conv", x.shape, (3, 2), (2, 1), "SAME", (1, 2))
    y = some(*windows.shape(6))

    def of(operation):
        def loss(a, b):
            result = operation(a, b, windows=windows, groups=2)
            return tn.sum(tn.abs(result) ** 2)

        return loss

    for operation, operands in (
        (convolve, (x, w)),
        (convolve_data_gradient, (y, w)),
        (convolve_weight_gradient, (x, y)),
    ):
        check_grads(of(operation), operands, order=2)


def test_convolutions_count_parameters_and_macs():
    layer = nn.Conv2D(8, (3, 5), padding="same", groups=2)
    summary = layer.summary((None, 6, 7, 4))
    assert summary.parameters == 3 * 5 * 2 * 8 + 8
    assert summary.macs == 6 * 7 * 8 * 3 * 5 * 2
    assert summary.rows[0].output_shape == (None, 6, 7, 8)


def test_batches_may_change_their_size_and_be_empty():
    layer = nn.Conv2D(3, 3, activation="relu", seed=0)
    x = RNG.normal(size=(4, 8, 8, 2)).astype(np.float32)
    whole = layer(x).array
    np.testing.assert_allclose(layer(x[:1]).array, whole[:1], rtol=1e-5, atol=1e-6)
    assert layer(x[:0]).shape == (0, 6, 6, 3)


def test_errors_name_the_layer_and_what_it_expects():
    layer = nn.Conv2D(3, 3, name="stem")
    layer.build((None, 8, 8, 2))
    with pytest.raises(
        ShapeError, match=r"Conv2D 'stem' .* \(batch, height, width, 2\), not \(1, 8, 8, 3\)"
    ):
        layer(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(ShapeError, match=r"Conv2D 'stem' expects"):
        layer(np.zeros((8, 8, 2), np.float32))
    with pytest.raises(ShapeError, match=r"Conv2D 'stem'.* does not fit"):
        layer(np.zeros((1, 2, 8, 2), np.float32))
    with pytest.raises(TypeError, match=r"float32, not float64"):
        layer(np.zeros((1, 8, 8, 2)))
    with pytest.raises(ValueError, match="3 channels are not 2 groups"):
        nn.Conv2D(4, 3, groups=2)(np.zeros((1, 8, 8, 3), np.float32))


def test_bad_settings_are_refused():
    for make in (
        lambda: nn.Conv2D(3, 3, groups=2),
        lambda: nn.Conv2D(0, 3),
        lambda: nn.Conv2D(3, (3, 3, 3)),
        lambda: nn.Conv2D(3, 3, strides=0),
        lambda: nn.Conv2D(3, 3, padding="full"),
    ):
        with pytest.raises(ValueError, match=r"."):
            make()
