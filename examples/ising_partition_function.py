"""The partition function of the two-dimensional Ising model, as a tensor network.

Every spin of an L x L torus is a copy node (all its axes carry the same spin value), every bond
between neighbours a 2 x 2 matrix of Boltzmann weights. Contracting the network sums over all
2**(L*L) configurations. The transfer matrix gives the same number another way.

    python examples/ising_partition_function.py
"""

from __future__ import annotations

import math

import numpy as np

import tensornet as tn


def ising_network(length: int, beta: float) -> list[tn.AbstractNode]:
    """Spins and bonds of a `length` x `length` torus at inverse temperature `beta`."""
    weights = np.exp(beta * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    spins = {
        (x, y): tn.CopyNode(4, 2, name=f"spin{x},{y}", axis_names=["right", "up", "left", "down"])
        for x in range(length)
        for y in range(length)
    }
    nodes: list[tn.AbstractNode] = list(spins.values())
    for (x, y), spin in spins.items():
        for out, back, neighbour in [
            ("right", "left", spins[(x + 1) % length, y]),
            ("up", "down", spins[x, (y + 1) % length]),
        ]:
            bond = tn.Node(weights, name="bond")
            spin[out] ^ bond[0]
            bond[1] ^ neighbour[back]
            nodes.append(bond)
    return nodes


def transfer_matrix_log(length: int, beta: float) -> float:
    """log Z of the same torus from the spectrum of its 2**length transfer matrix."""
    spins = 1 - 2 * ((np.arange(2**length)[:, None] >> np.arange(length)) & 1)
    row = beta * (spins * np.roll(spins, 1, axis=1)).sum(axis=1)
    matrix = np.exp(beta * spins @ spins.T + (row[:, None] + row) / 2)
    values = np.linalg.eigvalsh(matrix)
    return float(length * np.log(values[-1]) + np.log(np.sum((values / values[-1]) ** length)))


def main() -> None:
    length, beta = 8, math.log(1 + math.sqrt(2)) / 2
    nodes = ising_network(length, beta)
    partition_function = float(tn.contractors.auto(nodes).tensor)
    exact = transfer_matrix_log(length, beta)
    print(f"{length} x {length} Ising model at its critical point, {len(nodes)} nodes")
    print(f"log Z from the network          {math.log(partition_function):.12f}")
    print(f"log Z from the transfer matrix  {exact:.12f}")
    if not math.isclose(math.log(partition_function), exact, rel_tol=1e-12):
        raise SystemExit("the two disagree")


if __name__ == "__main__":
    main()
