"""The backend names of google/TensorNetwork: here nodes always hold NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .abstract import AbstractNode
from .checks import check_backend
from .queries import unique_nodes

__all__ = ["DefaultBackend", "jit", "set_default_backend", "switch_backend"]

Function = TypeVar("Function", bound=Callable[..., Any])


def switch_backend(nodes: Iterable[AbstractNode], new_backend: str) -> None:
    """Accepts ``"numpy"`` and leaves the nodes as they are; ValueError for any other backend."""
    check_backend(new_backend)
    unique_nodes(nodes)


def set_default_backend(backend: str) -> None:
    """Accepts ``"numpy"``, the only backend of nodes; ValueError for any other."""
    check_backend(backend)


class DefaultBackend:
    """A ``with`` block that accepts ``"numpy"``; ValueError for any other backend.

    >>> with DefaultBackend("numpy"):
    ...     pass
    """

    __slots__ = ("backend",)

    def __init__(self, backend: str) -> None:
        check_backend(backend)
        self.backend = backend

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc_info: object) -> None:
        return None


def jit(
    fun: Function,
    backend: str | None = None,
    backend_argnum: int | None = None,
    static_argnums: int | Iterable[int] = (),
    device: Any = None,
    xla_backend: str | None = None,
) -> Function:
    """Return `fun` itself: contractions are compiled and cached as they are.

    Raises:
        ValueError: a `backend` other than None and ``"numpy"``.

    >>> jit(len) is len
    True
    """
    check_backend(backend)
    return fun
