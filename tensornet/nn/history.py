"""History: the loss and the metrics of every epoch, as `fit` returns them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .callbacks import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """What training came to.

    Attributes:
        history: a list with a number for each epoch, by name: "loss" and the metrics, with
            "val_" before those of the validation data.
        epoch: the epochs, counted from 0.
        seconds: spent on training, without validation.
        samples: how many were trained on in that time.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.seconds = 0.0
        self.samples = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    @property
    def samples_per_second(self) -> float:
        """The speed of training."""
        return self.samples / self.seconds if self.seconds else 0.0

    def __repr__(self) -> str:
        last = {name: values[-1] for name, values in self.history.items()}
        return f"<History of {len(self.epoch)} epochs, the last {last}>"

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw loss and metrics against epochs into a file, with matplotlib (the extra `plot`).

        Args:
            path: its suffix is the format: .png, .svg, .pdf.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("plots need matplotlib: pip install 'tensornet[plot]'") from error
        scalar = {k: v for k, v in self.history.items() if not np.ndim(v[-1])}
        names = [name for name in scalar if not name.startswith("val_")]
        figure = Figure(figsize=(4.5 * max(1, len(names)), 3.5), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(1, len(names), place, xlabel="epoch", ylabel=name)
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                if key in scalar:
                    first = len(self.epoch) - len(scalar[key])
                    axes.plot([e + 1 for e in self.epoch[first:]], scalar[key], "o-", label=label)
            axes.legend()
        figure.savefig(path)

    def state_dict(self) -> dict[str, Any]:
        state = {name: np.asarray(values) for name, values in self.history.items()}
        return {"epoch": np.array(self.epoch, np.int64)} | {
            f"history/{name}": values for name, values in state.items()
        }

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        self.epoch = arrays["epoch"].tolist()
        self.history = {
            name.removeprefix("history/"): (list(values) if values.ndim > 1 else values.tolist())
            for name, values in arrays.items()
            if name != "epoch"
        }
