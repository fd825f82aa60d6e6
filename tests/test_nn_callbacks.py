"""Callbacks: what they watch, what they stop and change, and what they write."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensornet import nn
from tensornet.nn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)

X = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]


def model_of(rate: Any = 0.1) -> nn.Sequential:
    model = nn.Sequential([nn.Dense(1)], seed=0)
    model.compile(nn.SGD(rate), "mse")
    return model


def fit(model: nn.Module, *callbacks: Callback, **options: Any) -> nn.History:
    given = {"epochs": 6, "batch_size": 10, "verbose": 0, "seed": 0, **options}
    return model.fit(X, 3 * X, callbacks=callbacks, **given)


class Scripted(Callback):
    """Puts values of its own into the logs."""

    def __init__(self, name: str, values: list[float]) -> None:
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        logs[self.name] = self.values[epoch]


def test_callbacks_are_called_in_order() -> None:
    calls: list[Any] = []
    names = [name for name in vars(Callback) if name.startswith("on_")]

    def noting(name: str) -> Any:
        return lambda *args: calls.append((name, *args[:-1]))

    fit(model_of(), LambdaCallback(**{name: noting(name) for name in names}), epochs=1)
    batches = [(f"on_train_batch_{when}", k) for k in range(4) for when in ("begin", "end")]
    assert calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0),
        *batches,
        ("on_epoch_end", 0),
        ("on_train_end",),
    ]
    with pytest.raises(TypeError, match="a callback has no on_batch_end"):
        LambdaCallback(on_batch_end=print)


def test_logs_of_batches_are_those_of_the_epoch_so_far() -> None:
    seen: list[float] = []
    batches = LambdaCallback(on_train_batch_end=lambda _, logs: seen.append(logs["loss"]))
    history = fit(model_of(), batches, epochs=2)
    assert len(seen) == 8
    assert history.history["loss"] == [seen[3], seen[7]]


def test_what_callbacks_put_into_logs_is_in_the_history() -> None:
    history = fit(model_of(), Scripted("mine", [1, 2, 3]), epochs=3)
    assert history.history["mine"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 1, 0], 4),
        ({"patience": 2}, [3, 2, 2, 1, 1, 0], 6),
        ({"patience": 0}, [3, 2, 2, 1, 1, 1], 3),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.8, 1, 0, 0, 0], 2),
        ({"patience": 1, "mode": "max"}, [1, 2, 2, 3, 3, 3], 3),
        ({"patience": 1, "baseline": 1.0}, [3, 2, 0, 0, 0, 0], 1),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5, 6], 4),
        ({"patience": 1}, [float("nan"), 1, 1, 1, 1, 1], 1),
        ({"patience": 9}, [1, 2, 3, 4, 5, 6], 6),
    ],
)
def test_early_stopping_waits_for_patience(options: Any, values: list[float], epochs: int) -> None:
    stop = EarlyStopping("value", **options)
    history = fit(model_of(), Scripted("value", values), stop)
    assert len(history.epoch) == epochs
    assert stop.stopped_epoch == (epochs - 1 if epochs < 6 else None)


def test_the_direction_is_seen_from_the_name() -> None:
    stop = EarlyStopping("val_accuracy", patience=1)
    history = fit(model_of(), Scripted("val_accuracy", [1, 2, 3, 3, 3, 3]), stop)
    assert len(history.epoch) == 4


@pytest.mark.parametrize("patience", [1, 9])
def test_the_best_weights_are_restored(patience: int) -> None:
    states: list[Any] = []
    model = model_of()
    fit(
        model,
        Scripted("value", [3, 1, 2, 2, 2, 2]),
        LambdaCallback(on_epoch_end=lambda *_: states.append(model.state_dict())),
        EarlyStopping("value", patience=patience, restore_best_weights=True),
    )
    assert len(states) == (3 if patience == 1 else 6)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, states[1][name])


def test_a_callback_starts_anew_with_each_fit() -> None:
    stop = EarlyStopping("value", patience=1)
    model = model_of()
    assert len(fit(model, Scripted("value", [0, 1, 1]), stop, epochs=3).epoch) == 2
    assert len(fit(model, Scripted("value", [9, 8, 7]), stop, epochs=3).epoch) == 3


def test_what_is_not_there_cannot_be_monitored() -> None:
    with pytest.raises(ValueError, match=r"EarlyStopping monitors 'val_loss'.* not among loss"):
        fit(model_of(), EarlyStopping())
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping(mode="best")


def test_the_learning_rate_is_scheduled_by_epochs() -> None:
    history = fit(model_of(), LearningRateScheduler(lambda epoch: 1 / (epoch + 1)), epochs=3)
    assert history.history["learning_rate"] == [1.0, 0.5, 1 / 3]
    model = model_of(0.8)
    fit(model, LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=3)
    assert model.optimizer.learning_rate == 0.1
    with pytest.raises(ValueError, match="would be -1"):
        fit(model, LearningRateScheduler(lambda epoch: -1))
    with pytest.raises(TypeError, match="schedule of its own"):
        fit(model_of(lambda step: 0.1), LearningRateScheduler(lambda epoch: 0.1))


def test_the_learning_rate_falls_on_a_plateau() -> None:
    reduce = ReduceLROnPlateau("value", factor=0.5, patience=2, min_lr=0.2)
    values = Scripted("value", [3, 2, 2, 2, 2, 2, 2, 2])
    history = fit(model_of(0.8), values, reduce, epochs=8)
    assert history.history["learning_rate"] == [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    cool = ReduceLROnPlateau("value", factor=0.5, patience=1, cooldown=2)
    history = fit(model_of(0.8), Scripted("value", [1] * 6), cool)
    assert history.history["learning_rate"] == [0.8, 0.8, 0.4, 0.4, 0.4, 0.2]
    with pytest.raises(ValueError, match="factor"):
        ReduceLROnPlateau(factor=1.5)


def test_csv_has_a_line_per_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    model = model_of()
    history = fit(model, CSVLogger(path), epochs=2)
    more = fit(model, CSVLogger(path, append=True), epochs=3, initial_epoch=2)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    losses = [float(row["loss"]) for row in rows]
    assert losses == history.history["loss"] + more.history["loss"]
    fit(model, CSVLogger(path, separator=";"), epochs=1)
    assert path.read_text().splitlines()[0] == "epoch;loss"


def test_training_stops_when_the_model_is_told_to() -> None:
    def stop(batch: int, logs: Any) -> None:
        model.stop_training = True

    model = model_of()
    assert fit(model, LambdaCallback(on_train_batch_end=stop)).epoch == [0]
    assert len(fit(model).epoch) == 6


def test_checkpoints_are_written_each_epoch_or_for_the_best(tmp_path: Path) -> None:
    model = model_of()
    each = ModelCheckpoint(tmp_path / "in" / "{epoch:02d}-{value:.1f}.npz")
    best = ModelCheckpoint(tmp_path / "best.npz", "value", save_best_only=True)
    light = ModelCheckpoint(tmp_path / "light.npz", save_weights_only=True)
    states: list[Any] = []
    note = LambdaCallback(on_epoch_end=lambda *_: states.append(model.state_dict()))
    fit(model, each, best, light, note, Scripted("value", [3, 1, 2]), epochs=3)
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert names == ["01-3.0.npz", "02-1.0.npz", "03-2.0.npz"]
    for path, state in [("best.npz", states[1]), ("light.npz", states[2])]:
        model.load_weights(tmp_path / path)
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(array, state[name])


def test_checkpoints_are_written_every_so_many_batches(tmp_path: Path) -> None:
    model = model_of()
    steps: list[int] = []
    save = model.save_checkpoint
    model.save_checkpoint = lambda path: (steps.append(model.optimizer.step), save(path))  # type: ignore[method-assign]
    fit(model, ModelCheckpoint(tmp_path / "run.npz", save_freq=3), epochs=2)
    assert steps == [3, 6]
    for options in ({"save_freq": 0}, {"save_freq": 3, "save_best_only": True}):
        with pytest.raises(ValueError, match="save_"):
            ModelCheckpoint(tmp_path / "run.npz", **options)
