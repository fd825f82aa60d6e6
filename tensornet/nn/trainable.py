"""What every Module can be asked besides being called: to be trained, evaluated, saved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import TensorNetError

if TYPE_CHECKING:
    from .callbacks import Callback
    from .data import Dataset
    from .history import History
    from .losses import LossLike
    from .module import Module
    from .optimiser import Optimiser
    from .training import Compiled, Run

__all__ = ["Trainable"]


class Trainable:
    """The methods of Keras's Model; Module has them all.

    Attributes:
        optimizer: what `compile` was given, once it was called.
        stop_training: True ends `fit` after the epoch that is under way.
    """

    optimizer: Any = None
    stop_training: bool = False

    _compiled: Compiled | None = None
    _run: Run | None = None

    def compile(
        self,
        optimizer: str | Optimiser = "adam",
        loss: LossLike = "sparse_softmax_cross_entropy",
        metrics: Iterable[Any] = (),
    ) -> None:
        """Say how to train.

        Args:
            optimizer: an `Optimiser`, or its name: "sgd", "adam", "adamw", "rmsprop", "adagrad".
            loss: a function of `tensornet.nn.losses`, its name there, or a function
                ``loss(predictions, targets)`` of operations of tensornet, which also takes
                ``weights`` if samples are weighted. Classifications are from logits, not from
                probabilities.
            metrics: names as `tensornet.nn.metrics.get` takes them, or `Metric` objects.

        Raises:
            ValueError: an unknown name.
        """
        from .training import Compiled

        self._compiled = Compiled(optimizer, loss, metrics)
        self.optimizer = self._compiled.optimizer
        self._run = None

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | Sequence[float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        *,
        seed: int | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train for some epochs.

        Args:
            x: an array of samples, a tuple of such for a model of several inputs, or a `Dataset`
                of batches (x, y) or (x, y, sample_weight). Real numbers are converted to the
                precision of the model batch by batch.
            y: targets, as the loss takes them.
            batch_size: of arrays, by default 32; the last batch holds what is left.
            epochs: train up to this one, counted from the first epoch of all.
            verbose: 0 for silence; 1 for a bar on stderr and a line for each epoch; 2 for lines.
            callbacks: see `tensornet.nn.callbacks`.
            validation_split: this fraction of arrays, their last samples, is not trained on but
                validated with.
            validation_data: (x, y), (x, y, sample_weight) or a Dataset, to evaluate after each
                epoch.
            shuffle: arrays in another order in each epoch; Datasets shuffle themselves.
            class_weight: how much the samples of a class count: a dict, in which classes left out
                have weight 1, or a weight for each.
            sample_weight: how much each sample counts.
            initial_epoch: of which epoch to begin with, counted from 0.
            seed: of the order; without one the operating system gives it.
            resume: a file that `ModelCheckpoint` or `save_checkpoint` has written: go on from
                there, in the middle of an epoch, too. With the same data and arguments all comes
                as it would have without the interruption, bit for bit.

        Returns:
            a `History`, whose ``history`` maps "loss", the metrics and, with "val_" before them,
            those of the validation to lists with a number for each epoch. Means are over samples
            as they are weighted, whatever the sizes of batches; those of training are taken while
            weights change.

        Raises:
            TensorNetError: the model has not been compiled.
            FloatingPointError: the loss is infinite or NaN; says at which step. Weights are as
                before this step.
            CheckpointError: a file of another model; nothing has changed.
            ShapeError, TypeError, ValueError: arrays that do not fit, labels out of range.

        >>> from tensornet import nn
        >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        >>> model = nn.Sequential([nn.Dense(1)], seed=0)
        >>> model.compile(nn.SGD(0.1), "mse")
        >>> history = model.fit(x, 3 * x, epochs=30, verbose=0, seed=0)
        >>> bool(history.history["loss"][-1] < 1e-3)
        True
        """
        from .archive import read
        from .batches import batches_of, split_off
        from .checkpoints import restore
        from .training import Run

        compiled, model = self._ready_to_train(), cast("Module", self)
        about, arrays = ({}, {}) if resume is None else read(resume)
        notes = about.get("notes", {})
        if not shuffle:
            seed = None
        elif seed is None:
            seed = notes.get("seed")
            if seed is None:
                seed = np.random.SeedSequence().generate_state(1)[0].item()
        if validation_split:
            if validation_data is not None:
                raise ValueError("there are both validation_data and a validation_split")
            parts = (x, y, sample_weight)
            (x, y, sample_weight), validation_data = split_off(parts, validation_split)
        data = batches_of(x, y, sample_weight, batch_size, seed)
        validation = None if validation_data is None else _validation(validation_data, batch_size)
        run = Run(model, compiled, callbacks, seed)
        if resume is not None:
            run.place(notes, data)
            restore(resume, model, compiled.optimizer, about, arrays)
        else:
            run.epoch = _at_least_0(initial_epoch, "initial_epoch")
        run.begin(arrays)
        self._run = run
        return run.fit(data, _at_least_0(epochs, "epochs"), validation, class_weight, verbose)

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 0,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics of data, in evaluation mode.

        Args:
            x, y, sample_weight, batch_size: as of `fit`; batches of 256 by default.
            return_dict: all by name.

        Returns:
            the loss if there are no metrics, else a list of the loss and the metrics; or a dict.

        Raises:
            TensorNetError: the model has not been compiled.
            ShapeError, TypeError, ValueError: as of `fit`.
        """
        from .batches import batches_of
        from .training import evaluate

        compiled, model = self._ready_to_train(), cast("Module", self)
        data = batches_of(x, y, sample_weight, _for_evaluation(x, batch_size))
        results = evaluate(model, compiled, data, verbose)
        if return_dict:
            return results
        return [*results.values()] if compiled.metrics else results["loss"]

    def predict(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """What the model computes for data, in evaluation mode.

        Args:
            x: as of `fit`; of the batches of a Dataset that are tuples, the first part.
            batch_size: of arrays, by default 256.

        Returns:
            an array with a row for each sample; a tuple of such if the model returns a tuple.

        >>> from tensornet import nn
        >>> nn.Sequential([nn.Dense(2)]).predict(np.zeros((5, 3))).shape
        (5, 2)
        """
        from .batches import batches_of
        from .training import predict

        data = batches_of(x, batch_size=_for_evaluation(x, batch_size))
        return predict(cast("Module", self), data, verbose)

    # Files

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write all state of the model into a file, without that of the optimiser.

        Args:
            path: ends in .npz, or in .safetensors (the extra `safetensors`).

        Raises:
            ValueError: another suffix.
            OSError: the folder cannot be written to; a file that was there is as it was.
        """
        from .checkpoints import save_checkpoint

        save_checkpoint(path, cast("Module", self))

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take over the state of the model from what `save_weights` or a checkpoint has written.

        Raises:
            CheckpointError: a file that is damaged or of another model; it lists missing and
                unexpected names and other shapes. Nothing has changed.
            OSError: a file that cannot be read.
        """
        from .checkpoints import load_checkpoint

        load_checkpoint(path, cast("Module", self))

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that training needs to go on, for ``fit(resume=path)``, also from a callback.

        That is the model, the optimiser, random generators, and where the last call of `fit`
        stands, or stood at its end.

        Raises:
            TensorNetError: the model has not been trained.
            ValueError, OSError: as of `save_weights`.
        """
        from .checkpoints import save_checkpoint

        if self._run is None:
            raise TensorNetError("there is nothing to go on with before fit: use save_weights")
        notes, arrays = self._run.notes(), self._run.arrays()
        save_checkpoint(path, cast("Module", self), self.optimizer, notes, arrays)

    @property
    def epochs_done(self) -> int:
        """How many epochs the last call of `fit` has completed, those that it resumed included."""
        return 0 if self._run is None else self._run.epoch

    def __getstate__(self) -> dict[str, Any]:
        """Copies are compiled anew: an optimiser knows the variables that it has moved."""
        state = vars(self).copy()
        if state.pop("_compiled", None) is not None:
            del state["optimizer"]
        state.pop("_run", None)
        return state

    def _ready_to_train(self) -> Compiled:
        if self._compiled is None:
            raise TensorNetError(
                "compile(optimizer, loss, metrics) the model first: it says how to train"
            )
        return self._compiled


def _validation(given: Any, batch_size: int | None) -> Dataset:
    from .batches import batches_of
    from .data import Dataset

    if isinstance(given, Dataset):
        return given
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ValueError("validation_data is (x, y), (x, y, sample_weight) or a Dataset")
    x, y, weights = (*given, None)[:3]
    return batches_of(x, y, weights, _for_evaluation(x, batch_size))


def _for_evaluation(x: Any, batch_size: int | None) -> int | None:
    """More samples at a time than in training, where nothing is kept for gradients."""
    from .data import Dataset

    return 256 if batch_size is None and not isinstance(x, Dataset) else batch_size


def _at_least_0(given: int, name: str) -> int:
    if index(given) < 0:
        raise ValueError(f"{name}={given} is below 0")
    return index(given)
