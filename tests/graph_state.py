"""What the graph tests share: a picture of a network, to see that a failed call changed nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tensornet.graph import AbstractNode, Edge, Node


def picture(nodes: Sequence[AbstractNode]) -> list[Any]:
    """Everything that can be seen of nodes and their edges."""
    return [
        (
            node.name,
            node.axis_names,
            node.shape,
            id(node._tensor),
            [(id(e), e.name, e.node1, e.axis1, e.node2, e.axis2) for e in node.edges],
        )
        for node in nodes
    ]


@contextmanager
def fails(kind: type[Exception], match: str, *nodes: AbstractNode) -> Iterator[None]:
    """The block raises a one-line error of `kind` and leaves `nodes` as they were."""
    before = picture(nodes)
    with pytest.raises(kind, match=match) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert picture(nodes) == before


def make(*shape: int, **names: Any) -> Node:
    """A node of distinct whole numbers, so that sums are exact."""
    return Node(np.arange(1.0, 1 + int(np.prod(shape))).reshape(shape), **names)


def names_of(edges: Sequence[Edge]) -> list[str]:
    return [edge.name for edge in edges]


def is_fresh(node: AbstractNode) -> bool:
    """All edges of the node are dangling and belong to it."""
    return all(
        edge.is_dangling() and edge.node1 is node and edge.axis1 == axis
        for axis, edge in enumerate(node.edges)
    )
