"""What a module holds, found by attribute: its parameters, other state, and parts, by paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..tape import Tensor
from .parameter import overwrite
from .randomness import restore_generator, state_of
from .state import check_arrays, outline_of

if TYPE_CHECKING:
    from .module import Module

__all__ = ["arrays_of", "load_arrays", "members_of", "modules_of", "parts_of"]

Array: TypeAlias = "np.ndarray[Any, Any]"

_STATE = (Tensor, np.ndarray, np.random.Generator)


def _entries(holder: Any) -> Iterable[tuple[str, Any]]:
    """What a module, list, tuple or dict holds, by name."""
    if isinstance(holder, dict):
        return [(str(key), each) for key, each in holder.items()]
    if isinstance(holder, (list, tuple)):
        return [(str(place), each) for place, each in enumerate(holder)]
    return [(key, each) for key, each in vars(holder).items() if key[0] != "_"]


def _walk(holder: Any, path: str, seen: set[int], parts: bool) -> Iterator[tuple[str, Any]]:
    """All that is held, each once: state, and modules, before what they hold if `parts`."""
    for key, each in _entries(holder):
        if isinstance(each, (list, tuple, dict)):
            yield from _walk(each, f"{path}{key}.", seen, parts)
        elif isinstance(each, _STATE) or _is_module(each):
            if id(each) in seen:
                continue
            seen.add(id(each))
            yield path + key, each
            if parts and _is_module(each):
                yield from _walk(each, f"{path}{key}.", seen, parts)


def _is_module(given: Any) -> bool:
    return hasattr(given, "_settle")


def members_of(holder: Any, parts: bool = True) -> Iterator[tuple[str, Any]]:
    """The Tensors, arrays and generators of a module or structure by their paths, each once.

    Args:
        parts: with those of the modules in it?
    """
    for path, each in _walk(holder, "", {id(holder)}, parts):
        if not _is_module(each):
            yield path, each


def parts_of(module: Module) -> list[tuple[str, Module]]:
    """The modules that a module holds itself, by their paths."""
    found = _walk(module, "", {id(module)}, False)
    return [(path, each) for path, each in found if _is_module(each)]


def modules_of(module: Module) -> list[tuple[str, Module]]:
    """A module, whose path is empty, and all that are in it, each once."""
    found = _walk(module, "", {id(module)}, True)
    return [("", module), *[(path, each) for path, each in found if _is_module(each)]]


def arrays_of(module: Module) -> dict[str, Array]:
    """Copies of all state of a module."""
    return {path: _array(each).copy() for path, each in members_of(module)}


def _array(held: Any) -> Array:
    if isinstance(held, np.random.Generator):
        return state_of(held)
    return held.array if type(held) is Tensor else held


def load_arrays(module: Module, arrays: Mapping[str, Any]) -> None:
    """Put arrays in the place of all state of a module; see `Module.load_state_dict`."""
    held = dict(members_of(module))
    outlines = {path: outline_of(_array(each)) for path, each in held.items()}
    check_arrays(arrays, outlines, module.label, _unbuilt(module))
    for path, each in held.items():
        if isinstance(each, np.random.Generator):
            restore_generator(each, arrays[path])
        elif type(each) is Tensor:
            overwrite(each, arrays[path])
        else:
            each[...] = arrays[path]


def _unbuilt(module: Module) -> str:
    """A hint for errors, if a part has made no parameters yet."""
    waiting = [part for _, part in modules_of(module) if not part.built and part.builds]
    return "; it has not been built: build it first" if waiting else ""
