"""Quantum circuits in the qsim text format, as tensor networks of single amplitudes.

The first line holds the number of qubits; every other line is one gate: `time name qubits…
parameters…`, with `c controls…` before the name for a controlled gate. Circuits start in the
all-zero state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import DTypeLike

from ..expr import Expr
from .gates import GATES, gate_tensor
from .text import Source, Text, read_text

__all__ = ["Circuit", "Gate", "read_circuit"]

MAX_QUBITS = 1_000_000
MAX_AXES = 16  # of one controlled gate's tensor, which has 2**axes entries


@dataclass(frozen=True)
class Gate:
    """One gate of a circuit: `name` is a key of `formats.gates.GATES`."""

    name: str
    qubits: tuple[int, ...]
    params: tuple[float, ...] = ()
    controls: tuple[int, ...] = ()
    time: int = 0


@dataclass(frozen=True)
class Circuit:
    """Gates in the order in which they act on `n_qubits` qubits that start in state zero."""

    n_qubits: int
    gates: tuple[Gate, ...]
    name: str = "circuit"

    def amplitude(
        self, bitstring: str | None = None, dtype: DTypeLike = "complex64"
    ) -> tuple[Expr, tuple[np.ndarray, ...]]:
        """The network whose contraction is the amplitude of one outcome.

        One vector per qubit for the start, one tensor per gate, one vector per qubit for the
        outcome. A diagonal gate, and the control of a controlled one, stays on its wire's index
        (a hyperedge), so `rz` is a vector and `cz` a matrix. Time and memory grow linearly
        with the number of gates. In complex64 each gate makes up for the change of norm that
        rounding made to those before it; else hundreds of equal roundings of sqrt(1/2) add up.

        Args:
            bitstring: the outcome as zeros and ones, qubit 0 first; all zeros if None.
            dtype: a complex dtype.

        Returns:
            The network without output indices, and its read-only arrays, every axis of extent 2.

        Raises:
            ValueError: a bitstring of the wrong length or with other characters.
            TypeError: a dtype that is not complex.

        >>> expr, arrays = Circuit(1, (Gate("h", (0,)),)).amplitude("1")
        >>> expr.inputs
        ((0,), (1, 0), (1,))
        """
        kind = np.dtype(dtype)
        if kind.kind != "c":
            raise TypeError(f"amplitudes are complex: use complex64 or complex128, not {kind}")
        bits = self._bits(bitstring)
        states = (_basis_vector(0, kind), _basis_vector(1, kind))
        exact: dict[tuple[str, tuple[float, ...], int], tuple[np.ndarray, float]] = {}
        drift = 1.0
        wires = list(range(self.n_qubits))
        inputs: list[tuple[int, ...]] = [(wire,) for wire in wires]
        arrays = [states[0]] * self.n_qubits
        n_indices = self.n_qubits
        for gate in self.gates:
            key = (gate.name, gate.params, len(gate.controls))
            if key not in exact:
                made = gate_tensor(*key)
                exact[key] = made, _norm(made)
            unrounded, norm = exact[key]
            tensor = np.asarray(unrounded / drift, dtype=kind)
            drift *= _norm(tensor) / norm
            term = [wires[q] for q in gate.controls]
            if not GATES[gate.name].diagonal:
                before = [wires[q] for q in gate.qubits]
                for qubit in gate.qubits:
                    wires[qubit] = n_indices
                    n_indices += 1
                term += [wires[q] for q in gate.qubits] + before
            else:
                term += [wires[q] for q in gate.qubits]
            inputs.append(tuple(term))
            arrays.append(tensor)
        inputs += [(wire,) for wire in wires]
        arrays += [states[bit] for bit in bits]
        for array in arrays:
            array.flags.writeable = False
        return Expr(tuple(inputs), (), (2,) * n_indices), tuple(arrays)

    def amplitudes(
        self, bitstrings: Sequence[str], dtype: DTypeLike = "complex64"
    ) -> tuple[Expr, dict[int, np.ndarray], list[list[np.ndarray]]]:
        """The network of `amplitude` for many outcomes, to be run by `Program.map`.

        Constant is all but the vectors of the qubits in which the outcomes differ. Plan for them:
        ``plan_expr(expr, constants=constants, runs=len(bitstrings))``.

        Returns:
            The network; the constant arrays by position; for each outcome the other arrays.

        Raises:
            ValueError: no outcome, or one of the wrong length or with other characters.
            TypeError: a dtype that is not complex.

        >>> expr, constants, batches = Circuit(2, (Gate("h", (0,)),)).amplitudes(["00", "10"])
        >>> sorted(constants), batches[1][0].real.tolist()
        ([0, 1, 2, 4], [0.0, 1.0])
        """
        if not bitstrings:
            raise ValueError("there must be an outcome, but bitstrings is empty")
        rows = [self._bits(bitstring) for bitstring in bitstrings]
        expr, arrays = self.amplitude(bitstrings[0], dtype)
        states = (_basis_vector(0, np.dtype(dtype)), _basis_vector(1, np.dtype(dtype)))
        free = [q for q, column in enumerate(zip(*rows)) if len(set(column)) > 1]
        first = len(arrays) - self.n_qubits
        varying = {first + q for q in free}
        constants = {k: array for k, array in enumerate(arrays) if k not in varying}
        return expr, constants, [[states[row[q]] for q in free] for row in rows]

    def _bits(self, bitstring: str | None) -> list[int]:
        if bitstring is None:
            return [0] * self.n_qubits
        if len(bitstring) != self.n_qubits:
            raise ValueError(
                f"the bitstring has {len(bitstring)} characters, "
                f"but the circuit has {self.n_qubits} qubits"
            )
        for position, character in enumerate(bitstring):
            if character not in "01":
                raise ValueError(
                    f"the bitstring has {character!r} at position {position}; only 0 and 1 may be"
                )
        return [int(character) for character in bitstring]


def read_circuit(source: Source) -> Circuit:
    """Read a circuit from a `.qsim` file (a path, gzipped or not, or an open file).

    Times must not decrease from line to line, and no qubit may be used twice at one time.

    Raises:
        FormatError: names the file, the line and what is wrong there.
        OSError: the file cannot be opened.

    >>> import io
    >>> read_circuit(io.StringIO("2\\n0 h 0\\n1 cnot 0 1\\n")).gates[1].qubits
    (0, 1)
    """
    text = read_text(source)
    lines = [
        (number, tokens)
        for number, line in enumerate(text.body.split("\n"), start=1)
        if (tokens := line.split())
    ]
    if not lines:
        text.fail(None, "empty file; the first line must hold the number of qubits")
    number, tokens = lines[0]
    if len(tokens) != 1 or (n_qubits := _count(tokens[0])) is None or n_qubits < 1:
        text.fail(number, f"expected the number of qubits alone, found {' '.join(tokens)[:40]!r}")
    if n_qubits > MAX_QUBITS:
        text.fail(number, f"{n_qubits} qubits; at most {MAX_QUBITS} are accepted")
    gates: list[Gate] = []
    times = [-1] * n_qubits
    for number, tokens in lines[1:]:
        gate = _parse_gate(text, number, tokens)
        _check_gate(text, number, gate, times, gates[-1].time if gates else 0)
        gates.append(gate)
    return Circuit(n_qubits, tuple(gates), text.stem)


def _parse_gate(text: Text, number: int, tokens: list[str]) -> Gate:
    """The gate on one line; which qubits and times may be used is checked later."""
    time = _count(tokens[0])
    if time is None:
        text.fail(number, f"expected a time (a whole number), found {tokens[0]!r}")
    controls = _parse_controls(text, number, tokens)
    position = 2 + len(controls) if controls else 1
    if position >= len(tokens):
        text.fail(number, "the line ends before the name of a gate")
    name, values = tokens[position], tokens[position + 1 :]
    if name == "m":
        text.fail(number, "measurements ('m') have no amplitude; remove them from the circuit")
    kind = GATES.get(name)
    if kind is None:
        text.fail(number, f"unknown gate {name!r}; known gates: {', '.join(GATES)}")
    if len(values) != kind.n_qubits + kind.n_params:
        text.fail(
            number,
            f"gate {name!r} takes {kind.n_qubits} qubits and {kind.n_params} parameters, "
            f"but {len(values)} values follow its name",
        )
    qubits = tuple([_qubit(text, number, value) for value in values[: kind.n_qubits]])
    params = tuple([_param(text, number, value) for value in values[kind.n_qubits :]])
    return Gate(name, qubits, params, controls, time)


def _parse_controls(text: Text, number: int, tokens: list[str]) -> tuple[int, ...]:
    """The control qubits of `time c controls… name …`; none for any other line."""
    if tokens[1:2] != ["c"]:
        return ()
    controls = []
    for token in tokens[2:]:
        if (qubit := _count(token)) is None:
            break
        controls.append(qubit)
    if not controls:
        text.fail(number, "a controlled gate needs at least one control qubit after 'c'")
    return tuple(controls)


def _check_gate(text: Text, number: int, gate: Gate, times: list[int], latest: int) -> None:
    """Check a gate against the circuit so far; records its time on its qubits in `times`."""
    if gate.time < latest:
        text.fail(number, f"time {gate.time} comes after time {latest}; times must not decrease")
    qubits = gate.controls + gate.qubits
    for position, qubit in enumerate(qubits):
        if qubit >= len(times):
            last = len(times) - 1
            text.fail(number, f"qubit {qubit} is out of range; the qubits are 0 to {last}")
        if qubit in qubits[:position]:
            text.fail(number, f"qubit {qubit} is repeated")
        if times[qubit] == gate.time:
            text.fail(number, f"qubit {qubit} is used twice at time {gate.time}")
    for qubit in qubits:
        times[qubit] = gate.time
    axes = len(gate.controls) + len(gate.qubits) * (1 if GATES[gate.name].diagonal else 2)
    if axes > MAX_AXES:
        text.fail(
            number,
            f"{len(gate.controls)} controls make a tensor of {axes} axes, "
            f"more than the {MAX_AXES} accepted",
        )


def _count(token: str) -> int | None:
    return int(token) if token.isascii() and token.isdigit() and len(token) < 19 else None


def _qubit(text: Text, number: int, token: str) -> int:
    qubit = _count(token)
    if qubit is None:
        text.fail(number, f"expected a qubit (a whole number), found {token!r}")
    return qubit


def _param(text: Text, number: int, token: str) -> float:
    try:
        value = float(token)
    except ValueError:
        value = nan
    if not isfinite(value):
        text.fail(number, f"expected a finite parameter, found {token!r}")
    return value


def _basis_vector(bit: int, dtype: np.dtype) -> np.ndarray:
    vector = np.zeros(2, dtype=dtype)
    vector[bit] = 1
    return vector


def _norm(tensor: np.ndarray) -> float:
    flat = tensor.ravel().astype(np.complex128)
    return sqrt(np.vdot(flat, flat).real)
