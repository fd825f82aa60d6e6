"""Layers that are tensor networks: the same as their dense twins, by to_dense and from_dense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import ShapeError, Tensor, nn
from tensornet.nn.networks.factors import checked_factors, factorise
from tensornet.nn.networks.mpo import tensor_train
from tensornet.ops.convolution import conv2d

rng = np.random.default_rng(8)

DENSE = [
    (lambda: nn.DenseMPO((4, 2, 3), 5, inputs=(2, 3, 4), seed=1, dtype="float64"), 24),
    (lambda: nn.DenseMPO(24, 3, num_nodes=3, seed=1, dtype="float64", activation="tanh"), 12),
    (lambda: nn.DenseMPO((7,), 3, seed=1, dtype="float64"), 5),
    (lambda: nn.DenseDecomp(6, 2, seed=1, dtype="float64"), 9),
    (lambda: nn.DenseCondenser(2, 3, seed=1, dtype="float64"), 24),
    (lambda: nn.DenseExpander(3, 2, seed=1, dtype="float64"), 4),
    (lambda: nn.DenseEntangler(16, 4, 2, seed=1, dtype="float64"), 81),
    (lambda: nn.DenseEntangler(8, 3, 1, seed=1, dtype="float64", use_bias=False), 8),
    (lambda: nn.DenseEntangler(9, 2, 3, seed=1, dtype="float64"), 4),
]
WINDOWED = [
    lambda: nn.Conv2DMPO((2, 4), 3, 3, channels=(2, 3), padding="same", seed=1, dtype="float64"),
    lambda: nn.Conv2DMPO(8, (2, 3), 2, num_nodes=3, strides=2, seed=1, dtype="float64"),
    lambda: nn.TuckerConv2D(7, 3, rank=(2, 4), padding="same", seed=1, dtype="float64"),
    lambda: nn.TuckerConv2D(7, (3, 2), rank=3, strides=2, dilation=2, seed=1, dtype="float64"),
    lambda: nn.CPConv2D(7, 3, rank=4, padding="same", seed=1, dtype="float64"),
    lambda: nn.CPConv2D(7, (3, 2), rank=4, strides=(2, 1), dilation=2, seed=1, dtype="float64"),
    lambda: nn.CPConv2D(7, 3, rank=4, padding=[(0, 2), 1], strides=2, seed=1, dtype="float64"),
]


def plain(x: Any) -> Any:
    return x.array if type(x) is Tensor else x


@pytest.mark.parametrize(("make", "inputs"), DENSE)
def test_a_dense_network_is_its_dense_twin(make: Any, inputs: int) -> None:
    layer = make()
    x = rng.normal(size=(5, 2, inputs))
    y = layer(x)
    layer.add_parameter("bias", y.shape[-1:], "uniform")
    kernel = plain(layer.to_dense())
    assert kernel.shape == (inputs, y.shape[-1])
    want = x @ kernel + layer.bias.array
    if layer.activation is not None:
        want = np.tanh(want)
    np.testing.assert_allclose(plain(layer(x)), want, rtol=1e-12, atol=1e-13)
    assert layer(x[:0]).shape == (0, 2, y.shape[-1])


@pytest.mark.parametrize(("make", "inputs"), DENSE)
def test_gradients_of_cores_agree_with_those_of_the_twin(make: Any, inputs: int) -> None:
    layer = make()
    x = rng.normal(size=(3, inputs))
    layer(x)
    layer.activation = None
    with tn.GradientTape() as tape:
        loss = tn.sum(layer(x) * layer(x))
    found = tape.gradient(loss, layer.cores)
    with tn.GradientTape() as tape:
        product = tn.Tensor(x) @ layer.to_dense()
        loss = tn.sum(product * product)
    for one, other in zip(found, tape.gradient(loss, layer.cores)):
        np.testing.assert_allclose(one.array, other.array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", WINDOWED)
def test_a_convolution_is_its_dense_twin(make: Any) -> None:
    layer = make()
    x = rng.normal(size=(2, 9, 8, 6))
    y = plain(layer(x))
    kernel = plain(layer.to_dense())
    assert kernel.shape == (*layer.window, 6, layer.filters)
    want = conv2d(x, kernel, layer.strides, layer.padding, layer.dilation)
    np.testing.assert_allclose(y, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("make", "inputs"), DENSE[:5])
def test_kernels_begin_with_the_variance_of_dense_ones(make: Any, inputs: int) -> None:
    kernels = []
    for seed in range(200):
        layer = make()
        layer._seed = seed
        layer.build((None, inputs))
        kernels.append(plain(layer.to_dense()))
    units = kernels[0].shape[1]
    assert np.var(kernels) == pytest.approx(2 / (inputs + units), rel=0.25)


def test_convolutions_begin_with_the_variance_of_dense_ones() -> None:
    for make in (WINDOWED[0], WINDOWED[2], WINDOWED[4]):
        kernels = []
        for seed in range(200):
            layer = make()
            layer._seed = seed
            layer.build((None, None, None, 6))
            kernels.append(plain(layer.to_dense()))
        want = 2 / (9 * (6 + layer.filters))
        assert np.var(kernels) == pytest.approx(want, rel=0.3)


def test_an_operator_from_a_dense_kernel() -> None:
    kernel = rng.normal(size=(24, 30))
    exact = nn.DenseMPO.from_dense(kernel, (2, 3, 4), (5, 3, 2), bias=np.arange(30.0))
    np.testing.assert_allclose(plain(exact.to_dense()), kernel, atol=1e-12)
    x = rng.normal(size=(4, 24))
    np.testing.assert_allclose(plain(exact(x)), x @ kernel + np.arange(30), atol=1e-12)
    close = nn.DenseMPO.from_dense(kernel, (2, 3, 4), (5, 3, 2), tolerance=0.3)
    error = np.linalg.norm(plain(close.to_dense()) - kernel) / np.linalg.norm(kernel)
    assert 0 < error <= 0.3
    assert close.count_parameters() < exact.count_parameters()
    small = nn.DenseMPO.from_dense(kernel, (2, 3, 4), (5, 3, 2), rank=2)
    assert [core.shape for core in small.cores] == [(2, 5, 2), (2, 3, 3, 2), (2, 4, 2)]
    assert [c.shape for c in tensor_train(np.zeros((4, 4)), (2, 2), (2, 2), tolerance=0.1)] == [
        (2, 2, 1),
        (1, 2, 2),
    ]


def test_other_layers_from_dense() -> None:
    kernel = rng.normal(size=(6, 3)) @ rng.normal(size=(3, 8))
    layer = nn.DenseDecomp.from_dense(Tensor(kernel), tolerance=1e-9, bias=np.ones(8))
    assert layer.decomp_size == 3
    np.testing.assert_allclose(plain(layer.to_dense()), kernel, atol=1e-12)
    table = rng.normal(size=(24, 6))
    embedding = nn.TTEmbedding.from_dense(table, (4, 6), (2, 3))
    np.testing.assert_allclose(plain(embedding.to_dense()), table, atol=1e-12)
    np.testing.assert_allclose(plain(embedding([[3, 23], [0, 7]])), table[[[3, 23], [0, 7]]])
    window = rng.normal(size=(3, 3, 5, 4))
    tucker = nn.TuckerConv2D.from_dense(window, tolerance=1e-9, bias=np.zeros(4))
    np.testing.assert_allclose(plain(tucker.to_dense()), window, atol=1e-12)
    assert nn.TuckerConv2D.from_dense(window, rank=(2, 3)).cores[1].shape == (3, 3, 2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_operator_from_the_kernel_of_a_convolution(dtype: str) -> None:
    kernel = rng.normal(size=(3, 2, 6, 8)).astype(dtype)
    layer = nn.Conv2DMPO.from_dense(kernel, (2, 3), (4, 2), bias=np.arange(8.0), padding="same")
    bound = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(plain(layer.to_dense()), kernel, atol=bound)
    x = rng.normal(size=(2, 5, 6, 6)).astype(dtype)
    wanted = conv2d(x, kernel, padding="SAME") + np.arange(8)
    np.testing.assert_allclose(plain(layer(x)), wanted, atol=20 * bound)
    close = nn.Conv2DMPO.from_dense(Tensor(kernel), (2, 3, 1), (2, 2, 2), tolerance=0.3)
    assert 0 < np.linalg.norm(plain(close.to_dense()) - kernel) <= 0.3 * np.linalg.norm(kernel)
    assert nn.Conv2DMPO.from_dense(kernel, (2, 3), (4, 2), rank=2).cores[0].shape == (3, 2, 4, 2)
    with pytest.raises(ShapeError, match="channels"):
        nn.Conv2DMPO.from_dense(kernel, (2, 2), (4, 2))
    with pytest.raises(ShapeError, match="filters"):
        nn.Conv2DMPO.from_dense(kernel, (2, 3), (4, 3))
    with pytest.raises(ShapeError, match="height, width"):
        nn.Conv2DMPO.from_dense(kernel[0], (2, 3), (4, 2))


def test_a_sum_of_products_from_the_kernel_of_a_convolution() -> None:
    vectors = [rng.normal(size=(n, 3)) for n in (3, 5, 6, 8)]
    kernel = np.einsum("hr,wr,ir,or->hwio", *vectors)
    layer = nn.CPConv2D.from_dense(kernel, tolerance=1e-5, bias=np.ones(8))
    assert layer.rank == 3
    np.testing.assert_allclose(plain(layer.to_dense()), kernel, atol=1e-3)
    x = rng.normal(size=(2, 6, 7, 6))
    np.testing.assert_allclose(plain(layer(x)), conv2d(x, kernel) + 1, atol=1e-2)
    noisy = kernel + 0.1 * rng.normal(size=kernel.shape)
    errors = [
        np.linalg.norm(plain(nn.CPConv2D.from_dense(noisy, rank).to_dense()) - noisy)
        for rank in (1, 3, 9)
    ]
    assert errors[0] > errors[1] > errors[2] > 0
    assert nn.CPConv2D.from_dense(noisy, 2, tolerance=1e-9).rank == 2
    nothing = nn.CPConv2D.from_dense(np.zeros((1, 3, 2, 2)), 2)
    assert not plain(nothing.to_dense()).any()
    with pytest.raises(ValueError, match="rank, or a tolerance"):
        nn.CPConv2D.from_dense(kernel)


def test_an_embedding_checks_its_numbers_and_learns() -> None:
    layer = nn.TTEmbedding((3, 4), (2, 2), bond_dim=3, seed=0, dtype="float64")
    assert layer(np.zeros((2, 0), int)).shape == (2, 0, 4)
    with pytest.raises(ValueError, match="from 0 to 11, not 12"):
        layer([12])
    with pytest.raises(TypeError, match="whole numbers"):
        layer([0.5])
    with tn.GradientTape() as tape:
        loss = tn.sum(layer([1, 1, 5]))
    with tn.GradientTape() as tape_of_table:
        table = layer.to_dense()
        twin = 2 * tn.sum(table[1]) + tn.sum(table[5])
    pairs = zip(tape.gradient(loss, layer.cores), tape_of_table.gradient(twin, layer.cores))
    for one, other in pairs:
        np.testing.assert_allclose(one.array, other.array, atol=1e-14)


@pytest.mark.parametrize("inputs", [2, 3, 5, 6])
def test_a_matrix_product_state_scores_every_choice_of_features(inputs: int) -> None:
    layer = nn.MPSClassifier(3, 4, deviation=0.5, seed=2, dtype="float64")
    x = rng.uniform(size=(7, inputs))
    scores = plain(layer(x))
    assert layer(x[:0]).shape == (0, 3)
    table = plain(layer.to_dense())
    assert table.shape == (2,) * inputs + (3,)
    for row, score in zip(x, scores):
        want = table
        for feature in row:
            want = np.tensordot([1 - feature, feature], want, 1)
        np.testing.assert_allclose(score, want, rtol=1e-10)


def test_a_classifier_learns() -> None:
    layer = nn.MPSClassifier(2, 4, seed=0)
    x = rng.uniform(size=(64, 6)).astype(np.float32)
    labels = (x[:, 0] + x[:, 3] > 1).astype(int)
    layer(x)
    optimiser = nn.Adam(0.01)
    for _ in range(60):
        optimiser.minimize(
            lambda: nn.losses.sparse_softmax_cross_entropy(layer(x), labels), layer.parameters()
        )
    assert (plain(layer(x)).argmax(1) == labels).mean() > 0.9


def test_mistakes_name_the_layer_and_what_it_expects() -> None:
    with pytest.raises(ShapeError, match=r"DenseMPO expects inputs of extent 6 = 2 \* 3, not 7"):
        nn.DenseMPO((2, 2), inputs=(2, 3))(np.ones((1, 7), np.float32))
    layer = nn.DenseMPO((2, 2), inputs=(2, 3), seed=0)
    layer(np.ones((1, 6), np.float32))
    with pytest.raises(ShapeError, match=r"expects inputs of shape \(\.\.\., 6\), not \(1, 7\)"):
        layer(np.ones((1, 7), np.float32))
    with pytest.raises(ShapeError, match="a multiple of 8 = 2"):
        nn.DenseCondenser(2, 3)(np.ones((1, 12), np.float32))
    with pytest.raises(ShapeError, match="a 3th power"):
        nn.DenseEntangler(8, 3)(np.ones((1, 9), np.float32))
    with pytest.raises(ShapeError, match="expects 4 = 2 "):
        nn.Conv2DMPO((2, 2), 3, channels=(2, 2))(np.ones((1, 5, 5, 5), np.float32))
    with pytest.raises(ShapeError, match="at least two inputs, not 1"):
        nn.MPSClassifier(2)(np.ones((1, 1), np.float32))
    with pytest.raises(ValueError, match="give the factors of 12"):
        nn.DenseMPO(12)
    with pytest.raises(ValueError, match="not 3 positive factors"):
        nn.DenseMPO((2, 2), inputs=(2, 3, 4))


def test_factors() -> None:
    assert factorise(1, 3) == (1, 1, 1)
    assert factorise(97, 2) == (97, 1)
    assert checked_factors([2, 3], None, "x") == (2, 3)
    with pytest.raises(ValueError, match="product of 0"):
        factorise(4, 0)
