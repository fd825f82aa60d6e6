"""What the tests of saved networks share: a network with everything, and damage to documents."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from graph_state import make

import tensornet as tn
from tensornet.errors import FormatError


def network() -> list[tn.AbstractNode]:
    """Two parts: a triangle with parallel edges, a trace, a hub and open legs; and a pair."""
    a = make(2, 3, 4, 5, name="a", axis_names=["x", "y", "z", "w"])
    b = make(3, 4, 2, 2, name="b")
    c = tn.Node(np.arange(6, dtype=np.complex64).reshape(2, 3) * 1j, name="c")
    hub = tn.CopyNode(3, 5, name="hub", axis_names=["i", "j", "k"], dtype=np.float32)
    d = make(5, 7)
    tn.connect(a[1], b[0], "bond")
    b[1] ^ a[2]
    b[2] ^ b[3]
    a[3] ^ hub[1]
    hub["i"] ^ d[0]
    e, f = make(2), make(2)
    f[0] ^ e[0]
    return [a, hub, b, c, d, e, f]


def structure(nodes: Sequence[tn.AbstractNode]) -> list[Any]:
    """What can be seen of a network, nodes by their places."""
    place = {node: k for k, node in enumerate(nodes)}
    edges: dict[tn.Edge, int] = {}
    return [
        (
            type(node),
            node.name,
            node.axis_names,
            node.shape,
            node.dtype,
            [
                (
                    edges.setdefault(edge, len(edges)),
                    edge.name,
                    place[edge.node1],
                    edge.axis1,
                    None if edge.node2 is None else place[edge.node2],
                    edge.axis2,
                )
                for edge in node.edges
            ],
        )
        for node in nodes
    ]


def survives(read: Callable[[], list[tn.AbstractNode]]) -> bool:
    """Does it give a valid network? If not, it must be a FormatError."""
    try:
        nodes = read()
    except FormatError:
        return False
    tn.check_correct(nodes, check_connections=False)
    return True


def mutated(rng: random.Random, document: Any) -> None:
    """Put something else into a random place of a document."""
    while True:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        if not keys:
            return
        key = rng.choice(list(keys))
        if isinstance(document[key], (dict, list)) and rng.random() < 0.85:
            document = document[key]
            continue
        value = document[key]
        others = [None, True, -1, 0, 1, 2**63, 10**30, 1.5, float("nan"), "", "x", [], {}, [0, 0]]
        if isinstance(value, str):
            others += [value[:-1], value + value, value[::-1], "float64", "CopyNode"]
        if isinstance(value, int):
            others += [value + 1, value - 1]
        if isinstance(document, dict) and rng.random() < 0.2:
            del document[key]
        elif isinstance(document, list) and rng.random() < 0.3:
            document.insert(rng.randrange(len(document) + 1), document[key])
        else:
            document[key] = rng.choice(others)
        return
