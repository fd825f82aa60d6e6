"""Checkpoints: what a sliced run has summed so far, in a file from which a rerun continues.

The file is an npz of plain arrays; nothing in it is ever unpickled.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np

from ._program import Run
from .errors import CheckpointError
from .files import replacing

__all__ = ["INTERVAL", "Checkpoint", "seconds_between"]

INTERVAL = 5.0  # seconds of computing between two writes

_FORMAT = "tensornet-checkpoint 1"
_AGAIN = "delete it to start anew, or give another path"


def seconds_between(slices: int, spent: float, workers: int) -> float:
    """How long to compute before the next stop, which costs each worker up to a slice's time.

    Args:
        slices, spent, workers: slices that were summed in so many seconds by so many workers.
    """
    return max(INTERVAL, 10 * spent * workers / max(1, slices))


class Checkpoint:
    """The file that belongs to one run; `plan` and `inputs` name what the run computes.

    Raises:
        CheckpointError: the file is there, but not of this plan and these inputs.
        OSError: the folder cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], run: Run, plan: str, inputs: str) -> None:
        self.path = Path(path)
        self._run = run
        self._names = {"plan": plan, "inputs": inputs}
        self._fresh = self.path.with_name(self.path.name + ".tmp")
        self._written = time.monotonic()
        self._cost = 0.0
        if self.path.exists():
            self._load()
        with open(self._fresh, "wb"):
            pass  # better to hear of a folder that cannot be written to before the work than after
        self._fresh.unlink()

    def _load(self) -> None:
        """Put what the file has summed into the run."""
        run = self._run
        with open(self.path, "rb") as raw:
            try:
                with np.load(raw, allow_pickle=False) as file:
                    fields = {name: file[name] for name in file.files}
                known = str(fields["format"]) == _FORMAT
                chunks, sums = fields["chunks"], fields["sums"]
                names = {name: str(fields[name]) for name in self._names}
            except Exception:  # there is hardly one that flipped bits of an archive do not cause
                known = False
        if not known:
            raise CheckpointError(f"{self.path} is damaged or no checkpoint: {_AGAIN}")
        if names["plan"] != self._names["plan"]:
            raise CheckpointError(
                f"{self.path} is of another plan (tree, slices, dtype, instruction set or version "
                f"differ): {_AGAIN}"
            )
        if names["inputs"] != self._names["inputs"]:
            raise CheckpointError(
                f"{self.path} is of other inputs (entries, or the layout of an operand or of "
                f"out, differ): {_AGAIN}"
            )
        ends = np.cumsum([run.sums(chunk).nbytes for chunk in range(len(run.chunks))])
        fits = chunks.shape == run.chunks.shape and chunks.dtype == run.chunks.dtype
        fits = fits and sums.shape == (ends[-1],) and sums.dtype == np.uint8
        first, last = np.array(run.starts[:-1]), np.array(run.starts[1:])
        if not fits or not ((chunks[:, 0] >= first) & (chunks[:, 0] <= last)).all():
            raise CheckpointError(f"{self.path} is damaged: {_AGAIN}")
        for chunk, part in enumerate(np.split(sums, ends[:-1])):
            slice_, exponent = chunks[chunk].tolist()
            run.restore(chunk, slice_, exponent, part)

    def save(self) -> None:
        """Write what is summed; whenever the process dies, the old file or the new one is there."""
        start = time.monotonic()
        run = self._run
        sums = np.concatenate([run.sums(chunk) for chunk in range(len(run.chunks))])
        plan, inputs = self._names["plan"], self._names["inputs"]
        with replacing(self.path, self._fresh) as draft, open(draft, "wb") as file:
            np.savez(file, format=_FORMAT, plan=plan, inputs=inputs, chunks=run.chunks, sums=sums)
        self._written = time.monotonic()
        self._cost = self._written - start

    def save_if_can(self) -> None:
        """Write, or warn that the disk is full or gone: the run is worth more than the file."""
        try:
            self.save()
        except OSError as error:
            self._written = time.monotonic()
            message = f"the checkpoint cannot be written: {error}; the last one that could is kept"
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def save_if_due(self) -> None:
        """Write if the last time is some seconds ago, more if writing takes long."""
        if time.monotonic() - self._written >= max(INTERVAL, 20 * self._cost):
            self.save_if_can()

    def remove(self) -> None:
        """The run is done: nothing is left of the file."""
        self.path.unlink(missing_ok=True)
        self._fresh.unlink(missing_ok=True)
