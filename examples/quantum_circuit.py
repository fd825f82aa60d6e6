"""A quantum circuit as a tensor network: amplitudes and entanglement of a GHZ state.

One Hadamard gate and a chain of CNOT gates bring n qubits into (|00...0> + |11...1>) / sqrt(2).
A CNOT is a copy node on the control and an XOR tensor on the target. Only single amplitudes and
small density matrices are computed, never the 2**n entries of the state.

    python examples/quantum_circuit.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn

HADAMARD = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
XOR = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])


def apply_hadamard(qubits: list[tn.Edge], target: int) -> None:
    gate = tn.Node(HADAMARD, name="H", axis_names=["out", "in"])
    qubits[target] ^ gate["in"]
    qubits[target] = gate["out"]


def apply_cnot(qubits: list[tn.Edge], control: int, target: int) -> None:
    dot = tn.CopyNode(3, 2, name="dot", axis_names=["in", "out", "link"])
    plus = tn.Node(XOR, name="plus", axis_names=["out", "in", "link"])
    dot["link"] ^ plus["link"]
    qubits[control] ^ dot["in"]
    qubits[target] ^ plus["in"]
    qubits[control], qubits[target] = dot["out"], plus["out"]


def ghz_circuit(count: int) -> list[tn.Edge]:
    """The open edge of each of `count` qubits after the circuit."""
    qubits = [tn.Node([1.0, 0.0], name=f"q{k}")[0] for k in range(count)]
    apply_hadamard(qubits, 0)
    for k in range(count - 1):
        apply_cnot(qubits, k, k + 1)
    return qubits


def amplitude(count: int, bits: str) -> float:
    """<bits|GHZ>."""
    bras = [tn.Node(np.eye(2)[int(bit)], name=f"<{bit}|") for bit in bits]
    for qubit, bra in zip(ghz_circuit(count), bras):
        qubit ^ bra[0]
    return float(tn.contractors.auto(tn.reachable(bras)).tensor)


def density_of_first_qubit(count: int) -> np.ndarray:
    """The 2 x 2 density matrix of qubit 0, all others traced out."""
    first, *others = ghz_circuit(count)
    _, twin = tn.reduced_density(others)
    nodes = tn.reachable(first)
    return tn.contractors.auto(nodes, output_edge_order=[first, twin[first]]).tensor


def main() -> None:
    count = 50
    wanted = {"0" * count: 0.5**0.5, "1" * count: 0.5**0.5, "01" * (count // 2): 0.0}
    for bits, expected in wanted.items():
        value = amplitude(count, bits)
        print(f"<{bits}|GHZ> = {value:.12f}")
        if not np.isclose(value, expected, rtol=1e-12, atol=1e-15):
            raise SystemExit(f"expected {expected}")
    density = density_of_first_qubit(count)
    print(f"density matrix of one qubit: {density.round(12).tolist()}")
    if not np.allclose(density, np.eye(2) / 2):
        raise SystemExit("expected half the identity")


if __name__ == "__main__":
    main()
