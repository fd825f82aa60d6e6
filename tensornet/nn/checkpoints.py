"""Checkpoints of a model: weights and other state, the optimiser, and where training stands.

Names of arrays begin with what they belong to: ``model/``, ``optimizer/`` and, of a run of `fit`,
``metrics/``, ``history/`` and ``callbacks/``. Notes, which are plain values, say where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..arrays import Array
from ..errors import CheckpointError
from .archive import read, write

if TYPE_CHECKING:
    from .module import Module
    from .optimiser import Optimiser

__all__ = [
    "load_checkpoint",
    "part_of",
    "prefixed",
    "restore",
    "save_checkpoint",
]

Path = str | os.PathLike[str]


def save_checkpoint(
    path: Path,
    model: Module,
    optimizer: Optimiser | None = None,
    notes: Mapping[str, Any] | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> None:
    """Write a model and its optimiser into a file, for loops of one's own.

    It holds the parameters, running statistics and random generators of the model, what the
    optimiser remembers, and its step. It is written beside `path` and moved there when it is
    complete, so that whatever happens the old file or the new one is there.

    Args:
        path: ends in .npz, or in .safetensors (the extra `safetensors`).
        notes: what else to keep, of what JSON holds, such as ``iteration.state()`` of a Dataset.
        arrays: more arrays, by names with a slash.

    Raises:
        ValueError: another suffix.
        OSError: the folder cannot be written to; a file that was there is as it was.

    Complexity: takes a copy of all that it writes.
    """
    found = prefixed("model", model.state_dict())
    if optimizer is not None:
        found |= prefixed("optimizer", optimizer.state_dict(model))
    kind = None if optimizer is None else type(optimizer).__name__
    write(path, {**found, **(arrays or {})}, {"optimizer": kind, "notes": dict(notes or {})})


def load_checkpoint(path: Path, model: Module, optimizer: Optimiser | None = None) -> Any:
    """Give a model, and an optimiser, the state that `save_checkpoint` has written.

    Args:
        optimizer: None to read the weights only.

    Returns:
        the notes.

    Raises:
        CheckpointError: a file that is damaged, or of another model or optimiser; it lists
            missing and unexpected names and other shapes. Nothing has changed.
        OSError: a file that cannot be read.

    Nothing in the file is unpickled, and reading takes no more memory than it has bytes.

    >>> import tempfile, numpy as np
    >>> from tensornet import nn
    >>> model = nn.Sequential([nn.Dense(2, seed=0)])
    >>> model.build((None, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(f"{folder}/model.npz", model, notes={"epoch": 1})
    ...     load_checkpoint(f"{folder}/model.npz", model)
    {'epoch': 1}
    """
    about, arrays = read(path)
    restore(path, model, optimizer, about, arrays)
    return about.get("notes", {})


def restore(
    path: Path,
    model: Module,
    optimizer: Optimiser | None,
    about: Mapping[str, Any],
    arrays: Mapping[str, Array],
) -> None:
    """Take over what was read, or nothing of it."""
    before = model.state_dict()
    try:
        if optimizer is not None and about.get("optimizer") != type(optimizer).__name__:
            raise CheckpointError(
                f"it holds {about.get('optimizer') or 'only weights'}, not the state of "
                f"{type(optimizer).__name__}"
            )
        model.load_state_dict(part_of(arrays, "model"))
        if optimizer is not None:
            optimizer.load_state_dict(part_of(arrays, "optimizer"), model)
    except CheckpointError as error:
        model.load_state_dict(before)
        raise CheckpointError(f"{os.fspath(path)}: {error}") from None


def prefixed(kind: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a word and a slash before each name.

    >>> prefixed("model", {"w": 1})
    {'model/w': 1}
    """
    return {f"{kind}/{name}": each for name, each in named.items()}


def part_of(named: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Those with a word and a slash before their names, without these.

    >>> part_of({"model/w": 1, "optimizer/step": 2}, "model")
    {'w': 1}
    """
    start = f"{kind}/"
    return {name[len(start) :]: each for name, each in named.items() if name.startswith(start)}
