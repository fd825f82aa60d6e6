"""The gates of the qsim circuit format and their exact matrices.

Rows and columns count the basis states of the gate's qubits, the first qubit the most
significant bit. Global phases matter to an amplitude. They are those of the published Sycamore
data: the three square roots `x_1_2`, `y_1_2` and `hz_1_2` have determinant one (recent versions
of qsim multiply each of them by exp(i pi/4)).
"""

from __future__ import annotations

from cmath import exp
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from types import MappingProxyType

import numpy as np

__all__ = ["GATES", "GateKind", "gate_tensor"]

_S = 1 / sqrt(2)
_Entries = Sequence[complex | Sequence[complex]]


@dataclass(frozen=True)
class GateKind:
    """What a gate name stands for.

    Attributes:
        n_qubits: how many qubits it acts on (without controls).
        n_params: how many real parameters follow the qubits.
        diagonal: whether `entries` gives the diagonal of the matrix instead of all of it.
        entries: the matrix, or its diagonal, from the parameters.
    """

    n_qubits: int
    n_params: int
    diagonal: bool
    entries: Callable[..., _Entries]


def _rx(phi: float) -> _Entries:
    c, s = cos(phi / 2), sin(phi / 2)
    return [[c, -1j * s], [-1j * s, c]]


def _ry(phi: float) -> _Entries:
    c, s = cos(phi / 2), sin(phi / 2)
    return [[c, -s], [s, c]]


def _rxy(theta: float, phi: float) -> _Entries:
    c, s = cos(phi / 2), sin(phi / 2)
    return [[c, -1j * exp(-1j * theta) * s], [-1j * exp(1j * theta) * s, c]]


def _fs(theta: float, phi: float) -> _Entries:
    c, s = cos(theta), -1j * sin(theta)
    return [[1, 0, 0, 0], [0, c, s, 0], [0, s, c, 0], [0, 0, 0, exp(-1j * phi)]]


def _fixed(entries: _Entries) -> Callable[[], _Entries]:
    return lambda: entries


GATES = MappingProxyType(
    {
        "p": GateKind(0, 1, True, lambda phi: [exp(1j * phi)]),
        "id1": GateKind(1, 0, True, _fixed([1, 1])),
        "h": GateKind(1, 0, False, _fixed([[_S, _S], [_S, -_S]])),
        "t": GateKind(1, 0, True, _fixed([1, exp(1j * pi / 4)])),
        "s": GateKind(1, 0, True, _fixed([1, 1j])),
        "x": GateKind(1, 0, False, _fixed([[0, 1], [1, 0]])),
        "y": GateKind(1, 0, False, _fixed([[0, -1j], [1j, 0]])),
        "z": GateKind(1, 0, True, _fixed([1, -1])),
        "x_1_2": GateKind(1, 0, False, _fixed([[_S, -1j * _S], [-1j * _S, _S]])),
        "y_1_2": GateKind(1, 0, False, _fixed([[_S, -_S], [_S, _S]])),
        "hz_1_2": GateKind(1, 0, False, _fixed([[_S, -(1 + 1j) / 2], [(1 - 1j) / 2, _S]])),
        "rx": GateKind(1, 1, False, _rx),
        "ry": GateKind(1, 1, False, _ry),
        "rz": GateKind(1, 1, True, lambda phi: [exp(-0.5j * phi), exp(0.5j * phi)]),
        "rxy": GateKind(1, 2, False, _rxy),
        "id2": GateKind(2, 0, True, _fixed([1, 1, 1, 1])),
        "cz": GateKind(2, 0, True, _fixed([1, 1, 1, -1])),
        "cp": GateKind(2, 1, True, lambda phi: [1, 1, 1, exp(-1j * phi)]),
        "cnot": GateKind(
            2, 0, False, _fixed([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
        ),
        "sw": GateKind(
            2, 0, False, _fixed([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        ),
        "is": GateKind(
            2, 0, False, _fixed([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])
        ),
        "fs": GateKind(2, 2, False, _fs),
    }
)
"""Every known gate by its name in the file."""


def gate_tensor(name: str, params: tuple[float, ...], n_controls: int) -> np.ndarray:
    """The complex128 tensor of a gate, every axis of extent 2.

    A diagonal gate has one axis per control, then one per qubit: it stays on the wires' own
    indices. Any other has one per control, then one per outgoing and one per incoming qubit.

    >>> gate_tensor("cnot", (), 0).shape
    (2, 2, 2, 2)
    >>> gate_tensor("rz", (0.0,), 2).shape
    (2, 2, 2)
    """
    kind = GATES[name]
    axes = kind.n_qubits * (1 if kind.diagonal else 2)
    gate = np.array(kind.entries(*params), dtype=np.complex128).reshape((2,) * axes)
    if not n_controls:
        return gate
    identity = np.ones(2**kind.n_qubits) if kind.diagonal else np.eye(2**kind.n_qubits)
    tensor = np.empty((2,) * (n_controls + axes), dtype=np.complex128)
    tensor[...] = identity.reshape(gate.shape)
    tensor[(1,) * n_controls] = gate
    return tensor
