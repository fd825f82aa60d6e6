"""Counting the solutions of a Boolean formula with a tensor network.

Each variable is a copy node: its axes carry one value, 0 or 1, to all clauses that it is in. Each
clause is a tensor of ones with a single zero, where all its literals are false. The value of the
network is the number of assignments that satisfy every clause.

    python examples/sat_counter.py
"""

from __future__ import annotations

import itertools

import numpy as np

import tensornet as tn

Clause = tuple[tuple[int, bool], ...]  # (variable, whether it is negated)


def random_formula(variables: int, clauses: int, seed: int) -> list[Clause]:
    rng = np.random.default_rng(seed)
    return [
        tuple((int(v), bool(rng.integers(2))) for v in rng.choice(variables, 3, replace=False))
        for _ in range(clauses)
    ]


def formula_network(variables: int, formula: list[Clause]) -> list[tn.AbstractNode]:
    """The nodes of a formula; a variable that no clause uses is free: a sum over two ones."""
    places: list[list[tn.Edge]] = [[] for _ in range(variables)]
    nodes: list[tn.AbstractNode] = []
    for clause in formula:
        table = np.ones((2,) * len(clause))
        table[tuple(int(negated) for _, negated in clause)] = 0.0  # all literals false
        node = tn.Node(table, name="clause")
        nodes.append(node)
        for axis, (variable, _) in enumerate(clause):
            places[variable].append(node[axis])
    for number, edges in enumerate(places):
        if edges:
            spread = tn.CopyNode(len(edges), 2, name=f"x{number}")
            for axis, edge in enumerate(edges):
                spread[axis] ^ edge
            nodes.append(spread)
        else:
            nodes.append(tn.Node(2.0, name=f"x{number} (free)"))
    return nodes


def count_by_trying(variables: int, formula: list[Clause]) -> int:
    return sum(
        all(any(values[v] != negated for v, negated in clause) for clause in formula)
        for values in itertools.product((False, True), repeat=variables)
    )


def main() -> None:
    for variables, clauses in [(12, 30), (14, 45), (14, 70)]:
        formula = random_formula(variables, clauses, seed=clauses)
        count = round(float(tn.contractors.auto(formula_network(variables, formula)).tensor))
        expected = count_by_trying(variables, formula)
        print(f"{variables} variables, {clauses} clauses: {count} of {2**variables} assignments")
        if count != expected:
            raise SystemExit(f"trying them all finds {expected}")
    variables, clauses = 80, 90
    nodes = formula_network(variables, random_formula(variables, clauses, seed=1))
    plan = tn.plan_network(nodes)
    count = round(float(tn.contractors.auto(nodes).tensor))
    print(f"{variables} variables, {clauses} clauses: {count:.6e} of {2**variables:.6e}")
    print(f"  largest tensor 2^{plan.width:.0f} entries, {plan.macs:,} multiply-adds")
    if not 0 < count < 2**variables:
        raise SystemExit("the count is out of range")


if __name__ == "__main__":
    main()
