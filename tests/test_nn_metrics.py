"""Metrics are those of their formulas over all samples, however these are cut into batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensornet import Tensor
from tensornet.errors import ShapeError
from tensornet.nn import metrics
from tensornet.nn.metrics import (
    Accuracy,
    ConfusionMatrix,
    Mean,
    MeanOf,
    Metric,
    Precision,
    Recall,
    TopK,
)

SAMPLES, CLASSES = 23, 4
RNG = np.random.default_rng(8)
SCORES = RNG.normal(size=(SAMPLES, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, SAMPLES)
WEIGHTS = RNG.random(SAMPLES)
ONE_HOT = np.eye(CLASSES)[LABELS]
GUESSES = SCORES.argmax(axis=1)


def of(metric: Metric, y_true: Any, y_pred: Any, weights: Any = None) -> Any:
    metric.update(y_true, y_pred, weights)
    return metric.result()


MAKERS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "top 2": lambda: TopK(2),
    "matrix": ConfusionMatrix,
    "precision": lambda: Precision("macro"),
    "recall": lambda: Recall(None),
    "mse": lambda: MeanOf(lambda y, p: metrics.squared_error(np.eye(CLASSES)[y], p)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("size", [1, 5, 23, 30])
def test_batches_of_any_size_give_the_result_of_all_at_once(
    make: Callable[[], Metric], weights: Any, size: int
) -> None:
    metric = make()
    expected = of(make(), LABELS, SCORES, weights)
    for _ in range(2):
        for begin in range(0, SAMPLES, size):
            part = slice(begin, begin + size)
            metric.update(LABELS[part], SCORES[part], None if weights is None else weights[part])
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
        metric.reset()


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_weight_of_0_leaves_a_sample_out_and_of_2_counts_it_twice(
    make: Callable[[], Metric],
) -> None:
    weights = np.ones(SAMPLES)
    weights[:3], weights[3] = 0, 2
    found = of(make(), LABELS, SCORES, weights)
    rows = [3, *range(3, SAMPLES)]
    np.testing.assert_allclose(found, of(make(), LABELS[rows], SCORES[rows]), rtol=1e-12)


def test_the_mean_of_losses_is_right_for_a_short_last_batch() -> None:
    losses = RNG.random(10)
    mean = Mean()
    for part in np.split(losses, [4, 8]):
        mean.update(part.mean(), sample_weight=len(part))
    assert mean.result() == pytest.approx(losses.mean())
    mean.reset()
    assert np.isnan(mean.result())
    mean.update([[1.0, 2.0], [3.0, 5.0]], [1.0, 3.0])  # weights of the first axis
    assert mean.result() == pytest.approx((3 + 3 * 8) / 8)


def test_accuracy_of_labels_one_hot_rows_and_probabilities() -> None:
    expected = (GUESSES == LABELS).mean()
    for labels in (LABELS, ONE_HOT, LABELS[:, None], LABELS.astype("u1"), LABELS.astype(float)):
        assert of(Accuracy(), labels, SCORES) == pytest.approx(expected)
    assert of(Accuracy(), Tensor(LABELS), Tensor(SCORES)) == pytest.approx(expected)
    sequences = SCORES[:20].reshape(5, 4, CLASSES)
    assert of(Accuracy(), LABELS[:20].reshape(5, 4), sequences) == pytest.approx(
        (GUESSES[:20] == LABELS[:20]).mean()
    )
    probabilities, truth = np.array([0.9, 0.5, 0.2, 0.7]), np.array([True, False, False, False])
    for shape in ((4,), (4, 1)):
        assert of(Accuracy(), truth, probabilities.reshape(shape)) == 0.75
        assert of(Accuracy(), truth.reshape(shape), probabilities) == 0.75
    assert of(Accuracy(threshold=0), truth, probabilities) == 0.25


def test_top_k_counts_the_scores_before() -> None:
    order = np.argsort(-SCORES, axis=1, kind="stable")
    for k in range(1, CLASSES + 2):
        expected = (order[:, :k] == LABELS[:, None]).any(axis=1).mean()
        for labels in (LABELS, ONE_HOT, LABELS[:, None]):
            assert of(TopK(k), labels, SCORES) == pytest.approx(expected)
    assert of(TopK(1), LABELS, SCORES) == of(Accuracy(), LABELS, SCORES)


def test_equal_scores_do_not_make_a_model_right() -> None:
    flat = np.zeros((SAMPLES, CLASSES))
    for k in (1, 2, 3):
        assert of(TopK(k), LABELS, flat) == pytest.approx(np.isin(LABELS, range(k)).mean())
    assert of(Accuracy(), LABELS, flat) == pytest.approx((LABELS == 0).mean())


def test_a_confusion_matrix_counts_pairs() -> None:
    expected = np.zeros((CLASSES, CLASSES), int)
    np.add.at(expected, (LABELS, GUESSES), 1)
    found = of(ConfusionMatrix(), LABELS, SCORES)
    assert found.dtype == np.int64
    for other in (found, of(ConfusionMatrix(CLASSES), LABELS, GUESSES)):
        np.testing.assert_array_equal(other, expected)
    weighted = np.zeros((CLASSES, CLASSES))
    np.add.at(weighted, (LABELS, GUESSES), WEIGHTS)
    np.testing.assert_allclose(of(ConfusionMatrix(), ONE_HOT, SCORES, WEIGHTS), weighted)
    assert of(ConfusionMatrix(), [1, 0, 1], [0.6, 0.7, 0.1]).tolist() == [[0, 1], [1, 1]]
    metric = ConfusionMatrix()
    of(metric, LABELS, SCORES)[:] = 0  # the result is the caller's
    assert metric.result().sum() == SAMPLES
    assert ConfusionMatrix(3).result().tolist() == [[0] * 3] * 3


def test_precision_and_recall() -> None:
    truth, said = np.array([1, 1, 1, 0, 0, 0, 0]), np.array([0.9, 0.6, 0.1, 0.8, 0.2, 0.3, 0.4])
    assert of(Precision(), truth, said) == pytest.approx(2 / 3)
    assert of(Recall(), truth, said) == pytest.approx(2 / 3)
    assert of(Recall(threshold=0.7), truth, said) == pytest.approx(1 / 3)
    for kind, given in ((Precision, GUESSES), (Recall, LABELS)):
        each = [np.mean((GUESSES == LABELS)[given == c]) for c in range(CLASSES)]
        np.testing.assert_allclose(of(kind(None), LABELS, SCORES), each)
        assert of(kind("macro"), LABELS, SCORES) == pytest.approx(np.mean(each))
        assert of(kind("micro"), LABELS, SCORES) == of(Accuracy(), LABELS, SCORES)
        with pytest.raises(ValueError, match="4 classes needs average='macro'"):
            of(kind(), LABELS, SCORES)
        with pytest.raises(ValueError, match="average='weighted'"):
            kind("weighted")
    assert of(Precision(), [1, 1], [0.1, 0.2]) == 0.0  # nothing was taken for class 1
    assert of(Recall(), [0, 0], [0.1, 0.2]) == 0.0


def test_errors_of_numbers() -> None:
    true, said = RNG.normal(size=(6, 3, 2)), RNG.normal(size=(6, 3, 2))
    assert of(metrics.get("mse"), true, said) == pytest.approx(((true - said) ** 2).mean())
    assert of(metrics.get("mae"), true, said) == pytest.approx(np.abs(true - said).mean())
    assert of(metrics.get("mse"), [1, 2], np.array([[1], [4]], "u1")) == 2.0
    assert of(metrics.get("mae"), np.array([0], "u1"), np.array([255], "u1")) == 255
    assert of(metrics.get("mse"), [1j], [0]) == 1.0
    for wrong in (([1, 2], [1, 2, 3]), ([1, 2], [[1, 2], [3, 4]]), (1, 2), ([[]], [[]])):
        with pytest.raises(ShapeError, match="y_true of shape"):
            of(metrics.get("mse"), *wrong)


def test_nothing_counted_is_said_to_be_nothing() -> None:
    for name in ("accuracy", "top_k", "mse", "mae"):
        metric = metrics.get(name)
        assert np.isnan(metric.result())
        metric.update(np.zeros((0, 3)), np.zeros((0, 3)))
        assert np.isnan(metric.result())
    for kind in (Precision, Recall):
        assert kind().result() == kind("macro").result() == 0.0
    assert of(ConfusionMatrix(), np.zeros(0, int), np.zeros((0, 3))).tolist() == [[0] * 3] * 3


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_refused_batch_counts_nothing(make: Callable[[], Metric]) -> None:
    metric = make()
    before = of(metric, LABELS, SCORES)
    for weights, error, message in [
        (np.ones(SAMPLES + 1), ShapeError, "sample_weight has shape"),
        (-WEIGHTS, ValueError, "negative"),
        (WEIGHTS * np.nan, ValueError, "NaN"),
    ]:
        with pytest.raises(error, match=message):
            metric.update(LABELS, SCORES, weights)
    np.testing.assert_array_equal(metric.result(), before)


@pytest.mark.parametrize(
    "make", [Accuracy, lambda: TopK(2), ConfusionMatrix, lambda: Recall("macro")]
)
def test_labels_and_predictions_that_cannot_be_are_refused(make: Callable[[], Metric]) -> None:
    for label in (4, -1, 1.5, np.nan):
        labels = LABELS.astype(float)
        labels[2] = label
        with pytest.raises(
            ValueError, match=rf"label {label}.* of sample 2 is none of the 4 classes"
        ):
            make().update(labels, SCORES)
    scores = SCORES.copy()
    scores[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN, first at \[5, 1\]"):
        make().update(LABELS, scores)
    for labels, predictions in [
        (LABELS[1:], SCORES),
        (ONE_HOT[:, 1:], SCORES),
        (LABELS, SCORES[None]),
        (LABELS, np.zeros((SAMPLES, 0))),
        (0, 0.5),
    ]:
        with pytest.raises(ShapeError, match="shape"):
            make().update(labels, predictions)


def test_other_numbers_of_classes_are_refused() -> None:
    metric = ConfusionMatrix()
    metric.update(LABELS, SCORES)
    with pytest.raises(ShapeError, match="counts 4 classes, and predictions are of 5"):
        metric.update([0], np.zeros((1, 5)))
    with pytest.raises(ShapeError, match="counts 3 classes"):
        ConfusionMatrix(3).update(LABELS, SCORES)
    with pytest.raises(ValueError, match=r"label 3 .* none of the 3 classes"):
        ConfusionMatrix(3).update([0], [3])
    for wrong in (lambda: ConfusionMatrix(0), lambda: TopK(0)):
        with pytest.raises(ValueError, match="below 1"):
            wrong()


def test_metrics_are_found_by_name() -> None:
    for name in metrics.NAMED:
        assert metrics.get(name).name == name
        assert metrics.get(name) is not metrics.get(name)
    assert of(metrics.get("top_1"), LABELS, SCORES) == of(Accuracy(), LABELS, SCORES)
    own = Accuracy()
    assert metrics.get(own) is own

    def bias(y_true: Any, y_pred: Any) -> Any:
        return y_pred - y_true

    assert metrics.get(bias).name == "bias"
    assert of(metrics.get(bias), np.array([1.0, 2.0]), np.array([2.0, 2.0])) == 0.5
    for unknown in ("acuracy", "top_0", ""):
        with pytest.raises(ValueError, match=r"there are accuracy, confusion_matrix, mae, mse"):
            metrics.get(unknown)


@pytest.mark.parametrize("name", ["accuracy", "top_2", "confusion_matrix", "macro"])
def test_a_metric_goes_on_from_its_state(name: str) -> None:
    def fresh() -> metrics.Metric:
        return metrics.Recall("macro") if name == "macro" else metrics.get(name)

    rng = np.random.default_rng(0)
    labels, scores = rng.integers(3, size=20), rng.random((20, 3))
    whole, first, second = fresh(), fresh(), fresh()
    whole.update(labels, scores)
    first.update(labels[:7], scores[:7])
    second.load_state_dict(first.state_dict())
    second.update(labels[7:], scores[7:])
    np.testing.assert_array_equal(second.result(), whole.result())
    second.load_state_dict(fresh().state_dict())
    np.testing.assert_array_equal(second.result(), fresh().result())
