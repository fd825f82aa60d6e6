"""Layers without windows: their values and gradients are PyTorch's; what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import nn
from tensornet.autodiff import check_grads
from tensornet.errors import ShapeError
from tensornet.ops import relu

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5))


def gradients(layer, x, weight):
    """The result, and gradients of its sum times a weight to x and all parameters."""
    x = tn.Tensor(x)
    with tn.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tn.sum(y * weight)
    return y.array, [g.array for g in tape.gradient(loss, [x, *layer.parameters()])]


def agrees_with_torch(layer, make, x, translate=lambda arrays: arrays):
    """Compare a layer with one of torch that gets the same parameters."""
    torch = pytest.importorskip("torch")
    layer(x)
    other = make(torch.nn).double()
    weight = RNG.normal(size=layer(x).shape)
    with torch.no_grad():
        for theirs, ours in zip(other.parameters(), translate(layer.parameters())):
            theirs.copy_(torch.tensor(ours.array if type(ours) is tn.Tensor else ours))
    given = torch.tensor(x, requires_grad=True)
    expected = other(given)
    (expected * torch.tensor(weight)).sum().backward()
    y, (of_x, *of_parameters) = gradients(layer, x, weight)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(of_x, given.grad.numpy(), rtol=1e-9, atol=1e-11)
    for ours, theirs in zip(translate(of_parameters), other.parameters()):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-9, atol=1e-11)
    return other


def transposed(arrays):
    kernel, *rest = [a.array if type(a) is tn.Tensor else a for a in arrays]
    return [kernel.T, *rest]


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_dense_is_linear(activation, use_bias):
    layer = nn.Dense(3, activation, use_bias, dtype="float64", bias_initialiser="normal")

    def make(modules):
        linear = modules.Linear(5, 3, bias=use_bias)
        follow = {"relu": modules.ReLU, "tanh": modules.Tanh, "gelu": modules.GELU}
        if activation is None:
            return linear
        return modules.Sequential(linear, follow[activation]())

    agrees_with_torch(layer, make, X, transposed)


def test_dense_takes_any_number_of_leading_axes():
    layer = nn.Dense(3, activation="relu", dtype="float64", seed=0)
    cube = RNG.normal(size=(2, 3, 4, 5))
    flat = layer(cube.reshape(24, 5)).array
    np.testing.assert_array_equal(layer(cube).array, flat.reshape(2, 3, 4, 3))
    np.testing.assert_allclose(layer(cube[0, 0, 0]).array, flat[0], rtol=1e-14)
    assert layer(np.zeros((0, 5))).shape == (0, 3)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_gradients_of_dense_have_gradients(activation):
    layer = nn.Dense(3, activation=activation, dtype="float64", seed=0, bias_initialiser="normal")
    layer(X)

    def of(x, kernel, bias):
        affine = nn.affine.affine
        return tn.sum(affine(tn.matmul, x, kernel, bias, layer.activation) ** 2)

    check_grads(of, (X, layer.kernel.array, layer.bias.array), order=2)


def test_what_dense_has_returned_on_a_tape_is_not_changed_later():
    layer = nn.Dense(3, activation="relu", dtype="float64", seed=0)
    x = tn.Tensor(X)
    with tn.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        before = y.array.copy()
        tn.sum(layer(y @ np.ones((3, 5))))
    np.testing.assert_array_equal(y.array, before)


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2, 5)])
def test_batch_normalisation(shape):
    x = RNG.normal(2, 3, size=shape)
    ours = nn.BatchNorm(momentum=0.9, epsilon=1e-5, dtype="float64")

    class Last(pytest.importorskip("torch").nn.Module):
        def __init__(self, modules):
            super().__init__()
            self.inner = (modules.BatchNorm1d if len(shape) == 2 else modules.BatchNorm2d)(5)

        def forward(self, x):
            return self.inner(x.movedim(-1, 1)).movedim(1, -1)

    def varied(parameters):
        return parameters

    ours(x)
    ours.running_mean[...] = 0
    ours.running_variance[...] = 1
    ours.gamma.array[...] = [1, 2, 3, 4, 5]
    ours.beta.array[...] = [5, 4, 3, 2, 1]
    other = agrees_with_torch(ours.eval().train(), Last, x, varied)
    for _ in range(2):
        other(pytest.importorskip("torch").tensor(x))  # ours has been called as often
    np.testing.assert_allclose(ours.running_mean, other.inner.running_mean.numpy(), rtol=1e-10)
    np.testing.assert_allclose(ours.running_variance, other.inner.running_var.numpy(), rtol=1e-10)
    agrees_in_evaluation(ours, other, x)


def agrees_in_evaluation(ours, other, x):
    torch = pytest.importorskip("torch")
    given = torch.tensor(x, requires_grad=True)
    expected = other.eval()(given)
    (expected**2).sum().backward()
    ours.eval()
    y = ours(x).array
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    _, (of_x, *_) = gradients(ours, x, 2 * y)
    np.testing.assert_allclose(of_x, given.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("center", "scale"), [(False, True), (True, False), (False, False)])
def test_normalising_layers_without_scale_or_shift(center, scale):
    for kind in (nn.BatchNorm, nn.LayerNorm):
        layer = kind(center=center, scale=scale, epsilon=0, dtype="float64")
        y = np.asarray(layer(X))
        axis = 0 if kind is nn.BatchNorm else 1
        np.testing.assert_allclose(y.mean(axis), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axis), 1, rtol=1e-12)
        assert len(layer.parameters()) == center + scale


@pytest.mark.parametrize("axes", [1, 2])
def test_layer_normalisation(axes):
    x = RNG.normal(2, 3, size=(4, 3, 5))
    layer = nn.LayerNorm(axes, epsilon=1e-5, dtype="float64")
    layer(x)
    layer.gamma.array[...] = RNG.normal(size=layer.gamma.shape)
    layer.beta.array[...] = RNG.normal(size=layer.beta.shape)
    agrees_with_torch(layer, lambda m: m.LayerNorm(x.shape[-axes:], eps=1e-5), x)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_gradients_of_normalising_have_gradients(axes):
    from tensornet.nn.normalise import normalise

    shape = {(0,): (5,), (1,): (5,), (0, 1): (6, 5)}[axes]
    scale, shift = RNG.normal(size=shape), RNG.normal(size=shape)

    def of(x, scale, shift):
        result, mean, inverse = normalise(x, scale, shift, axes=axes, epsilon=1e-3)
        return tn.sum(result * result * result) + tn.sum(mean * inverse)

    check_grads(of, (X, scale, shift), order=2)


def test_a_single_row_normalises_to_its_shift():
    layer = nn.BatchNorm(dtype="float64")
    np.testing.assert_array_equal(layer(X[:1]).array, np.zeros((1, 5)))
    assert np.isfinite(layer.running_variance).all()
    with pytest.raises(ShapeError, match="BatchNorm has nothing to take statistics of"):
        layer(X[:0])
    assert layer.eval()(X[:0]).shape == (0, 5)


def test_dropout_keeps_the_mean_and_drops_in_the_gradient_what_it_drops():
    layer = nn.Dropout(0.25, seed=0)
    x = tn.Tensor(np.ones((100, 100), np.float32))
    with tn.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tn.sum(y)
    dropped = y.array == 0
    assert abs(dropped.mean() - 0.25) < 0.02
    np.testing.assert_allclose(y.array[~dropped], 4 / 3, rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, x).array, y.array)
    assert y.dtype == np.float32
    assert (layer(x).array != y.array).any()


def test_dropout_does_nothing_in_evaluation_and_at_rate_zero():
    assert nn.Dropout(0.5).eval()(X) is X
    assert nn.Dropout(0.0)(X) is X
    for rate in (1.0, -0.1):
        with pytest.raises(ValueError, match="rate of Dropout"):
            nn.Dropout(rate)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_dropout_keeps_the_dtype(dtype):
    assert nn.Dropout(0.5, seed=0)(np.ones(9, dtype)).dtype == dtype


def test_embedding_picks_rows_and_adds_up_their_gradients():
    layer = nn.Embedding(7, 3, dtype="float64", seed=0)
    numbers = np.array([[1, 1], [6, 0]])
    weight = RNG.normal(size=(2, 2, 3))
    with tn.GradientTape() as tape:
        y = layer(numbers)
        loss = tn.sum(y * weight)
    np.testing.assert_array_equal(y.array, layer.table.array[numbers])
    expected = np.zeros((7, 3))
    np.add.at(expected, numbers, weight)
    np.testing.assert_allclose(tape.gradient(loss, layer.table).array, expected, rtol=1e-14)
    assert layer(np.zeros((0, 2), int)).shape == (0, 2, 3)
    assert layer.summary((None, 2)).rows[0].output_shape == (None, 2, 3)


def test_embedding_refuses_what_it_has_no_row_for():
    layer = nn.Embedding(7, 3, name="words")
    for number in (7, -1):
        with pytest.raises(ValueError, match=rf"Embedding 'words' .* 0 to 6, not {number}"):
            layer(np.array([0, number]))
    with pytest.raises(TypeError, match="whole numbers, not float64"):
        layer(np.zeros(2))


@pytest.mark.parametrize(
    "name",
    [
        *("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh"),
        *("Softmax", "LogSoftmax"),
    ],
)
def test_activations_are_those_of_torch(name):
    def make(modules):
        theirs = getattr(modules, name)
        return theirs(dim=-1) if "Softmax" in name else theirs()

    agrees_with_torch(getattr(nn, name)(), make, X)
    word = {"LeakyReLU": "leaky_relu", "LogSoftmax": "log_softmax"}.get(name, name.lower())
    np.testing.assert_array_equal(nn.Activation(word)(X), getattr(nn, name)()(X))


def test_activations_are_functions_too():
    np.testing.assert_array_equal(nn.Activation(np.sqrt)(np.ones(2)), [1, 1])
    assert nn.Activation("linear")(X) is X
    with pytest.raises(ValueError, match="no activation is called 'rellu'"):
        nn.Activation("rellu")
    np.testing.assert_array_equal(nn.LeakyReLU(0.5)([-2.0]), [-1])


def test_shapes_change_and_nothing_else():
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten()(x), x.reshape(2, 12))
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.zeros(3)).shape == (3, 1)
    np.testing.assert_array_equal(nn.Reshape((2, -1))(x), x.reshape(2, 2, 6))
    assert nn.Reshape((2, -1))(x[:0]).shape == (0, 2, 6)
    with pytest.raises(ShapeError, match=r"Reshape expects .* \(5, -1\), not \(3, 4\)"):
        nn.Reshape((5, -1))(x)


def test_sequences_hold_modules_and_functions():
    layer = nn.Dense(5, seed=0, dtype="float64")
    sequence = nn.Sequential([layer, lambda x: x + 1, nn.ReLU()])
    sequence.add(layer)
    assert len(sequence) == 4
    assert sequence[3] is layer
    assert [type(each).__name__ for each in sequence] == ["Dense", "Lambda", "ReLU", "Dense"]
    expected = layer(np.maximum(layer(X).array + 1, 0)).array
    np.testing.assert_array_equal(sequence(X).array, expected)
    assert len(sequence.parameters()) == 2
    with pytest.raises(TypeError, match="a layer is a Module or a function, not int"):
        sequence.add(3)


def test_models_may_be_differentiated_twice():
    model = nn.Sequential(
        [nn.Dense(4, activation="tanh"), nn.LayerNorm(), nn.Dense(1)], dtype="float64", seed=0
    )
    model(X)
    check_grads(lambda x: tn.sum(model(x) ** 2), (X,), order=2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(5, 3), (40000, 5), (2, 70000), (0, 3), (3, 2, 4, 7)])
def test_bias_and_relu_are_added_in_place_as_they_would_be_one_by_one(dtype, shape):
    def copied(x, kernel):
        return np.array(x)

    copied.gradient_rule = tn.matmul.gradient_rule
    activation = None if dtype == "complex128" else relu
    x = RNG.normal(size=shape).astype(dtype)
    bias = RNG.normal(size=2 * shape[-1]).astype(dtype)[::2]
    before = x.copy()
    y = nn.affine.affine(copied, x, None, bias, activation)
    expected = x + bias if activation is None else np.maximum(x + bias, 0)
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype
    np.testing.assert_array_equal(x, before)


def test_nan_goes_through_a_layer_with_relu():
    x = np.full((1, 2), np.nan, np.float32)
    assert np.isnan(nn.Dense(3, activation="relu", seed=0)(x).array).all()


def test_bits_of_bias_relu_and_adam_do_not_depend_on_threads():
    x = RNG.normal(size=(500, 600)).astype(np.float32)
    found = []
    before = tn.get_num_threads()
    try:
        for threads in (1, 2, 3):
            tn.set_num_threads(threads)
            layer = nn.Dense(700, activation="relu", seed=0)
            optimiser = nn.Adam(0.1)
            for _ in range(2):
                optimiser.minimize(lambda layer=layer: tn.sum(layer(x)), layer)
            found.append(layer.kernel.array)
    finally:
        tn.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_where_positive_is_the_gradient_of_relu():
    g, y = RNG.normal(size=(2, 6, 5))
    for dtype in ("float16", "float32", "float64"):
        found = nn.affine.where_positive(g.astype(dtype).T, y.astype(dtype).T)
        np.testing.assert_array_equal(found, np.where(y > 0, g, 0).astype(dtype).T)
    check_grads(lambda g: nn.affine.where_positive(g, y) ** 2, (g,), order=2)
