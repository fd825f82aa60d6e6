"""Trees in a folder, one JSON file for each structure, shared by any number of processes.

Files are written under another name and then renamed, so nobody ever reads half a file. What cannot
be read, or is not what it should be, counts as absent and is written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PlanError
from ..expr import Expr
from ..files import replacing
from .tree import Tree

try:
    import fcntl
except ImportError:  # a system without POSIX locks: two writers may lose one another's tree
    fcntl = None  # type: ignore[assignment]

__all__ = ["Kept", "Shelf", "better"]

_FORMAT = "tensornet-plan-cache"
_VERSION = 1


class Kept(NamedTuple):
    """The best tree known, and for each way to search for how long that has been done."""

    tree: Tree
    searched: Mapping[str, float]

    def answers(self, way: str, seconds: float | None) -> bool:
        """Has this been searched for, at least as long?"""
        return self.searched.get(way, -1.0) >= (seconds or 0.0)


def better(one: Kept | None, two: Kept, cost: Callable[[Tree], float]) -> Kept:
    """The better of two trees, and what has been done for either."""
    if one is None:
        return two
    searched = dict(one.searched)
    for way, seconds in two.searched.items():
        searched[way] = max(seconds, searched.get(way, 0.0))
    return Kept(two.tree if cost(two.tree) < cost(one.tree) else one.tree, searched)


class Shelf:
    """A folder of trees; makes it if need be.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, expr: Expr, goal: str) -> Kept | None:
        """The tree kept for a structure and a goal."""
        return self._read(expr).get(goal)

    def keep(self, goal: str, fresh: Kept, cost: Callable[[Tree], float]) -> Kept:
        """Add a tree to what is there by now; returns the better one.

        A folder that cannot be written to is warned of: what was found is worth more than a file.
        """
        expr = fresh.tree.expr
        try:
            with self._locked():
                kept = self._read(expr)
                kept[goal] = better(kept.get(goal), fresh, cost)
                self._write(expr, kept)
                return kept[goal]
        except OSError as error:
            warnings.warn(f"the plan cannot be kept: {error}", RuntimeWarning, stacklevel=2)
            return better(self._read(expr).get(goal), fresh, cost)

    def _file(self, expr: Expr) -> Path:
        network = json.dumps([expr.inputs, expr.output, expr.sizes])
        digest = hashlib.blake2b(network.encode("ascii"), digest_size=16).hexdigest()
        return self._folder / f"{digest}.json"

    def _read(self, expr: Expr) -> dict[str, Kept]:
        """All goals of a structure; nothing if the file is missing or damaged."""
        try:
            data = json.loads(self._file(expr).read_text(encoding="utf-8"))
            if data["format"] != _FORMAT or data["version"] != _VERSION:
                return {}
            network = {name: data[name] for name in ("inputs", "output", "sizes")}
            kept = {
                str(goal): Kept(Tree.from_dict(network | saved), _seconds(saved["searched"]))
                for goal, saved in data["plans"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, PlanError):
            return {}
        except (RecursionError, OverflowError):  # of what somebody else put there
            return {}
        return {goal: each for goal, each in kept.items() if each.tree.expr == expr}

    def _write(self, expr: Expr, kept: Mapping[str, Kept]) -> None:
        data = {
            "format": _FORMAT,
            "version": _VERSION,
            "inputs": expr.inputs,
            "output": expr.output,
            "sizes": expr.sizes,
            "plans": {goal: _to_dict(each) for goal, each in kept.items()},
        }
        with replacing(self._file(expr), last=False) as draft:
            draft.write_text(json.dumps(data), encoding="utf-8")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Between reading and writing nobody else writes. Where locks fail, files stay whole."""
        if fcntl is None:
            yield
            return
        with open(self._folder / ".lock", "a") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file
            yield


def _to_dict(kept: Kept) -> dict[str, Any]:
    return {
        "steps": kept.tree.steps,
        "sliced": kept.tree.sliced,
        "searched": dict(kept.searched),
    }


def _seconds(saved: Mapping[str, Any]) -> dict[str, float]:
    return {str(way): float(seconds) for way, seconds in saved.items()}
