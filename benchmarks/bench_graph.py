"""The node graph against google/TensorNetwork: the same code with another import.

    python benchmarks/bench_graph.py [--quick] [--cpu] [--only TEXT] [--json FILE] [--write]

Small cases: one call each, repeated; nodes that a case contracts are made before the clock starts
unless it says "made". Whole networks: first, the nodes are made, connected and contracted by
`contractors.auto`, here with all plans and programs forgotten, so that planning and compiling
count; then, the same network is contracted again with other values: there by the same calls
(nothing can be kept), here by a network that `compile_network` made before. One process, in turns,
the best run counts; values are compared. --write puts the tables into benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import opt_einsum
from cases import from_edges, ladder, lattice, mps_overlap, regular_graph, sycamore, tree_edges
from results import write_section

import tensornet
from tensornet._kernels import info
from tensornet.expr import Expr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensornetwork

Array = np.ndarray[Any, Any]
LIBRARIES: dict[str, Any] = {"tensornet": tensornet, "TensorNetwork": tensornetwork}
REPEATS = 4  # runs per turn
clock = time.perf_counter
PEER_WIDTH = 26  # wider trees of its greedy search are left out for TensorNetwork


class Network(NamedTuple):
    """What to write down as nodes: arrays, and which of their axes are joined."""

    expr: Expr
    arrays: list[Array]
    pairs: list[tuple[tuple[int, int], tuple[int, int]]]
    hubs: list[list[tuple[int, int]]]

    @classmethod
    def of(cls, expr: Expr, arrays: list[Array]) -> Network:
        """An edge for each index on two operands, a copy node for each on more."""
        ends: list[list[tuple[int, int]]] = [[] for _ in expr.sizes]
        for position, term in enumerate(expr.inputs):
            for axis, index in enumerate(term):
                ends[index].append((position, axis))
        pairs = [(places[0], places[1]) for places in ends if len(places) == 2]
        return cls(expr, arrays, pairs, [places for places in ends if len(places) > 2])

    def nodes(self, library: ModuleType) -> list[Any]:
        """The nodes, connected."""
        nodes = [library.Node(array) for array in self.arrays]
        for (one, axis1), (other, axis2) in self.pairs:
            nodes[one][axis1] ^ nodes[other][axis2]
        for places in self.hubs:
            position, axis = places[0]
            hub = library.CopyNode(len(places), self.arrays[position].shape[axis])
            for k, (position, axis) in enumerate(places):
                hub[k] ^ nodes[position][axis]
            nodes.append(hub)
        return nodes


# Small cases: each makes, for one library, what to do before the clock starts and the call itself.

Case = tuple[Callable[[], Any], Callable[[Any], Any]]
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]])


def pair(library: ModuleType) -> tuple[Any, Any]:
    a, b = library.Node(MATRIX), library.Node(MATRIX)
    a[1] ^ b[0]
    return a, b


def contract_pair(library: ModuleType) -> Case:
    return lambda: pair(library), lambda nodes: library.contract_between(*nodes).tensor


def make_and_contract_pair(library: ModuleType) -> Case:
    return lambda: None, lambda _: library.contract_between(*pair(library)).tensor


def make_pair(library: ModuleType) -> Case:
    return lambda: None, lambda _: pair(library)


def ncon_pair(library: ModuleType) -> Case:
    tensors, structure = [MATRIX, MATRIX], [(-1, 1), (1, -2)]
    return lambda: None, lambda _: library.ncon(tensors, structure)


def chain(library: ModuleType) -> Case:
    vector = np.array([0.5, 0.25])
    arrays = [vector, *[MATRIX / 5] * 98, vector]
    edges = [(k, k + 1) for k in range(99)]
    network = Network.of(from_edges(100, edges, 2, "float64")[0], arrays)
    return lambda: None, lambda _: auto(library, network.nodes(library))


def mps_norm(library: ModuleType) -> Case:
    network = Network.of(*mps_overlap(100, 8, "float64"))
    return lambda: None, lambda _: auto(library, network.nodes(library))


def copy_node(library: ModuleType) -> Case:
    vectors = [np.linspace(k, k + 1, 50) for k in range(4)]

    def contract(_: Any) -> Any:
        hub = library.CopyNode(4, 50)
        nodes = [library.Node(vector) for vector in vectors]
        for k, node in enumerate(nodes):
            hub[k] ^ node[0]
        return auto(library, [*nodes, hub])

    return lambda: None, contract


def auto(library: ModuleType, nodes: list[Any]) -> Any:
    return library.contractors.auto(nodes).tensor


# name, case, target in microseconds (0: none), target as a ratio, calls per turn
SMALL: list[tuple[str, Callable[[ModuleType], Case], float, float, int]] = [
    ("contract_between of 2 x 2 nodes", contract_pair, 5, 8, 300),
    ("the same, nodes made and connected", make_and_contract_pair, 0, 0, 300),
    ("ncon of two 2 x 2 tensors", ncon_pair, 6, 14, 300),
    ("two nodes made and connected", make_pair, 4, 3.5, 300),
    ("auto on a chain of 100 nodes, bond 2, made", chain, 700, 10, 3),
    ("norm of an MPS of 100 sites, bond 8, made", mps_norm, 1200, 16, 2),
    ("rank-4 CopyNode of dimension 50, made", copy_node, 200, 300, 3),
]


def time_calls(case: Case, calls: int) -> float:
    """Seconds of one of `calls` calls; what they are given is made before."""
    prepare, call = case
    given = [prepare() for _ in range(calls)]
    start = clock()
    for each in given:
        call(each)
    return (clock() - start) / calls


def measure_small(turns: int, only: str) -> list[dict[str, Any]]:
    rows = []
    for name, make, target, ratio, calls in SMALL:
        if only not in name:
            continue
        cases = {who: make(library) for who, library in LIBRARIES.items()}
        best = dict.fromkeys(cases, float("inf"))
        first = float("inf")
        for _ in range(turns):
            for who, case in cases.items():
                tensornet.clear_cache()
                if who == "tensornet":
                    first = min(first, time_calls(case, 1))
                best[who] = min(best[who], time_calls(case, calls))
        rows.append({"case": name, "target": target, "ratio": ratio, "first": first, **best})
    return rows


def small_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| case | TensorNetwork | tensornet | ratio | target | tensornet, first time |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        theirs, ours, first = [1e6 * row[x] for x in ("TensorNetwork", "tensornet", "first")]
        target = f"{row['ratio']:g} ({row['target']:g} us)" if row["target"] else ""
        lines.append(
            f"| {row['case']} | {theirs:.4g} us | {ours:.4g} us | {theirs / ours:.1f} | "
            f"{target} | {first:.4g} us |"
        )
    return "\n".join(lines)


# Whole networks


def networks(quick: bool) -> dict[str, Callable[[], tuple[Expr, list[Array]]]]:
    sizes = (60,) if quick else (60, 80, 100)
    return {
        **{f"3-regular {n}, extents 2": lambda n=n: regular_graph(n, "float64") for n in sizes},
        "lattice 6x6, extents 2": lambda: lattice(6, 2, "float64"),
        "lattice 8x8, extents 2": lambda: lattice(8, 2, "float64"),
        "lattice 10x10, extents 2": lambda: lattice(10, 2, "float64"),
        "ladder 100, extents 2": lambda: ladder(100, "float64"),
        "tree of 500, extents 2": lambda: from_edges(500, tree_edges(500), 2, "float64"),
        "MPS overlap 100, bond 4": lambda: mps_overlap(100, 4, "float64"),
    }


def width_of_greedy(expr: Expr) -> float:
    """log2 of the largest tensor on the path that `contractors.auto` of TensorNetwork takes."""
    symbols = [opt_einsum.get_symbol(k) for k in range(len(expr.sizes))]
    equation = ",".join(["".join([symbols[k] for k in term]) for term in expr.inputs]) + "->"
    report = opt_einsum.contract_path(equation, *expr.shapes, shapes=True, optimize="auto")[1]
    return math.log2(report.largest_intermediate)


def measure_network(expr: Expr, arrays: list[Array], seconds: float) -> dict[str, Any]:
    others = [array[..., ::-1] * 1.25 for array in arrays]
    others = [np.ascontiguousarray(array) for array in others]
    network, other = Network.of(expr, arrays), Network.of(expr, others)
    compiled = tensornet.compile_network(network.nodes(tensornet))
    fits = width_of_greedy(expr) <= PEER_WIDTH

    def first() -> Any:
        return auto(tensornet, network.nodes(tensornet))

    def theirs() -> Any:
        return auto(tensornetwork, other.nodes(tensornetwork))

    value = float(compiled(others))
    if fits and not math.isclose(float(theirs()), value, rel_tol=1e-6):
        raise SystemExit(f"TensorNetwork disagrees: {float(theirs())} and {value}")
    best = dict.fromkeys(("TensorNetwork", "first", "again"), float("inf"))
    begin, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - begin < seconds:
        for _ in range(REPEATS):  # the first of a turn finds the caches of the other
            if fits:
                best["TensorNetwork"] = min(best["TensorNetwork"], timed(theirs))
        for _ in range(REPEATS):
            best["again"] = min(best["again"], timed(lambda: compiled(others)))
        for _ in range(REPEATS):
            tensornet.clear_cache()
            compiled(others)  # which has its own program, so that there is memory to run in
            best["first"] = min(best["first"], timed(first))
        rounds += 1
    return {"nodes": len(expr.inputs), "macs": compiled.plan.macs, **best}


def timed(run: Callable[[], Any]) -> float:
    start = clock()
    run()
    return clock() - start


def network_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | nodes | log10 macs | TensorNetwork | tensornet, first | ratio "
        "| compiled, again | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    means: dict[str, list[float]] = {"first": [], "again": []}
    for row in rows:
        theirs = row["TensorNetwork"]
        text = f"{1e3 * theirs:.4g} ms" if theirs < math.inf else "does not fit"
        cells = [f"{row['network']}", f"{row['nodes']}", f"{math.log10(row['macs']):.1f}", text]
        for what, ratios in means.items():
            cells.append(f"{1e3 * row[what]:.4g} ms")
            cells.append(f"{theirs / row[what]:.1f}" if theirs < math.inf else "")
            if theirs < math.inf:
                ratios.append(theirs / row[what])
        lines.append(f"| {' | '.join(cells)} |")
    first, again = [float(np.exp(np.mean(np.log(ratios)))) for ratios in means.values()]
    lines += ["", f"Geometric means of the ratios: first {first:.1f}, again {again:.0f}."]
    return "\n".join(lines)


def measure_sycamore() -> str:
    """One amplitude of the circuit that ships with the package, as a network of nodes."""
    expr, arrays = sycamore("complex64")
    nodes = Network.of(expr, list(arrays)).nodes(tensornet)
    start = clock()
    value = tensornet.contractors.auto(nodes, memory_limit="4GB").tensor
    seconds = clock() - start
    return (
        f'Sycamore m10, {len(nodes)} nodes, `auto` with memory_limit="4GB": {seconds:.1f} s, '
        f"planning included, amplitude {complex(value):.4g}. The widest tensor on TensorNetwork's "
        f"path has 2^{width_of_greedy(expr):.0f} entries."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns, without Sycamore")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--cpu", action="store_true", help="CPU time, for a busy machine")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="update RESULTS.md")
    options = parser.parse_args()
    global clock
    if options.cpu:
        clock = time.thread_time
        tensornet.set_num_threads(1)
    small = measure_small(5 if options.quick else 15, options.only)
    print(small_table(small), flush=True)
    rows = []
    for name, make in networks(options.quick).items():
        if options.only in name:
            row = {"network": name, **measure_network(*make(), 0.5 if options.quick else 2.0)}
            rows.append(row)
            print(network_table([row]).splitlines()[2], file=sys.stderr, flush=True)
    heading = (
        f"tensornet {tensornet.__version__}, {info()['isa']} kernels, "
        f"{tensornet.get_num_threads()} threads, TensorNetwork {tensornetwork.__version__}, "
        f"NumPy {np.__version__}, opt_einsum {opt_einsum.__version__}, "
        f"{'CPU time, ' if options.cpu else ''}Python {platform.python_version()}"
    )
    parts = [heading, small_table(small), network_table(rows) if rows else ""]
    if not options.quick:
        parts.append(measure_sycamore())
    text = "\n\n".join(part for part in parts if part) + "\n"
    print(text)
    if options.json:
        Path(options.json).write_text(json.dumps({"small": small, "networks": rows}, indent=1))
    if options.write:
        write_section("graph", text)


if __name__ == "__main__":
    main()
