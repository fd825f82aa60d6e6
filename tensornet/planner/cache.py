"""Plans already found: by structure, in memory and, if asked for, in a folder.

Two kinds of memory. A search that names its steps and its seed always finds the same tree, so it is
recalled by exactly what was asked for. A search that is given seconds, or a folder to share, finds
what it can: there the best tree of a structure is kept, and better ones take its place.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ..expr import Expr
from .shelf import Kept, Shelf, better
from .structure import structure
from .tree import Tree

__all__ = ["Found", "Request", "clear_cache", "recall", "remember"]

FOLDER_VARIABLE = "TENSORNET_PLAN_CACHE"

# Bounded by tensors, not entries: a plan of 100,000 tensors takes as much as many small ones.
_MAX_TENSORS = 2_000_000

_V = TypeVar("_V")


class _Recent(Generic[_V]):
    """A bounded dictionary: least recently used go first, safe for threads."""

    def __init__(self, n_tensors: Callable[[_V], int]) -> None:
        self._n_tensors = n_tensors
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, _V] = OrderedDict()
        self._weight = 0

    def get(self, key: Hashable) -> _V | None:
        """The value stored under `key`, which becomes the most recently used."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def update(self, key: Hashable, change: Callable[[_V | None], _V]) -> _V:
        """Replace the value under `key` by what `change` makes of it, with nobody in between."""
        with self._lock:
            old = self._values.pop(key, None)
            if old is not None:
                self._weight -= self._weigh(old)
            new = self._values[key] = change(old)
            self._weight += self._weigh(new)
            while self._weight > _MAX_TENSORS and len(self._values) > 1:
                self._weight -= self._weigh(self._values.popitem(last=False)[1])
            return new

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._weight = 0

    def _weigh(self, value: _V) -> int:
        return self._n_tensors(value) + 50  # a little for the entry itself


_trees: _Recent[Tree] = _Recent(lambda tree: len(tree.expr.inputs))
_best: _Recent[Kept] = _Recent(lambda kept: len(kept.tree.expr.inputs))


def _store(key: Hashable, tree: Tree) -> None:
    """Keep `tree` under `key`; drop what was not used for longest if there are too many."""
    _trees.update(key, lambda _: tree)


def recall(key: Hashable, make: Callable[[], Tree], stopped: Sequence[object] = ()) -> Tree:
    """The tree stored under `key`, made if there is none yet; kept unless that was `stopped`."""
    tree = _trees.get(key)
    if tree is None:
        tree = make()
        if not stopped:
            _store(key, tree)
    return tree


def clear_cache() -> None:
    """Forget every plan found so far; what is kept in folders stays there.

    >>> clear_cache()
    """
    _trees.clear()
    _best.clear()


@dataclass(frozen=True)
class Request:
    """What a search is asked for.

    Attributes:
        name: of the search.
        goal: in words, all that decides which of two trees is the better one.
        seed, max_time, max_steps: as for `search`.
    """

    name: str
    goal: str
    seed: int
    max_time: float | None
    max_steps: int | None

    @property
    def way(self) -> str:
        """How it searches: requests with the same way differ in how long they go on at most."""
        steps = "" if self.max_steps is None else f" steps={self.max_steps}"
        return f"{self.name} seed={self.seed}{steps}{' timed' if self.max_time is not None else ''}"


class Found(NamedTuple):
    """A tree, and whether the search used its budget (and was not interrupted)."""

    tree: Tree
    finished: bool = True


def remember(
    expr: Expr,
    request: Request,
    find: Callable[[Expr], Found],
    cost: Callable[[Tree], float],
    folder: str | os.PathLike[str] | None = None,
) -> Tree:
    """The tree that `find` finds for this network, or found before for one of the same structure.

    `find` is given the structure instead of the network, so that what it finds depends on nothing
    else: who asked first makes no difference.

    A search with `max_time`, or with a folder, improves: the tree returned is the best known. Once
    a search has been finished, the same one with no more time is answered from memory.

    Args:
        cost: what the request wants little of; decides which tree is the better one.
        folder: where trees are kept for other processes, too; None for that of the environment
            variable TENSORNET_PLAN_CACHE, if it is set.

    Raises:
        OSError: the folder does not exist and cannot be made.
    """
    place = os.environ.get(FOLDER_VARIABLE) if folder is None else os.fspath(folder)
    if not place and request.max_time is None:
        return _recalled(expr, request, find)
    form = structure(expr)
    shelf = Shelf(place) if place else None
    key = form.expr, request.goal
    kept = _best.get(key) if shelf is None else shelf.get(form.expr, request.goal)
    if kept is None or not kept.answers(request.way, request.max_time):
        found = find(form.expr)
        searched = {request.way: request.max_time or 0.0} if found.finished else {}
        fresh = Kept(found.tree, searched)
        if shelf is None:
            kept = _best.update(key, lambda old: better(old, fresh, cost))
        else:
            kept = shelf.keep(request.goal, fresh, cost)
    return form.translate(expr, kept.tree)


def _recalled(expr: Expr, request: Request, find: Callable[[Expr], Found]) -> Tree:
    """The one tree that belongs to a request: by the network as it is, else by its structure."""
    tree = _trees.get((expr, request))
    if tree is not None:
        return tree
    form = structure(expr)
    tree = _trees.get((form.expr, request))
    if tree is None:
        found = find(form.expr)
        if not found.finished:
            return form.translate(expr, found.tree)
        tree = found.tree
        _store((form.expr, request), tree)
    tree = form.translate(expr, tree)
    _store((expr, request), tree)
    return tree
