"""Training: epochs of steps down the gradient, validation between them, and what is counted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import no_grad
from ..errors import CheckpointError
from ..tape import Tensor
from . import metrics as metric
from .batches import Batch, as_batch, inputs_of
from .callbacks import Callback, ModelCheckpoint
from .checkpoints import part_of, prefixed
from .data import Dataset, Iteration
from .data.structure import leaves, map_leaves
from .history import History
from .losses import LossLike, binary_cross_entropy, loss_of, reduced
from .members import modules_of
from .optimiser import Optimiser
from .optimisers import optimiser_of
from .reporting import Report

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Compiled", "Run", "evaluate", "predict"]


class Compiled:
    """How a model is trained: by which optimiser, with which loss, counting what."""

    def __init__(
        self, optimizer: str | Optimiser, loss: LossLike, metrics: Iterable[Any] = ()
    ) -> None:
        self.optimizer = optimiser_of(optimizer)
        self.loss = loss_of(loss)
        binary = self.loss is binary_cross_entropy  # whose predictions are logits
        self.metrics = [_of_logits(each) if binary else metric.get(each) for each in metrics]
        names = ["loss", *[each.name for each in self.metrics]]
        if len({*names}) < len(names):
            raise ValueError(f"the names of metrics are not unlike: {', '.join(names)}")

    def meters(self) -> Meters:
        """Meters that start from nothing."""
        fresh = Meters(deepcopy(self.metrics))
        fresh.reset()
        return fresh

    def loss_of(self, predictions: Any, batch: Batch) -> Any:
        """The loss of a batch, one number."""
        targets = map_leaves(partial(_fitted, predictions), batch.targets)
        if batch.weights is None:
            value = self.loss(predictions, targets)
        else:
            value = self.loss(predictions, targets, batch.weights)
        return value if not np.shape(value) else reduced(value)


def _of_logits(given: Any) -> metric.Metric:
    """A metric, which if it is given by a name takes 0, not one half, for the threshold."""
    kinds = {"accuracy": metric.Accuracy, "precision": metric.Precision, "recall": metric.Recall}
    return kinds[given](threshold=0.0) if given in kinds else metric.get(given)


def _fitted(predictions: Any, targets: Any) -> Any:
    """Targets without a last axis of extent 1 too much or too little for the predictions."""
    shape, given = getattr(predictions, "shape", ()), np.shape(targets)
    if (*given, 1) == shape:
        return np.asarray(targets)[..., None]
    labels = len(given) > 1 and given == (*shape[:-1], 1) != shape
    if given == (*shape, 1) or (labels and np.asarray(targets).dtype.kind in "iu"):
        return np.asarray(targets)[..., 0]
    return targets


class Meters:
    """The loss and the metrics of all samples since the last reset, each as it is weighted."""

    def __init__(self, metrics: Sequence[metric.Metric]) -> None:
        self.loss = metric.Mean("loss")
        self.metrics = metrics
        self._all: list[metric.Mean | metric.Metric] = [self.loss, *metrics]

    def reset(self) -> None:
        """Forget all samples."""
        for each in self._all:
            each.reset()

    def update(self, loss: float, predictions: Any, batch: Batch) -> None:
        """Count a batch."""
        weights = batch.weights
        total = batch.size if weights is None else float(np.sum(weights))
        self.loss.update(loss, total)
        for each in self.metrics:
            each.update(batch.targets, predictions, weights)

    def results(self) -> dict[str, Any]:
        """What they say, by name."""
        return {each.name: each.result() for each in self._all}

    def state_dict(self) -> dict[str, Any]:
        """Arrays, by name."""
        found: dict[str, Any] = {}
        for each in self._all:
            found |= prefixed(each.name, each.state_dict())
        return found

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Take over what `state_dict` has returned."""
        for each in self._all:
            each.load_state_dict(part_of(arrays, each.name))


class Run:
    """One call of `fit`: what it trains with, and where it stands.

    Args:
        seed: of the order of samples, to be kept with the rest; None for none.

    Attributes:
        epoch: which is under way, or how many are done.
    """

    def __init__(
        self,
        model: Module,
        compiled: Compiled,
        callbacks: Iterable[Callback] = (),
        seed: int | None = None,
    ) -> None:
        self.model, self.compiled, self.seed = model, compiled, seed
        self.epoch = 0
        self.history = History()
        self.meters = compiled.meters()
        given = list(callbacks)
        # the history takes what callbacks put into the logs, and checkpoints take all of it
        self.callbacks: list[Callback] = [
            *[each for each in given if not isinstance(each, ModelCheckpoint)],
            self.history,
            *[each for each in given if isinstance(each, ModelCheckpoint)],
        ]
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        self._watches = [
            [getattr(c, hook) for c in self.callbacks if _overrides(c, hook)] for hook in hooks
        ]
        # found once an epoch: to look through a model takes as long as a small layer
        self._variables: list[Tensor] | None = None
        self._iteration: Iteration | None = None  # that is under way, perhaps of an earlier run
        self._done = 0  # batches of it

    # What a checkpoint keeps

    def notes(self) -> dict[str, Any]:
        """Where it stands, in plain values."""
        state = self._iteration and {**self._iteration.state(), "position": self._done}
        return {"epoch": self.epoch, "seed": self.seed, "iteration": state}

    def arrays(self) -> dict[str, Any]:
        """What has been counted, and what callbacks remember."""
        found = prefixed("metrics", self.meters.state_dict())
        for name, callback in self._named():
            found |= prefixed(f"callbacks/{name}", callback.state_dict())
        return found

    def _named(self) -> list[tuple[str, Callback]]:
        """Callbacks by their classes, numbered, so that others may come and go."""
        names: list[tuple[str, Callback]] = []
        for callback in self.callbacks:
            kind = type(callback).__name__
            number = len([name for name, _ in names if name.split(".")[0] == kind])
            names.append((f"{kind}.{number}", callback))
        return names

    def place(self, notes: Mapping[str, Any], data: Dataset) -> None:
        """Go to where `notes` were taken, and have the parameters that were there.

        Raises:
            CheckpointError: there are no such notes.
            ValueError: of another dataset; nothing has changed.
        """
        if "iteration" not in notes:
            raise CheckpointError("the file holds weights, but not where a call of fit stands")
        if notes["iteration"] is not None:
            self._iteration = data.iterate(notes["iteration"])
        self.epoch = notes["epoch"]
        if not self.model._ready:
            with (
                closing(data.iterate(epoch=0)) as batches,
                no_grad(),
                self.model._evaluating(),
            ):
                self.model(*as_batch(next(batches), self.model.input_dtype).inputs)

    def begin(self, arrays: dict[str, Any]) -> None:
        """Tell the callbacks, and give them what `arrays` has of them."""
        self.model.stop_training = False
        for name, callback in self._named():
            callback.model = self.model
            callback.on_train_begin({})
            if state := part_of(arrays, f"callbacks/{name}"):
                callback.load_state_dict(state)
        if self._iteration is not None:
            self.meters.load_state_dict(part_of(arrays, "metrics"))

    # Training

    def fit(
        self, data: Dataset, epochs: int, validation: Dataset | None, classes: Any, verbose: int
    ) -> History:
        """Train up to an epoch, after `begin`."""
        started_in = self.model.training
        if not started_in:
            self.model.train()
        try:
            while self.epoch < epochs and not self.model.stop_training:
                self._run_epoch(data, epochs, validation, classes, verbose)
        finally:
            if self._iteration is not None:
                self._iteration.close()
            if not started_in:
                self.model.eval()
        for callback in self.callbacks:
            callback.on_train_end({})
        return self.history

    def _run_epoch(
        self, data: Dataset, epochs: int, validation: Dataset | None, classes: Any, verbose: int
    ) -> None:
        epoch = self.epoch
        if self._iteration is None:
            self.meters.reset()
            for callback in self.callbacks:
                callback.on_epoch_begin(epoch, {})
            self._iteration = data.iterate(epoch=epoch)
        report = Report(verbose, data.cardinality())
        seconds, samples, batches = self._train(report, classes)
        if not batches:
            raise ValueError(f"there are no batches in {data!r}")
        logs = self.meters.results()
        if validation is not None:
            found = evaluate(self.model, self.compiled, validation)
            logs |= {f"val_{name}": value for name, value in found.items()}
        self.history.seconds += seconds
        self.history.samples += samples
        self.epoch, self._iteration = epoch + 1, None
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        report.say(f"epoch {epoch + 1} of {epochs}", seconds, samples, logs)

    def _train(self, report: Report, classes: Any) -> tuple[float, int, int]:
        """Train on what is left of an epoch: seconds, samples, and batches of the whole."""
        assert self._iteration is not None
        position, samples = self._iteration.state()["position"], 0
        dtype = self.model.input_dtype
        begins, ends = self._watches
        self._variables, self._done = None, position
        start = time.perf_counter()
        try:
            for place, element in enumerate(self._iteration, position):
                for watch in begins:
                    watch(place, {})
                batch = as_batch(element, dtype, classes)
                self._step(batch, place)
                samples += batch.size
                if ends:
                    logs = self.meters.results()
                    for watch in ends:
                        watch(place, logs)
                report.show(place + 1, samples, self.meters.results)
        finally:
            report.close()
        return time.perf_counter() - start, samples, self._iteration.state()["position"]

    def _step(self, batch: Batch, place: int) -> None:
        """Go down the gradient of a batch, and count it."""
        seen: list[Any] = []
        optimizer = self.compiled.optimizer

        def loss() -> Any:
            predictions = self.model(*batch.inputs)
            value = self.compiled.loss_of(predictions, batch)
            seen[:] = map_leaves(_array_of, predictions), float(_array_of(value))
            if not np.isfinite(seen[1]):
                raise FloatingPointError(
                    f"the loss is {seen[1]} at step {optimizer.step + 1} (batch {place + 1} of "
                    f"epoch {self.epoch + 1}); weights are as before this step. Is the learning "
                    "rate too high, or are there NaNs in the data?"
                )
            return value

        gradients = optimizer.compute_gradients(loss, self._variables or self.model)
        optimizer.apply_gradients(gradients)
        predictions, value = seen
        self.meters.update(value, predictions, batch)
        self._done = place + 1
        if self._variables is None and _is_whole(self.model):
            self._variables = [variable for _, variable in gradients]


def _is_whole(model: Module) -> bool:
    """Have all parts made their parameters? Some may not have been called yet."""
    return all(part.built or not part.builds for _, part in modules_of(model))


def _overrides(callback: Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)


def _array_of(given: Any) -> Any:
    return given.array if type(given) is Tensor else np.asarray(given)


def evaluate(model: Module, compiled: Compiled, data: Dataset, verbose: int = 0) -> dict[str, Any]:
    """The loss and the metrics of all batches, in evaluation mode."""
    meters, report = compiled.meters(), Report(verbose, data.cardinality())
    dtype, samples, place = model.input_dtype, 0, -1
    with no_grad(), model._evaluating(), closing(data.iterate(epoch=0)) as batches:
        for place, element in enumerate(batches):
            batch = as_batch(element, dtype)
            predictions = model(*batch.inputs)
            value = compiled.loss_of(predictions, batch)
            meters.update(float(value), map_leaves(_array_of, predictions), batch)
            samples += batch.size
            report.show(place + 1, samples, meters.results)
    if place < 0:
        raise ValueError(f"there are no batches in {data!r}")
    results = meters.results()
    report.say("evaluation", time.monotonic() - report.start, samples, results)
    return results


def predict(model: Module, data: Dataset, verbose: int = 0) -> Any:
    """What the model computes in evaluation mode, of all batches behind each other."""
    report, samples = Report(verbose, data.cardinality()), 0
    found: list[Any] = []
    with no_grad(), model._evaluating(), closing(data.iterate(epoch=0)) as batches:
        for place, element in enumerate(batches):
            x = element[0] if isinstance(element, tuple) else element
            inputs = inputs_of(x, model.input_dtype)
            found.append(map_leaves(_array_of, model(*inputs)))
            samples += len(inputs[0])
            report.show(place + 1, samples, dict)
    report.close()
    if not found:
        raise ValueError(f"there are no batches in {data!r}")
    columns = iter(zip(*[leaves(each) for each in found]))
    return map_leaves(lambda _: np.concatenate(next(columns)), found[0])
