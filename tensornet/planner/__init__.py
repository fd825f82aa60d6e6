"""The planner: from a network (Expr) to a contraction order (Tree).

It knows extents, never arrays or their types: sizes are counted in entries.
"""

from __future__ import annotations

from .cache import clear_cache
from .folding import Fold, fold_tree, one_run, repeated
from .foreign import Planner
from .search import search
from .slicing import slice_tree
from .tree import Tree, unwrapped

__all__ = [
    "Fold",
    "Planner",
    "Tree",
    "clear_cache",
    "fold_tree",
    "one_run",
    "repeated",
    "search",
    "slice_tree",
    "unwrapped",
]
