"""The planner: from a network (Expr) to a contraction order (Tree).

It knows extents, never arrays or their types: sizes are counted in entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cache import clear_cache
from .search import search
from .slicing import slice_tree
from .tree import Tree

if TYPE_CHECKING:
    from .foreign import Planner

__all__ = ["Planner", "Tree", "clear_cache", "search", "slice_tree"]


def __getattr__(name: str) -> Any:
    # Planner derives from opt_einsum's class, whose import is left until someone needs it.
    if name == "Planner":
        from .foreign import Planner

        return Planner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
