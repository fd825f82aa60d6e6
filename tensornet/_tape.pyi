from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import Array
from .records import Keeps, Origin
from .tape import Tensor

class State:
    depth: int
    @property
    def tapes(self) -> list[Any]: ...

state: State

class TensorBase:
    _array: Array
    _origin: Origin | None

def set_tensor_class(given: type[TensorBase]) -> None: ...
def tensor_of(array: Array, origin: Origin | None = ...) -> Tensor: ...

class Rule:
    pull: Callable[[Any, Any, list[bool], Sequence[Any], Mapping[str, Any]], Sequence[Any]]
    keeps: Keeps
    keeps_result: bool
    forward: Callable[[list[bool], Sequence[Any], Mapping[str, Any]], tuple[Any, Any]] | None
    def __init__(
        self,
        pull: Callable[[Any, Any, list[bool], Sequence[Any], Mapping[str, Any]], Sequence[Any]],
        keeps: Keeps = ...,
        keeps_result: bool = ...,
        forward: Callable[[list[bool], Sequence[Any], Mapping[str, Any]], tuple[Any, Any]]
        | None = ...,
    ) -> None: ...

MISSING: Rule

def rule_of(function: Any) -> Rule | None: ...

class Pulls:
    def __init__(self, *pulls: Callable[..., Any] | None) -> None: ...
    def __call__(
        self, g: Any, y: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> list[Any]: ...

class Outline:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None: ...

class Record:
    function: Any
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    parents: tuple[Origin | None, ...]
    results: list[Any]
    is_tuple: bool
    saved: Any
    order: int
    def __init__(
        self,
        function: Any,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        parents: tuple[Origin | None, ...],
        results: list[Any],
        is_tuple: bool = ...,
    ) -> None: ...

def all_floating(given: Sequence[Any]) -> bool: ...
def begin(
    arrays: list[Array], function: Any = ..., parents: tuple[Origin | None, ...] = ...
) -> tuple[list[Tensor], list[Origin]]: ...
def any_tensor(operands: Iterable[Any]) -> bool: ...
def dispatch(
    function: Any, compute: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Any: ...
def applied(
    function: Any, compute: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
) -> Any: ...
def sweep_back(
    origins: list[Origin | None],
    cotangents: list[Any],
    sources: Sequence[Origin],
    release: bool,
    add: Callable[..., Any],
    cast: Callable[..., Any],
) -> list[Any]: ...
def settled(
    found: Sequence[Any], given: Sequence[Any], other: Callable[[Any, Any], Any]
) -> list[Any]: ...
def own(array: Array, seen: set[int]) -> Array: ...
