"""Gradients: of whole networks beside their values, and of a small eager step beside torch's.

The part of bench_nn.py for derivatives. Value and gradients are those of `value_and_grad` with
respect to all tensors, the forward time that of the program that `plan` compiles; both along the
same tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bench_kernels import best_times
from cases import lattice, mps_overlap, regular_graph

import tensornet as tn

Row = dict[str, Any]

NETWORKS = [
    *[("3-regular, 100 tensors", "complex64", seed) for seed in range(3)],
    ("3-regular, 100 tensors", "float64", 0),
    ("lattice 6x6, dims 4", "float64", 0),
    ("MPS overlap, 100 sites, bond 32", "float64", 0),
]


def network(name: str, dtype: str, seed: int, seconds: float) -> Row:
    if name.startswith("3"):
        expr, arrays = regular_graph(100, dtype, seed=seed)
    else:
        expr, arrays = lattice(6, 4, dtype) if name[0] == "l" else mps_overlap(100, 32, dtype)
    plan = tn.plan_expr(expr, "auto", dtype=dtype)
    program = plan.compile()

    def value(*tensors: Any) -> Any:
        return tn.real(program(*tensors))

    both = tn.value_and_grad(value, tuple(range(len(arrays))))
    runners = {"forward": lambda: program(*arrays), "gradients": lambda: both(*arrays)}
    title = f"{name}, {dtype}, {plan.macs:,} macs"
    return {"case": title, "seconds": best_times(runners, seconds)}


def step(torch: Any, seconds: float) -> Row:
    """x @ w + b, relu, mean of squares, and the gradients to w, b and x: forward and backward."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=shape).astype("f4") for shape in ((32, 128), (128, 128), (128,)))
    given = [torch.from_numpy(each.copy()).requires_grad_() for each in (x, w, b)]

    def loss(x: Any, w: Any, b: Any) -> Any:
        y = tn.ops.relu(x @ w + b)
        return tn.mean(y * y)

    both = tn.value_and_grad(loss, (0, 1, 2))

    def theirs() -> None:
        tx, tw, tb = given
        y = torch.relu(tx @ tw + tb)
        torch.autograd.grad((y * y).mean(), given)

    times = best_times({"gradients": lambda: both(x, w, b), "torch": theirs}, seconds)
    return {"case": "dense 128x128, batch 32, eager", "seconds": times}


def table(rows: list[Row]) -> str:
    lines = [
        "| gradients | forward | value and gradients | torch | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        times = row["seconds"]
        cells = [
            f"{1e3 * times[name]:.3g} ms" if name in times else ""
            for name in ("forward", "gradients", "torch")
        ]
        other = times.get("forward", times.get("torch"))
        lines.append(f"| {row['case']} | {' | '.join(cells)} | {times['gradients'] / other:.2f} |")
    return "\n".join(lines)


def rows(torch: Any, seconds: float) -> list[Row]:
    return [*[network(*case, seconds) for case in NETWORKS], step(torch, seconds)]
