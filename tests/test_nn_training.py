"""Training: what `fit`, `evaluate` and `predict` promise, on problems of a few rows."""

from __future__ import annotations

import pickle
import threading
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from tensornet import GradientTape, nn
from tensornet.errors import ShapeError, TensorNetError
from tensornet.nn import losses, metrics
from tensornet.nn.data import Dataset


def model_of(units: int = 3, hidden: int = 8, **options: Any) -> nn.Sequential:
    return nn.Sequential(
        [nn.Dense(hidden, activation="relu"), nn.Dense(units)], **{"seed": 0, **options}
    )


def blobs(count: int = 90, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Points around the corners of a polygon, which any classifier tells apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    angles = 2 * np.pi * labels / classes
    points = np.stack([np.cos(angles), np.sin(angles)], 1) + 0.1 * rng.standard_normal((count, 2))
    return points.astype(np.float32), labels


def trained(**options: Any) -> tuple[nn.Sequential, nn.History]:
    x, y = blobs()
    model = model_of()
    model.compile(nn.Adam(0.05), metrics=["accuracy"])
    return model, model.fit(x, y, **{"epochs": 5, "verbose": 0, "seed": 1, **options})


def assert_same_state(one: nn.Module, other: nn.Module) -> None:
    state = other.state_dict()
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)


def test_fit_learns_what_can_be_learned() -> None:
    model, history = trained(epochs=10)
    assert history.history["accuracy"][-1] > 0.98
    assert history.epoch == list(range(10))
    x, y = blobs(seed=1)
    loss, accuracy = model.evaluate(x, y)
    assert accuracy > 0.98
    assert loss < 0.2
    assert (model.predict(x).argmax(axis=1) == y).mean() == accuracy


def test_the_same_seeds_give_the_same_bits() -> None:
    one, two = trained(), trained()
    assert_same_state(one[0], two[0])
    assert one[1].history == two[1].history
    assert trained(seed=2)[1].history != one[1].history


def test_fit_is_the_loop_that_one_would_write() -> None:
    x, y = blobs()
    by_fit, by_hand = model_of(), model_of()
    by_fit.compile(nn.SGD(0.1, momentum=0.9))
    by_fit.fit(x, y, batch_size=16, epochs=3, verbose=0, seed=4)
    optimizer = nn.SGD(0.1, momentum=0.9)
    data = Dataset.from_arrays(x, y).shuffle(None, seed=4).batch(16)
    for _ in range(3):
        for rows, labels in data:
            with GradientTape() as tape:
                loss = losses.sparse_softmax_cross_entropy(by_hand(rows), labels)
            weights = by_hand.trainable_parameters()
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
    assert_same_state(by_fit, by_hand)


def test_a_dataset_is_trained_on_as_its_arrays_are() -> None:
    x, y = blobs()
    by_arrays, history = trained(batch_size=16)
    by_data, same = model_of(), None
    by_data.compile(nn.Adam(0.05), metrics=["accuracy"])
    data = Dataset.from_arrays(x, y).shuffle(None, seed=1).batch(16).prefetch()
    same = by_data.fit(data, epochs=5, verbose=0)
    assert_same_state(by_arrays, by_data)
    assert same.history == history.history


@pytest.mark.parametrize("batch_size", [1, 7, 32, 90, 200])
def test_means_do_not_depend_on_the_batches(batch_size: int) -> None:
    x, y = blobs()
    weights = np.random.default_rng(3).random(90)
    model = model_of()
    model.compile("sgd", metrics=["accuracy"])
    values = np.asarray(losses.sparse_softmax_cross_entropy(model(x), y, reduction="none"))
    right = np.asarray(model(x)).argmax(axis=1) == y
    found = model.evaluate(x, y, batch_size, sample_weight=weights)
    np.testing.assert_allclose(found[0], np.average(values, weights=weights), rtol=1e-5)
    np.testing.assert_allclose(found[1], np.average(right, weights=weights), rtol=1e-12)


def test_the_loss_of_an_epoch_is_the_mean_over_samples() -> None:
    x, y = blobs(10)
    model = model_of()
    model.compile(nn.SGD(0.0))
    history = model.fit(x, y, batch_size=4, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [model.evaluate(x, y)], rtol=1e-6)


def test_class_weights_are_sample_weights() -> None:
    x, y = blobs()
    by_class, by_sample, by_rows = model_of(), model_of(), model_of()
    for model in (by_class, by_sample, by_rows):
        model.compile("adam")
    options: Any = {"verbose": 0, "seed": 0, "epochs": 2}
    one = by_class.fit(x, y, class_weight={1: 3.0}, **options)
    two = by_sample.fit(x, y, sample_weight=np.where(y == 1, 3.0, 1.0), **options)
    by_rows.fit(x, y[:, None], class_weight=[1.0, 3.0, 1.0], **options)
    assert_same_state(by_class, by_sample)
    assert_same_state(by_class, by_rows)
    assert one.history == two.history


def test_samples_of_weight_zero_might_as_well_not_be_there() -> None:
    x, y = blobs()
    weights = np.r_[np.ones(60), np.zeros(30)]
    model = model_of()
    model.compile("adam", metrics=["accuracy"])
    np.testing.assert_allclose(
        model.evaluate(x, y, sample_weight=weights), model.evaluate(x[:60], y[:60]), rtol=1e-6
    )
    y[60:] = 0
    history = model.fit(x[60:], y[60:], sample_weight=weights[60:], verbose=0)
    assert history.history["loss"] == [0.0] or np.isnan(history.history["loss"][0])


def test_the_validation_split_is_the_last_samples() -> None:
    x, y = blobs()
    one, history = trained(validation_split=0.2)
    two = model_of()
    two.compile(nn.Adam(0.05), metrics=["accuracy"])
    same = two.fit(x[:72], y[:72], 32, 5, 0, validation_data=(x[72:], y[72:]), seed=1)
    assert history.history == same.history
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    np.testing.assert_allclose(history.history["val_loss"][-1], one.evaluate(x[72:], y[72:])[0])


def test_validation_changes_nothing() -> None:
    noisy = [nn.Dense(8, activation="relu"), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(3)]
    x, y = blobs()
    states = []
    for data in (None, (x, y)):
        model = nn.Sequential([type(each)(*_again(each)) for each in noisy], seed=0)
        model.compile("adam")
        model.fit(x, y, verbose=0, epochs=3, seed=0, validation_data=data)
        states.append(model)
    assert_same_state(*states)


def _again(layer: Any) -> tuple[Any, ...]:
    if isinstance(layer, nn.Dense):
        return (layer.units,)
    return (layer.rate,) if isinstance(layer, nn.Dropout) else ()


def test_modes_are_as_they_were() -> None:
    x, y = blobs()
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5)], seed=0)
    model.compile("adam")
    model.eval()
    model.fit(x, y, verbose=0)
    assert not model.training
    model.train()
    model.layers[1].eval()  # a part that its user keeps so
    model.fit(x, y, verbose=0)
    model.evaluate(x, y)
    model.predict(x)
    assert model.training
    assert not model.layers[1].training


def test_predictions_come_in_evaluation_mode() -> None:
    model = nn.Sequential([nn.Dropout(0.9, seed=0)])
    x = np.ones((5, 4), np.float32)
    np.testing.assert_array_equal(model.predict(x), x)


def test_frozen_parameters_stay() -> None:
    x, y = blobs()
    model = model_of()
    model.build((None, 2))
    model.layers[0].trainable = False
    before = model.state_dict()
    model.compile(nn.AdamW(0.1))
    model.fit(x, y, verbose=0)
    after = model.state_dict()
    np.testing.assert_array_equal(before["layers.0.kernel"], after["layers.0.kernel"])
    assert (before["layers.1.kernel"] != after["layers.1.kernel"]).any()


def test_a_nan_stops_training_and_says_where() -> None:
    x, y = blobs()
    x[40] = np.nan
    model = model_of()
    model.compile("adam")
    data = Dataset.from_arrays(x, y).batch(16)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3 \(batch 3 of epoch 1\)"):
        model.fit(data, epochs=2, verbose=0)
    assert all(np.isfinite(array).all() for array in model.state_dict().values())
    assert model.optimizer.step == 2


def test_labels_out_of_range_are_named_and_change_nothing() -> None:
    x, y = blobs()
    y[5] = 7
    model = model_of()
    model.build((None, 2))
    model.compile("adam")
    before = model.state_dict()
    with pytest.raises(ValueError, match="label 7"):
        model.fit(x, y, shuffle=False, verbose=0)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_float64_arrays_are_converted_and_whole_numbers_are_not() -> None:
    x, y = blobs()
    model = model_of()
    model.compile("adam")
    assert model.predict(x.astype(np.float64)).dtype == np.float32
    model.fit(x.astype(np.float64), y, verbose=0)
    with pytest.raises(TypeError, match=r"Dense .*expects inputs of dtype float32, not uint8"):
        model.fit(np.zeros((4, 2), np.uint8), y[:4], verbose=0)


def test_targets_and_predictions_differ_by_an_axis_of_one() -> None:
    x, _ = blobs(20)
    y = x.sum(axis=1)
    model = nn.Sequential([nn.Dense(1)], seed=0)
    model.compile("adam", "mse", ["mae"])
    one = model.evaluate(x, y)
    assert one == model.evaluate(x, y[:, None])
    model.compile("adam", "mse", ["mae"])
    assert model.fit(x, y, verbose=0).history["loss"][0] > 0


def test_binary_metrics_by_name_count_logits() -> None:
    x, y = blobs(classes=2)
    model = nn.Sequential([nn.Dense(1)], seed=0)
    model.compile(nn.Adam(0.1), "binary_cross_entropy", ["accuracy", "precision", "recall"])
    model.fit(x, y, epochs=10, verbose=0, seed=0)
    logits = model.predict(x)[:, 0]
    found = model.evaluate(x, y, return_dict=True)
    assert found["accuracy"] == ((logits > 0) == y).mean()
    assert found["recall"] == (logits > 0)[y == 1].mean()


def test_metrics_may_be_objects_or_functions() -> None:
    x, y = blobs()
    model = model_of()
    matrix = metrics.ConfusionMatrix()
    model.compile("adam", metrics=["top_2", matrix])
    history = model.fit(x, y, verbose=0)
    assert history.history["confusion_matrix"][0].sum() == 90
    assert matrix.result().size == 0  # fit counts with copies
    with pytest.raises(ValueError, match="not unlike: loss, accuracy, accuracy"):
        model.compile("adam", metrics=["accuracy", "accuracy"])


def test_a_loss_of_one_own() -> None:
    x, _ = blobs(20)
    model = nn.Sequential([nn.Dense(2)], seed=0)
    model.compile("sgd", lambda predictions, targets: (predictions - targets) ** 2)
    mine = model.evaluate(x, x)
    model.compile("sgd", "mse")
    assert mine == pytest.approx(model.evaluate(x, x))


def test_models_of_several_inputs_and_results() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__(seed=0)
            self.dense = nn.Dense(3)

        def forward(self, a: Any, b: Any) -> Any:
            return self.dense(a) + self.dense(b), a

    x, y = blobs(20)
    model = Two()
    both = model.predict((x, x), batch_size=8)
    assert [each.shape for each in both] == [(20, 3), (20, 2)]
    model.compile("adam", lambda p, t: losses.sparse_softmax_cross_entropy(p[0], t))
    assert model.fit((x, x), y, verbose=0).history["loss"][0] > 0


def test_parts_that_are_called_late_are_trained() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__(seed=0)
            self.first, self.late = nn.Dense(3), nn.Dense(3)
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return self.late(x) if self.calls > 2 else self.first(x)

    x, y = blobs()
    model = Late()
    model.compile(nn.SGD(0.1))
    seen: list[Any] = []
    note = nn.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_: seen.append(model.state_dict().get("late.kernel"))
    )
    model.fit(x, y, batch_size=10, verbose=0, callbacks=[note])
    assert seen[1] is None
    assert (seen[2] != seen[3]).any()


def test_embeddings_take_whole_numbers() -> None:
    model = nn.Sequential([nn.Embedding(10, 4), nn.Flatten(), nn.Dense(2)], seed=0)
    model.compile("adam")
    x = np.arange(20).reshape(10, 2) % 10
    assert model.fit(x, x[:, 0] % 2, verbose=0).history["loss"][0] > 0


def test_initial_epoch_counts_and_orders_as_one_long_run() -> None:
    x, y = blobs()
    whole, _ = trained(epochs=4)
    parts = model_of()
    parts.compile(nn.Adam(0.05), metrics=["accuracy"])
    parts.fit(x, y, epochs=2, verbose=0, seed=1)
    history = parts.fit(x, y, epochs=4, initial_epoch=2, verbose=0, seed=1)
    assert history.epoch == [2, 3]
    assert_same_state(whole, parts)


def test_copies_are_models_to_be_compiled() -> None:
    model, _ = trained(callbacks=[nn.callbacks.LambdaCallback(on_train_end=lambda logs: None)])
    x, y = blobs()
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_state(copy, model)
        with pytest.raises(TensorNetError, match="compile"):
            copy.fit(x, y)
        copy.compile()
        copy.fit(x, y, verbose=0)


def test_verbose_0_is_silent_and_2_is_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    trained(verbose=0)
    assert capsys.readouterr() == ("", "")
    trained(verbose=2, epochs=2, validation_split=0.1)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2 of 2: ")
    assert all(word in lines[1] for word in ("samples/s", "loss ", "accuracy ", "val_loss "))


def test_the_bar_shows_batches_speed_and_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tensornet.nn.reporting.Report.PAUSE", 0.0)
    trained(verbose=1, epochs=1)
    drawn = capsys.readouterr().err.split("\r")
    assert "[==========>                   ]  33%  1 of 3 batches" in drawn[1]
    assert "samples/s, loss " in drawn[1]
    assert "[==============================] 100%  3 of 3 batches" in drawn[3]
    assert drawn[-1].startswith("epoch 1 of 1")


def test_the_history_knows_the_speed_and_plots(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    _, history = trained(validation_split=0.1)
    assert history.samples == 5 * 81
    assert history.samples_per_second == history.samples / history.seconds
    history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_trained_is_said() -> None:
    x, y = blobs()
    model = model_of()
    with pytest.raises(TensorNetError, match="compile"):
        model.fit(x, y)
    with pytest.raises(ValueError, match="no optimiser is called 'adams'"):
        model.compile("adams")
    with pytest.raises(ValueError, match="no loss is called"):
        model.compile("adam", "crossentropy")
    model.compile()
    data = Dataset.from_arrays(x, y).batch(10)
    for arguments, words in [
        ((x[:0], y[:0]), "no samples"),
        ((x,), r"\(x, y\) or \(x, y, sample_weight\), not 1 parts"),
        ((data, y), "a Dataset has y in its elements"),
        ((data.take(0),), "no batches"),
        ((data.repeat(),), "endless"),
        ((Dataset.from_arrays(x).batch(5),), "not ndarray"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.fit(*arguments, verbose=0)
    with pytest.raises(ShapeError, match="first axes of the arrays"):
        model.fit(x, y[:50], verbose=0)
    for options, words in [
        ({"validation_split": 1.0}, "leaves none"),
        ({"validation_split": 0.5, "validation_data": (x, y)}, "both"),
        ({"validation_data": x}, "validation_data is"),
        ({"sample_weight": -np.ones(90)}, "negative"),
        ({"class_weight": [1.0, 2.0]}, "2 weights, but a label is 2"),
        ({"epochs": -1}, "epochs=-1"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.fit(x, y, verbose=0, **options)
    with pytest.raises(ValueError, match="take"):
        model.fit(data, verbose=0, validation_split=0.5)


def test_no_thread_is_left_where_training_fails() -> None:
    x, _ = blobs()
    before = threading.active_count()
    model = model_of()
    model.compile()
    data = Dataset.from_arrays(x, np.full(90, 9)).batch(4).prefetch(3)
    with pytest.raises(ValueError, match="label 9"):
        model.fit(data, verbose=0)
    assert threading.active_count() == before
