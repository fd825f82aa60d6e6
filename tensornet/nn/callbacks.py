"""Callbacks: what is done between the epochs and batches of `fit`.

Methods have the names and arguments of Keras's. Epochs and batches are counted from 0. `logs` holds
the loss and the metrics, by name: at the end of a batch those of the epoch so far, at the end of an
epoch also those of the validation, and what a callback then puts into it goes into the history.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from inspect import signature
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from .module import Module

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
]

Logs: TypeAlias = "dict[str, Any]"


class Callback:
    """Does nothing at any time; subclasses override what they need.

    Attributes:
        model: what is trained; ``model.stop_training = True`` ends training after this epoch, and
            ``model.optimizer`` is there, too.
    """

    model: Module

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before an epoch; not again where a run continues in the middle of one."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:
        """Before a batch is trained on."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch."""

    def state_dict(self) -> dict[str, Any]:
        """Arrays that a checkpoint keeps of it."""
        return {}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Take over what `state_dict` has returned."""


class _Watching(Callback):
    """Remembers the best value of what it monitors, and for how many epochs it was not bettered."""

    def __init__(
        self, monitor: str, mode: str = "auto", min_delta: float = 0.0, best: float | None = None
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is 'auto', 'min' or 'max', not {mode!r}")
        rising = ("acc", "top_", "precision", "recall")
        self.monitor = monitor
        self.largest = mode == "max" or (mode == "auto" and any(w in monitor for w in rising))
        self.min_delta = abs(min_delta)
        self.start = (-inf if self.largest else inf) if best is None else float(best)
        self.best, self.wait = self.start, 0

    def on_train_begin(self, logs: Logs) -> None:
        self.best, self.wait = self.start, 0

    def improved(self, logs: Logs) -> bool:
        """Is this epoch the best so far? Counts it otherwise.

        Raises:
            ValueError: there is no such value, or it is no number.
        """
        value = logs.get(self.monitor)
        if value is None or np.ndim(value):
            known = ", ".join([name for name, each in logs.items() if not np.ndim(each)])
            raise ValueError(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not among {known}"
            )
        gain = value - self.best if self.largest else self.best - value
        if not gain > self.min_delta:  # nor NaN
            self.wait += 1
            return False
        self.best, self.wait = float(value), 0
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"best": np.array(self.best), "wait": np.array(self.wait)}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        self.best, self.wait = float(arrays["best"]), int(arrays["wait"])


class EarlyStopping(_Watching):
    """Stops when what it monitors has not become better for some epochs.

    Args:
        monitor: a name in the history.
        min_delta: what is better by no more than this is not.
        patience: epochs without a better value after which training stops.
        mode: "min", "max", or by the name: "max" for accuracy and the like.
        baseline: a value to be better than from the start.
        restore_best_weights: at the end of training go back to the weights of the best epoch,
            which are kept in memory; also when no early end came.
        start_from_epoch: earlier epochs are not looked at.

    Attributes:
        best: the best value so far.
        stopped_epoch: the epoch after which it stopped, or None.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, baseline)
        self.patience = patience
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.stopped_epoch: int | None = None
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: Logs) -> None:
        super().on_train_begin(logs)
        self.stopped_epoch = self._weights = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if epoch < self.start_from_epoch:
            return
        better = self.improved(logs)
        if self.restore_best_weights and (better or self._weights is None):
            self._weights = self.model.state_dict()
        if not better and self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        if self._weights is not None:
            self.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        weights = self._weights or {}
        return super().state_dict() | {f"weights/{name}": each for name, each in weights.items()}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        super().load_state_dict(arrays)
        weights = {
            name.removeprefix("weights/"): each
            for name, each in arrays.items()
            if name.startswith("weights/")
        }
        self._weights = weights or None


class ModelCheckpoint(_Watching):
    """Writes the model into a file, from which ``fit(resume=path)`` continues.

    It comes after all other callbacks of `fit`, whose state it writes, too.

    Args:
        path: ends in .npz, or in .safetensors (the extra `safetensors`). May have fields, such as
            ``"run-{epoch:02d}-{val_loss:.3f}.npz"``, with the epoch counted from 1.
        monitor, mode: what is better, for `save_best_only`.
        save_best_only: leave the last file as it is unless this epoch is the best so far.
        save_weights_only: only what `Module.load_weights` takes.
        save_freq: "epoch", or every so many batches.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        mode: str = "auto",
        save_best_only: bool = False,
        save_weights_only: bool = False,
        save_freq: str | int = "epoch",
    ) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (isinstance(save_freq, str) or save_freq < 1):
            raise ValueError(f"save_freq is 'epoch' or a number of batches, not {save_freq!r}")
        if save_best_only and save_freq != "epoch":
            raise ValueError("save_best_only looks at whole epochs: leave save_freq='epoch'")
        self.path = os.fspath(path)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if isinstance(self.save_freq, int):
            self._batches += 1
            if self._batches % self.save_freq == 0:
                self._save(self.model.epochs_done, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.save_freq == "epoch" and (not self.save_best_only or self.improved(logs)):
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Logs) -> None:
        path = self.path
        if "{" in path:
            path = path.format(epoch=epoch + 1, **logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save_checkpoint(path)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"batches": np.array(self._batches)}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        super().load_state_dict(arrays)
        self._batches = int(arrays["batches"])


class ReduceLROnPlateau(_Watching):
    """Makes the learning rate smaller when what it monitors does not become better.

    Args:
        monitor, mode: as of `EarlyStopping`.
        factor: what the learning rate is multiplied by, between 0 and 1.
        patience: epochs without a better value before that.
        min_delta: what is better by no more than this is not.
        cooldown: epochs after a change that do not count.
        min_lr: the learning rate does not go below.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"factor is between 0 and 1, not {factor}")
        self.factor, self.patience = factor, patience
        self.cooldown, self.min_lr = cooldown, min_lr
        self._cooling = 0

    def on_train_begin(self, logs: Logs) -> None:
        super().on_train_begin(logs)
        self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = rate = _rate_of(self)
        better = self.improved(logs)
        if self._cooling:
            self._cooling -= 1
            self.wait = 0
        elif not better and self.wait >= self.patience and rate > self.min_lr:
            self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
            self._cooling, self.wait = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"cooling": np.array(self._cooling)}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        super().load_state_dict(arrays)
        self._cooling = int(arrays["cooling"])


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch; for one that changes with every step give the optimiser
    one of `tensornet.nn.schedules` instead.

    Args:
        schedule: a function of the epoch, or of the epoch and the learning rate so far.
    """

    def __init__(self, schedule: Callable[..., float]) -> None:
        self.schedule = schedule
        self._takes_rate = len(signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        rate = _rate_of(self)
        rate = float(self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch))
        if not rate >= 0:
            raise ValueError(f"the learning rate of epoch {epoch} would be {rate}")
        self.model.optimizer.learning_rate = rate

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = _rate_of(self)


def _rate_of(callback: Callback) -> float:
    rate = callback.model.optimizer.learning_rate
    if callable(rate):
        raise TypeError(
            f"{type(callback).__name__} sets the learning rate, but the optimiser has a schedule "
            "of its own: give it a number"
        )
    return float(rate)


class CSVLogger(Callback):
    """Writes a line for each epoch into a file: the epoch, the loss and the metrics.

    Args:
        path: of the file.
        separator: between the entries.
        append: go on with a file that is there, instead of writing it anew.
    """

    def __init__(
        self, path: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.path = Path(path)
        self.separator = separator
        self.append = append

    def on_train_begin(self, logs: Logs) -> None:
        self._keys: list[str] = []
        if self.append and self.path.exists():
            with open(self.path, newline="") as file:
                self._keys = next(csv.reader(file, delimiter=self.separator), [])[1:]
        else:
            self.path.write_text("")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        with open(self.path, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if not self._keys:
                self._keys = [name for name, value in logs.items() if not np.ndim(value)]
                writer.writerow(["epoch", *self._keys])
            writer.writerow([epoch, *[logs.get(key, "") for key in self._keys]])


class LambdaCallback(Callback):
    """Functions as a callback.

    Args:
        functions: by the names of the methods of `Callback`, with their arguments.

    Raises:
        TypeError: a name that is none of a method.

    >>> shown = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> shown.on_epoch_end(0, {"loss": 0.5})
    0 {'loss': 0.5}
    """

    def __init__(self, **functions: Callable[..., object]) -> None:
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in functions.items():
            if name not in known:
                raise TypeError(f"a callback has no {name}; there are {', '.join(known)}")
            setattr(self, name, function)
