"""Networks to measure with: each a function that returns (Expr, arrays)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tensornet.expr import Expr, from_labels
from tensornet.formats import read_circuit, read_network, read_uai

Case = tuple[Expr, list[np.ndarray[Any, Any]]]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def fill(expr: Expr, dtype: str, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Normal entries, scaled so that the value of the network stays in range."""
    rng = np.random.default_rng(seed)
    arrays = []
    for shape in expr.shapes:
        array = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            array = (array + 1j * rng.standard_normal(shape)) / np.sqrt(2)
        arrays.append((array / max(1, array.size) ** 0.25).astype(dtype))
    return arrays


def graph_expr(n: int, edges: list[tuple[int, int]], extent: int = 2) -> Expr:
    """One tensor per vertex, one index per edge."""
    terms: list[list[int]] = [[] for _ in range(n)]
    for label, (u, v) in enumerate(edges):
        terms[u].append(label)
        terms[v].append(label)
    return from_labels(terms, (), dict.fromkeys(range(len(edges)), extent))


def regular_edges(n: int, degree: int = 3, seed: int = 0) -> list[tuple[int, int]]:
    """A random regular graph without loops or parallel edges."""
    rng = np.random.default_rng(seed)
    while True:
        stubs = rng.permutation(np.repeat(np.arange(n), degree)).reshape(-1, 2)
        edges = {(int(min(pair)), int(max(pair))) for pair in stubs}
        if len(edges) == n * degree // 2 and all(u != v for u, v in edges):
            return sorted(edges)


def lattice_edges(rows: int, columns: int) -> list[tuple[int, int]]:
    """A square lattice with open boundaries."""
    m = columns
    edges = [(m * i + j, m * i + j + 1) for i in range(rows) for j in range(m - 1)]
    return edges + [(m * i + j, m * (i + 1) + j) for i in range(rows - 1) for j in range(m)]


def tree_edges(n: int, seed: int = 0) -> list[tuple[int, int]]:
    """A random recursive tree: each vertex hangs on one of those before it."""
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(v)), v) for v in range(1, n)]


def from_edges(n: int, edges: list[tuple[int, int]], extent: int, dtype: str) -> Case:
    """The network of a graph, with values."""
    expr = graph_expr(n, edges, extent)
    return expr, fill(expr, dtype)


def regular_graph(n: int, dtype: str, degree: int = 3, seed: int = 0) -> Case:
    """A random regular graph, all extents 2."""
    return from_edges(n, regular_edges(n, degree, seed), 2, dtype)


def lattice(side: int, extent: int, dtype: str) -> Case:
    """A square lattice with open boundaries."""
    return from_edges(side * side, lattice_edges(side, side), extent, dtype)


def ladder(length: int, dtype: str) -> Case:
    """Two rails and their rungs, all extents 2."""
    edges = [(2 * i, 2 * i + 1) for i in range(length)]
    edges += [(2 * i + r, 2 * i + 2 + r) for i in range(length - 1) for r in (0, 1)]
    return from_edges(2 * length, edges, 2, dtype)


def mps_overlap(sites: int, bond: int, dtype: str) -> Case:
    """The inner product of two matrix product states of physical extent 2."""
    terms = []
    sizes: dict[tuple[str, int], int] = {}
    for name in ("ket", "bra"):
        for site in range(sites):
            term = [(name, site)] * (site > 0) + [("p", site)]
            term += [(name, site + 1)] * (site < sites - 1)
            terms.append(term)
            sizes |= {label: 2 if label[0] == "p" else bond for label in term}
    expr = from_labels(terms, (), sizes)
    return expr, fill(expr, dtype)


def matrix_chain(length: int, dtype: str, seed: int = 0) -> Case:
    """A product of matrices with extents from 10 to 400."""
    extents = np.random.default_rng(seed).integers(10, 400, length + 1)
    expr = from_labels(
        [(i, i + 1) for i in range(length)], (0, length), dict(enumerate(map(int, extents)))
    )
    return expr, fill(expr, dtype)


def huge_product(extent: int, dtype: str) -> Case:
    """Two tensors that meet in three axes of six, each times a small matrix: one step is all."""
    terms = ["abcdef", "defghi", "aA", "iI"]
    expr = from_labels(terms, "AbcghI", dict.fromkeys("abcdefghiAI", extent))
    return expr, fill(expr, dtype)


def sycamore(dtype: str) -> Case:
    """One amplitude of the circuit that ships with the package."""
    circuit = read_circuit(str(files("tensornet") / "data" / "sycamore_n53_m10.qsim"))
    expr, arrays = circuit.amplitude("0" * circuit.n_qubits, np.dtype(dtype))
    return expr, list(arrays)


def uai(name: str, dtype: str) -> Case:
    """A graphical model with its evidence applied, each table scaled to a mean of one."""
    model = read_uai(SHARED / "uai" / f"{name}.uai")
    arrays = [(a / a.mean() if a.sum() else a).astype(dtype) for a in model.arrays]
    return model.expr, arrays


def network_cases(quick: bool) -> Iterator[tuple[str, str, Callable[[], Case]]]:
    """(name, dtype, maker) of every network of the benchmark."""
    for dtype in ("float64", "complex64"):
        for n in (40, 60) if quick else (60, 80, 100, 120):
            yield f"3-regular {n}, extents 2", dtype, lambda n=n, d=dtype: regular_graph(n, d)
        yield "lattice 8x8, extents 2", dtype, lambda d=dtype: lattice(8, 2, d)
        yield "lattice 6x6, extents 4", dtype, lambda d=dtype: lattice(6, 4, d)
        yield "ladder 100, extents 2", dtype, lambda d=dtype: ladder(100, d)
        for bond in (2, 8, 32, 90):
            yield (
                f"MPS overlap 100, bond {bond}",
                dtype,
                lambda b=bond, d=dtype: mps_overlap(100, b, d),
            )
        yield "matrix chain 50", dtype, lambda d=dtype: matrix_chain(50, d)
        extent = 8 if quick else 12
        name = f"huge product {extent**3}"
        yield name, dtype, lambda e=extent, d=dtype: huge_product(e, d)
    if SHARED.exists():
        for name in ("Grids_12", "Promedus_24", "Promedus_30", "Pedigree_12", "Segmentation_11"):
            yield f"UAI {name}", "float64", lambda name=name: uai(name, "float64")
    if not quick:
        yield "Sycamore m10 amplitude", "complex64", lambda: sycamore("complex64")


def simplified(expr: Expr) -> Expr:
    """The network after all pairwise steps whose result is no larger than an operand of theirs."""
    terms: dict[int, set[int]] = {number: set(term) for number, term in enumerate(expr.inputs)}
    holders: dict[int, set[int]] = {}
    for number, term in terms.items():
        for index in term:
            holders.setdefault(index, set()).add(number)
    todo = list(terms)
    while todo:
        a = todo.pop()
        for b in sorted({n for index in terms.get(a, ()) for n in holders[index]} - {a}):
            both = terms[a] | terms[b]
            result = {i for i in both if i in expr.output or holders[i] - {a, b}}
            if len(result) <= max(len(terms[a]), len(terms[b])):
                for index in both:
                    holders[index] -= {a, b}
                    if index in result:
                        holders[index].add(a)
                del terms[b]
                terms[a] = result
                todo.append(a)
                break
    sizes = dict(enumerate(expr.sizes))
    kept = {index for term in terms.values() for index in term}
    return from_labels(
        [sorted(term) for term in terms.values()], expr.output, {i: sizes[i] for i in kept}
    )


def plan_cases(folder: Path) -> Iterator[tuple[str, Expr]]:
    """The networks to plan: of every *.json.gz and every circuit *.qsim (an amplitude, simplified)
    in the folder, or a few made here if there are none."""
    paths = sorted([*folder.glob("*.json.gz"), *folder.glob("*.qsim")])
    for path in paths:
        if path.suffix == ".qsim":
            circuit = read_circuit(str(path))
            expr, _ = circuit.amplitude("0" * circuit.n_qubits, np.dtype("complex64"))
            yield path.stem, simplified(expr)
        else:
            yield path.name.removesuffix(".json.gz"), read_network(str(path)).expr
    if paths:
        return
    yield "3-regular 80", graph_expr(80, regular_edges(80))
    yield "5-regular 50", graph_expr(50, regular_edges(50, 5))
    yield "lattice 10x10, extents 4", graph_expr(100, lattice_edges(10, 10), 4)
    yield "MPS overlap 100, bond 32", mps_overlap(100, 32, "float32")[0]
    yield "matrix chain 100", matrix_chain(100, "float32")[0]
    yield "tree 1000", graph_expr(1000, tree_edges(1000))
    yield "Sycamore m10 amplitude", sycamore("complex64")[0]


def giant_case(name: str, n: int) -> Expr:
    """A network of about n tensors."""
    if name == "3-regular":
        return graph_expr(n, regular_edges(n))
    if name == "lattice":
        return graph_expr(n, lattice_edges(n // int(n**0.5), int(n**0.5)))
    return graph_expr(n, [(v - 1, v) for v in range(1, n)] if name == "chain" else tree_edges(n))
