"""A tree tensor network for the ground state of a small spin chain.

The transverse-field Ising chain of 8 spins, H = -sum Z Z - g sum X with open ends. The tree joins
pairs of spins, then pairs of pairs. Each isometry keeps the states of its block that carry the most
weight in the exact ground state (found by diagonalisation, so that the tree can be checked). The
energy of the tree is then contracted term by term, and falls towards the exact one as more states
are kept.

    python examples/tree_tensor_network.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn

SPINS, FIELD = 8, 1.0
X, Z = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
BOND = -np.einsum("ik,jl->ijkl", Z, Z)  # outgoing indices i, j, incoming k, l
SITE = -FIELD * X


def dense_hamiltonian() -> np.ndarray:
    total = np.zeros((2**SPINS, 2**SPINS))
    terms = [(k, BOND.reshape(4, 4)) for k in range(SPINS - 1)] + [(k, SITE) for k in range(SPINS)]
    for first, term in terms:
        after = 2**SPINS // (2**first * len(term))
        total += np.kron(np.kron(np.eye(2**first), term), np.eye(after))
    return total


def block_states(state: np.ndarray, axes: tuple[int, int], keep: int) -> np.ndarray:
    """The isometry (state kept, axis, axis) onto the heaviest states of two axes."""
    block = np.moveaxis(state, axes, (0, 1))
    matrix = block.reshape(block.shape[0] * block.shape[1], -1)
    vectors = np.linalg.svd(matrix, full_matrices=False)[0][:, :keep]
    return vectors.T.reshape(-1, *block.shape[:2])


def tree_of(state: np.ndarray, keep: tuple[int, int]) -> tuple[list[tn.Node], list[tn.Edge]]:
    """The nodes of the tree, and the open edge of each spin."""
    nodes: list[tn.Node] = []
    below: list[tn.Edge | None] = [None] * SPINS
    spins: list[tn.Edge] = []
    for most in keep:
        above: list[tn.Edge | None] = []
        pairs = len(below) // 2
        isometries = [block_states(state, (2 * k, 2 * k + 1), most) for k in range(pairs)]
        for k, isometry in enumerate(isometries):
            node = tn.Node(isometry, name=f"w{len(nodes)}", axis_names=["up", "left", "right"])
            for side, edge in zip(("left", "right"), below[2 * k : 2 * k + 2]):
                if edge is None:
                    spins.append(node[side])
                else:
                    node[side] ^ edge
            nodes.append(node)
            above.append(node["up"])
            # The state of the blocks: pair k of axes becomes axis k.
            state = np.moveaxis(np.tensordot(isometry, state, ([1, 2], [k, k + 1])), 0, k)
        below = above
    top = tn.Node(state / np.linalg.norm(state), name="top")
    for axis, edge in enumerate(below):
        top[axis] ^ edge
    return [*nodes, top], spins


def expectation(nodes: list[tn.Node], spins: list[tn.Edge], term: np.ndarray, first: int) -> float:
    """<tree| term |tree>, the term on one spin or on two neighbours; the tree stays as it is."""
    kets, edges = tn.copy(nodes)
    bras, twins = tn.copy(nodes, conjugate=True)
    count = term.ndim // 2
    operator = tn.Node(term)
    for k, spin in enumerate(spins):
        if first <= k < first + count:
            twins[spin] ^ operator[k - first]
            operator[k - first + count] ^ edges[spin]
        else:
            twins[spin] ^ edges[spin]
    return float(tn.contractors.auto([*kets.values(), *bras.values(), operator]).tensor)


def tree_energy(state: np.ndarray, keep: tuple[int, int]) -> float:
    nodes, spins = tree_of(state, keep)
    bonds = [expectation(nodes, spins, BOND, k) for k in range(SPINS - 1)]
    return sum(bonds) + sum(expectation(nodes, spins, SITE, k) for k in range(SPINS))


def main() -> None:
    energies, vectors = np.linalg.eigh(dense_hamiltonian())
    state = vectors[:, 0].reshape((2,) * SPINS)
    print(f"exact ground state energy        {energies[0]:.10f}")
    before = np.inf
    for keep in [(2, 2), (3, 4), (3, 6), (4, 16)]:
        energy = tree_energy(state, keep)
        print(f"tree with {keep[0]} and {keep[1]:2} states a block   {energy:.10f}")
        if not energies[0] - 1e-9 <= energy <= before + 1e-9:
            raise SystemExit("the energy must fall, and stay above the exact one")
        before = energy
    if abs(before - energies[0]) > 1e-9:
        raise SystemExit("with all states kept the tree must be exact")


if __name__ == "__main__":
    main()
