"""Losses: their values and gradients are PyTorch's; weights, reductions and bad labels."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet.autodiff import check_grads
from tensornet.errors import ShapeError
from tensornet.nn import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 2, 3, 0])
CHANCES = np.exp(RNG.normal(size=(6, 4)))
CHANCES /= CHANCES.sum(-1, keepdims=True)


def value_and_gradient(loss, predictions, *args, **options):
    return tn.value_and_grad(lambda p: loss(p, *args, **options))(predictions)


def of_torch(function, predictions):
    torch = pytest.importorskip("torch")
    given = torch.tensor(predictions, requires_grad=True)
    value = function(torch.nn.functional, torch, given)
    value.backward()
    return value.item(), given.grad.numpy()


CASES = {
    "sparse": (
        lambda p: losses.sparse_softmax_cross_entropy(p, LABELS),
        lambda f, t, p: f.cross_entropy(p, t.tensor(LABELS)),
    ),
    "sparse, sum, smoothed": (
        lambda p: losses.sparse_softmax_cross_entropy(
            p, LABELS, reduction="sum", label_smoothing=0.2
        ),
        lambda f, t, p: f.cross_entropy(p, t.tensor(LABELS), reduction="sum", label_smoothing=0.2),
    ),
    "dense": (
        lambda p: losses.softmax_cross_entropy(p, CHANCES),
        lambda f, t, p: f.cross_entropy(p, t.tensor(CHANCES)),
    ),
    "dense, smoothed": (
        lambda p: losses.softmax_cross_entropy(p, CHANCES, label_smoothing=0.1),
        lambda f, t, p: f.cross_entropy(p, t.tensor(CHANCES), label_smoothing=0.1),
    ),
    "binary": (
        lambda p: losses.binary_cross_entropy(p, CHANCES),
        lambda f, t, p: f.binary_cross_entropy_with_logits(p, t.tensor(CHANCES)),
    ),
    "squared": (
        lambda p: losses.mean_squared_error(p, CHANCES),
        lambda f, t, p: f.mse_loss(p, t.tensor(CHANCES)),
    ),
    "absolute": (
        lambda p: losses.mean_absolute_error(p, CHANCES),
        lambda f, t, p: f.l1_loss(p, t.tensor(CHANCES)),
    ),
    "huber": (
        lambda p: losses.huber(p, CHANCES, delta=0.7),
        lambda f, t, p: f.huber_loss(p, t.tensor(CHANCES), delta=0.7),
    ),
    "nll": (
        lambda p: losses.negative_log_likelihood(tn.log_softmax(p), LABELS),
        lambda f, t, p: f.nll_loss(f.log_softmax(p, -1), t.tensor(LABELS)),
    ),
    "kl": (
        lambda p: losses.kl_divergence(tn.log_softmax(p), CHANCES),
        lambda f, t, p: f.kl_div(f.log_softmax(p, -1), t.tensor(CHANCES), reduction="batchmean"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name):
    ours, theirs = CASES[name]
    value, gradient = value_and_gradient(ours, LOGITS)
    expected, slope = of_torch(theirs, LOGITS)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_have_gradients(name):
    check_grads(CASES[name][0], (LOGITS,), order=2)


def test_dense_targets_have_gradients():
    check_grads(
        lambda t: losses.softmax_cross_entropy(LOGITS, t, label_smoothing=0.1), (CHANCES,), order=2
    )
    check_grads(lambda t: losses.binary_cross_entropy(LOGITS, t), (CHANCES,), order=2)


def test_dense_and_sparse_agree_on_one_hot_targets():
    dense = losses.softmax_cross_entropy(LOGITS, np.eye(4)[LABELS], label_smoothing=0.3)
    sparse = losses.sparse_softmax_cross_entropy(LOGITS, LABELS, label_smoothing=0.3)
    np.testing.assert_allclose(dense, sparse, rtol=1e-14)


def test_rows_may_have_any_number_of_axes():
    rows = RNG.normal(size=(2, 3, 5))
    labels = RNG.integers(0, 5, (2, 3))
    values = losses.sparse_softmax_cross_entropy(rows, labels, reduction="none")
    flat = losses.sparse_softmax_cross_entropy(
        rows.reshape(6, 5), labels.reshape(6), reduction="none"
    )
    np.testing.assert_array_equal(values, flat.reshape(2, 3))


def test_huge_logits_do_not_overflow():
    huge = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    value, gradient = value_and_gradient(losses.sparse_softmax_cross_entropy, huge, [0, 0])
    assert value == 1e4
    np.testing.assert_array_equal(gradient, [[0, 0], [-0.5, 0.5]])
    binary = losses.binary_cross_entropy(huge, np.zeros((2, 2), np.float32), reduction="none")
    np.testing.assert_array_equal(binary, [[1e4, 0], [0, 1e4]])


def test_weights_of_zero_are_as_if_the_rows_were_not_there():
    weights = [1, 2, 0.5, 1, 0, 0]
    value, gradient = value_and_gradient(
        losses.sparse_softmax_cross_entropy, LOGITS, LABELS, weights
    )
    short, slope = value_and_gradient(
        losses.sparse_softmax_cross_entropy, LOGITS[:4], LABELS[:4], weights[:4]
    )
    np.testing.assert_allclose(value, short, rtol=1e-14)
    np.testing.assert_allclose(gradient[:4], slope, rtol=1e-14)
    assert not gradient[4:].any()


def test_the_mean_is_weighted_for_losses_by_entry_too():
    values = losses.mean_squared_error(LOGITS, CHANCES, reduction="none")
    weights = np.array([1.0, 0, 0, 3, 0, 0])
    expected = (values[0].sum() + 3 * values[3].sum()) / 16
    mean = losses.mean_squared_error(LOGITS, CHANCES, weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-14)


def test_weights_that_are_all_zero_make_a_loss_of_zero():
    value, gradient = value_and_gradient(
        losses.sparse_softmax_cross_entropy, LOGITS, LABELS, np.zeros(6)
    )
    assert value == 0
    assert not gradient.any()


def test_losses_keep_the_dtype_of_predictions():
    value = losses.mean_squared_error(LOGITS.astype(np.float32), CHANCES)
    assert value.dtype == np.float32
    assert (
        losses.sparse_softmax_cross_entropy(LOGITS.astype(np.float32), LABELS, np.ones(6)).dtype
        == np.float32
    )


@pytest.mark.parametrize("loss", ["sparse_softmax_cross_entropy", "negative_log_likelihood"])
def test_a_label_out_of_range_is_named(loss):
    for label in (4, -1):
        with pytest.raises(ValueError, match=rf"label {label}, of row 2, is not one of 4 classes"):
            losses.loss_of(loss)(LOGITS, np.array([0, 1, label, 0, 0, 9]))


def test_wrong_labels_and_targets_are_refused():
    with pytest.raises(TypeError, match="whole numbers, not float64"):
        losses.sparse_softmax_cross_entropy(LOGITS, LABELS.astype(float))
    with pytest.raises(ShapeError, match=r"labels of shape \(6,\)"):
        losses.sparse_softmax_cross_entropy(LOGITS, LABELS[:5])
    with pytest.raises(ShapeError, match=r"\(6, 4\), not \(6, 3\)"):
        losses.softmax_cross_entropy(LOGITS, CHANCES[:, :3])
    with pytest.raises(ShapeError, match="weights of shape"):
        losses.mean_squared_error(LOGITS, CHANCES, np.ones(5))
    with pytest.raises(ValueError, match="there are none"):
        losses.mean_squared_error(LOGITS[:0], CHANCES[:0])
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.sparse_softmax_cross_entropy(LOGITS, LABELS, label_smoothing=1.5)
    with pytest.raises(ValueError, match="reduction is"):
        losses.huber(LOGITS, CHANCES, reduction="average")
    with pytest.raises(ValueError, match="positive delta"):
        losses.huber(LOGITS, CHANCES, delta=0)


def test_losses_have_names():
    assert losses.loss_of("mse") is losses.mean_squared_error
    assert losses.loss_of(losses.huber) is losses.huber
    with pytest.raises(ValueError, match="no loss is called 'hinge'"):
        losses.loss_of("hinge")
