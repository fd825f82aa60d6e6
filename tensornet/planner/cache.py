"""Plans already found: bounded, least recently used go first, safe for threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from .tree import Tree

__all__ = ["clear_cache", "lookup", "store"]

# Bounded by tensors, not entries: a plan of 100,000 tensors takes as much as many small ones.
_MAX_TENSORS = 2_000_000

_lock = threading.Lock()
_trees: OrderedDict[Hashable, Tree] = OrderedDict()
_tensors = 0


def lookup(key: Hashable) -> Tree | None:
    """The tree stored under `key`, which becomes the most recently used."""
    with _lock:
        tree = _trees.get(key)
        if tree is not None:
            _trees.move_to_end(key)
        return tree


def store(key: Hashable, tree: Tree) -> None:
    """Keep `tree` under `key`; drop what was not used for longest if there are too many."""
    global _tensors
    with _lock:
        old = _trees.pop(key, None)
        _tensors += _weight(tree) - (_weight(old) if old is not None else 0)
        _trees[key] = tree
        while _tensors > _MAX_TENSORS and len(_trees) > 1:
            _, dropped = _trees.popitem(last=False)
            _tensors -= _weight(dropped)


def clear_cache() -> None:
    """Forget every plan found so far.

    >>> clear_cache()
    """
    global _tensors
    with _lock:
        _trees.clear()
        _tensors = 0


def _weight(tree: Tree) -> int:
    """What a tree counts for: its tensors and a little for the entry itself."""
    return len(tree.expr.inputs) + 50
