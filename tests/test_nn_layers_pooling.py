"""Pooling and depthwise layers: their values and gradients are PyTorch's; what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import nn
from tensornet.autodiff import check_grads
from tensornet.errors import ShapeError
from tensornet.ops import depthwise as depthwise_ops
from tensornet.ops import pooling as pooling_ops
from tensornet.ops.windows import place_windows

RNG = np.random.default_rng(0)
SHAPES = {1: (2, 9, 4), 2: (2, 7, 8, 4), 3: (2, 5, 6, 7, 4)}


def gradients(layer, x, weight):
    given = tn.Tensor(x)
    with tn.GradientTape() as tape:
        tape.watch(given)
        y = layer(given)
        loss = tn.sum(y * weight)
    return y.array, [g.array for g in tape.gradient(loss, [given, *layer.parameters()])]


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"kernel_size": 2}),
        ({"pool_size": 3, "strides": 2}, {"kernel_size": 3, "stride": 2}),
        ({"pool_size": 3, "padding": 1}, {"kernel_size": 3, "padding": 1}),
    ],
)
def test_pooling_is_that_of_torch(spatial, kind, ours, theirs):
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=SHAPES[spatial])
    layer = getattr(nn, f"{kind}Pool{spatial}D")(dtype="float64", **ours)
    options = {} if kind == "Max" else {"count_include_pad": False}
    other = getattr(torch.nn, f"{kind[:3].replace('Ave', 'Avg')}Pool{spatial}d")(
        **theirs, **options
    )
    given = torch.tensor(x, requires_grad=True)
    expected = other(given.movedim(-1, 1)).movedim(1, -1)
    weight = RNG.normal(size=expected.shape)
    (expected * torch.tensor(weight)).sum().backward()
    y, (of_x,) = gradients(layer, x, weight)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(of_x, given.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(layer(x), y)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_global_pooling_pools_all_spatial_axes(spatial):
    x = RNG.normal(size=SHAPES[spatial])
    axes = tuple(range(1, spatial + 1))
    for kind, reduce in (("Max", np.max), ("Average", np.mean)):
        layer = getattr(nn, f"Global{kind}Pool{spatial}D")(dtype="float64")
        np.testing.assert_allclose(layer(x), reduce(x, axes), rtol=1e-12)
        check_grads(layer, (x,), order=2)
        layer.keep_dims = True
        np.testing.assert_allclose(layer(tn.Tensor(x)).array, reduce(x, axes, keepdims=True))
        with pytest.raises(ShapeError, match=f"Global{kind}Pool{spatial}D has nothing to pool"):
            layer(x[:, :0])


@pytest.mark.parametrize("padding", ["valid", "SAME"])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution_is_that_of_torch_in_groups(padding, multiplier):
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=SHAPES[2])
    layer = nn.DepthwiseConv2D(
        3, padding=padding, depth_multiplier=multiplier, activation="relu", dtype="float64", seed=0
    )
    weight = RNG.normal(size=layer(x).shape)
    layer.bias.array[...] = RNG.normal(size=4 * multiplier)
    other = torch.nn.Conv2d(4, 4 * multiplier, 3, groups=4, padding=padding.lower()).double()
    with torch.no_grad():
        other.weight.copy_(torch.tensor(layer.kernel.array.transpose(3, 2, 0, 1)))
        other.bias.copy_(torch.tensor(layer.bias.array))
    given = torch.tensor(x, requires_grad=True)
    expected = torch.relu(other(given.movedim(-1, 1)).movedim(1, -1))
    (expected * torch.tensor(weight)).sum().backward()
    y, (of_x, of_kernel, of_bias) = gradients(layer, x, weight)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(of_x, given.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        of_kernel, other.weight.grad.numpy().transpose(2, 3, 1, 0), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(of_bias, other.bias.grad.numpy(), rtol=1e-9)


def test_the_operations_of_pooling_have_gradients_of_each_other():
    x = RNG.normal(size=(2, 5, 6, 3))
    windows = place_windows("pool", x.shape, (3, 2), (1, 2), "SAME")
    y = RNG.normal(size=windows.shape(3))
    places = pooling_ops.max_pool_with_argmax(x, windows)[1]
    for of, operand in (
        (lambda x: pooling_ops.max_pool(x, windows), x),
        (lambda x: pooling_ops.max_pool_with_argmax(x, windows)[0], x),
        (lambda x: pooling_ops.max_pool_gather(x, places, windows), x),
        (lambda y: pooling_ops.max_pool_gradient(y, places, windows), y),
        (lambda x: pooling_ops.avg_pool(x, windows), x),
        (lambda x: pooling_ops.avg_pool(x, windows, True), x),
        (lambda y: pooling_ops.avg_pool_gradient(y, windows), y),
    ):
        check_grads(lambda operand, of=of: of(operand) ** 2, (operand,), order=2)


def test_the_operations_of_depthwise_convolution_have_gradients_of_each_other():
    def some(*shape):
        return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)

    x, w = some(2, 5, 6, 3), some(3, 2, 1, 6)
    windows = place_windows("depthwise", x.shape, (3, 2), (1, 2), "SAME")
    y = some(*windows.shape(6))
    for operation, operands in (
        (depthwise_ops.depthwise, (x, w)),
        (depthwise_ops.depthwise_data_gradient, (y, w)),
        (depthwise_ops.depthwise_weight_gradient, (x, y)),
    ):

        def loss(a, b, operation=operation):
            return tn.sum(tn.abs(operation(a, b, windows)) ** 2)

        check_grads(loss, operands, order=2)


def test_depthwise_layers_count_parameters_and_macs():
    summary = nn.DepthwiseConv2D(3, depth_multiplier=2).summary((None, 9, 9, 4))
    assert summary.parameters == 9 * 8 + 8
    assert summary.macs == 7 * 7 * 8 * 9


def test_errors_name_the_layer_and_what_it_expects():
    with pytest.raises(ShapeError, match=r"MaxPool2D 'shrink' expects .* \(batch, height, width"):
        nn.MaxPool2D(name="shrink")(np.zeros((2, 4, 4), np.float32))
    with pytest.raises(ShapeError, match=r"AveragePool1D.* does not fit"):
        nn.AveragePool1D(5)(np.zeros((2, 4, 4), np.float32))
    with pytest.raises(TypeError, match=r"GlobalMaxPool1D expects .* float32, not float64"):
        nn.GlobalMaxPool1D()(np.zeros((2, 4, 4)))
    layer = nn.DepthwiseConv2D(3)
    layer.build((None, 9, 9, 4))
    with pytest.raises(ShapeError, match=r"DepthwiseConv2D expects .*, 4\), not \(1, 9, 9, 3\)"):
        layer(np.zeros((1, 9, 9, 3), np.float32))
    with pytest.raises(ValueError, match="padding is"):
        nn.MaxPool2D(padding="full")
