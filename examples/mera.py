"""The energy of a binary MERA for the critical Ising chain, lowered tensor by tensor.

A ring of 8 spins, H = -sum Z Z - sum X. From below: disentanglers u on neighbouring pairs,
isometries w on the pairs shifted by one, the same once more, and a tensor on top. All tensors of a
layer are equal. To improve one, the energy is seen as linear in its conjugate: with the singular
value decomposition of its environment, U s V, the best unitary is -U V (Evenbly & Vidal 2009).

Every environment is a network that never changes; only the tensors in it do. So each is compiled
once, by `compile_network`, and then contracted with the tensors of the moment.

    python examples/mera.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn

SPINS, SWEEPS = 8, 200
AXES = {"u": ["o0", "o1", "i0", "i1"], "w": ["top", "i0", "i1"], "t": ["i0", "i1"]}
Tensors = dict[str, np.ndarray]


def hamiltonian() -> np.ndarray:
    """The term on two neighbours, (out, out, in, in), shifted so that it is negative."""
    x, z, one = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0]), np.eye(2)
    term = -np.kron(z, z) - (np.kron(x, one) + np.kron(one, x)) / 2
    return (term - SHIFT * np.eye(4)).reshape(2, 2, 2, 2)


SHIFT = 2.0  # at least the largest eigenvalue of the term


def exact_energy() -> float:
    """Of the ring, by diagonalising the dense Hamiltonian."""
    term = (hamiltonian().reshape(4, 4) + SHIFT * np.eye(4)).reshape(2, 2, 2, 2)
    basis = np.eye(2**SPINS).reshape((2,) * SPINS + (-1,))
    total = np.zeros_like(basis)
    for k in range(SPINS):
        pair = (k, (k + 1) % SPINS)
        total += np.moveaxis(np.tensordot(term, basis, ([2, 3], pair)), (0, 1), pair)
    return float(np.linalg.eigvalsh(total.reshape(2**SPINS, 2**SPINS))[0])


def mera_state(star: str) -> tuple[list[tn.Node], list[tn.Edge]]:
    """The nodes of the state, named after their tensor (and `star`), and the edges of the spins."""
    nodes: list[tn.Node] = []

    def add(kind: str, layer: int) -> tn.Node:
        shape = (2,) * len(AXES[kind])
        name = f"{kind}{layer}{star}"
        nodes.append(tn.Node(np.zeros(shape), name=name, axis_names=AXES[kind]))
        return nodes[-1]

    lower: list[tn.Edge] = []
    upper: list[tn.Edge] = []
    for layer, count in enumerate((SPINS, SPINS // 2)):
        us = [add("u", layer) for _ in range(count // 2)]  # on the sites 2k, 2k + 1
        ws = [add("w", layer) for _ in range(count // 2)]  # on the sites 2k + 1, 2k + 2
        for k, w in enumerate(ws):
            us[k]["i1"] ^ w["i0"]
            us[(k + 1) % len(us)]["i0"] ^ w["i1"]
        outs = [u[out] for u in us for out in ("o0", "o1")]
        if layer:
            for edge, site in zip(upper, outs):
                edge ^ site
        else:
            lower = outs
        upper = [w["top"] for w in ws]
    top = add("t", 2)
    for axis, edge in enumerate(upper):
        top[axis] ^ edge
    return nodes, lower


def energy_network(first: int) -> list[tn.Node]:
    """<state| term on the spins first, first + 1 |state>."""
    (kets, low), (bras, high) = mera_state(""), mera_state("*")
    term = tn.Node(hamiltonian(), name="h")
    touched = [first, (first + 1) % SPINS]
    for axis, k in enumerate(touched):
        high[k] ^ term[axis]
        term[axis + 2] ^ low[k]
    for k in set(range(SPINS)) - set(touched):
        high[k] ^ low[k]
    return [*kets, *bras, term]


Compiled = tuple[tn.CompiledNetwork, list[str]]


def compiled_energies() -> list[Compiled]:
    """Two terms stand for all: the others are like one of them, shifted by two spins."""
    networks = [energy_network(first) for first in (0, 1)]
    return [_compiled(nodes, ()) for nodes in networks]


def compiled_environments() -> dict[str, list[Compiled]]:
    """For each tensor, the networks of the energy without one of its conjugates."""
    found: dict[str, list[Compiled]] = {}
    for first in (0, 1):
        count = len(energy_network(first))
        for position in range(count):
            nodes = energy_network(first)
            hole = nodes.pop(position)
            if hole.name.endswith("*"):
                found.setdefault(hole.name[:-1], []).append(_compiled(nodes, hole.edges))
    return found


def _compiled(nodes: list[tn.Node], order: list[tn.Edge] | tuple[()]) -> Compiled:
    compiled = tn.compile_network(nodes, order, constants=[n for n in nodes if n.name == "h"])
    return compiled, [name.removesuffix("*") for name in compiled.names]


def run(network: Compiled, tensors: Tensors) -> np.ndarray:
    compiled, names = network
    return compiled([tensors[name] for name in names])


def isometric(tensor: np.ndarray, kind: str) -> np.ndarray:
    """The nearest tensor that is unitary (u), isometric (w) or normalised (t)."""
    rows = {"u": 2, "w": 1, "t": 0}[kind]
    matrix = tensor.reshape(2**rows, -1)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return (left @ right).reshape(tensor.shape)


def main() -> None:
    rng = np.random.default_rng(1)
    environments, energies = compiled_environments(), compiled_energies()
    tensors = {name: rng.standard_normal((2,) * len(AXES[name[0]])) for name in environments}
    tensors |= {name: isometric(tensor, name[0]) for name, tensor in tensors.items()}

    def energy() -> float:
        pair = sum(float(run(network, tensors)) for network in energies)
        return SPINS / 2 * pair + SPINS * SHIFT

    exact = exact_energy()
    print(f"exact energy of the ring     {exact:.8f}")
    print(f"MERA of random tensors       {energy():.8f}")
    for sweep in range(1, SWEEPS + 1):
        for name in tensors:
            environment = sum(run(network, tensors) for network in environments[name])
            tensors[name] = -isometric(environment, name[0])
        if sweep in (1, 20, SWEEPS):
            print(f"after {sweep:3} sweeps             {energy():.8f}")
    if not exact - 1e-9 <= energy() <= 0.995 * exact:
        raise SystemExit("the energy is not within 0.5% above the exact one")


if __name__ == "__main__":
    main()
