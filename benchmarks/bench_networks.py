"""Whole networks on the same contraction tree: tensornet, cotengra and opt_einsum on NumPy, torch.

    python benchmarks/bench_networks.py [--quick] [--threads N] [--json FILE] [--write]
    python benchmarks/bench_networks.py --scaling --threads N

All get the same arrays and the same tree (tensornet's plan), run in one process, take turns, and
the best of several runs counts. torch runs the steps of opt_einsum; tensornet cuts large trees
into slices for the caches, as `einsum` does. Planning is not measured
here; compiling is left out for all (a Program, a ContractionTree and a ContractExpression are
reused). The bound of a network is the sum over its steps of the larger of their arithmetic at the
peak of a matrix product and their bytes beyond the last cache at the bandwidth of a copy, both
measured in the same run. --write puts the table into benchmarks/RESULTS.md. --scaling compares one
thread with N, alone: threads of the peers would spin on the cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if "--threads" in sys.argv:  # before the imports that read it
    THREADS = sys.argv[sys.argv.index("--threads") + 1]
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = THREADS

import cotengra
import numpy as np
import opt_einsum
import torch
from cases import network_cases
from results import write_section

from tensornet import __version__, get_num_threads, plan_expr, set_num_threads
from tensornet._kernels import info

TURN = 0.3  # idle threads of OpenBLAS spin for about a third of this
PEER_WIDTH = 28  # opt_einsum cannot slice; wider trees are left out for it
PEERS = ("cotengra", "opt_einsum", "torch")
BOUNDED = 10**7  # macs from which on the arithmetic is what takes the time


def cotengra_runner(plan: Any, arrays: list[Any]) -> Callable[[], Any]:
    expr = plan.tree.expr
    symbols = [cotengra.get_symbol(i) for i in range(len(expr.sizes))]
    tree = cotengra.ContractionTree.from_path(
        [[symbols[i] for i in term] for term in expr.inputs],
        [symbols[i] for i in expr.output],
        dict(zip(symbols, expr.sizes)),
        ssa_path=plan.ssa_path,
    )
    for index in plan.tree.sliced:
        tree.remove_ind_(symbols[index])
    return lambda: tree.contract(arrays)


def opt_einsum_runners(plan: Any, arrays: list[Any]) -> dict[str, Callable[[], Any]]:
    expr = plan.tree.expr
    if plan.tree.sliced or plan.width > PEER_WIDTH:
        return {}
    symbols = [opt_einsum.get_symbol(i) for i in range(len(expr.sizes))]
    terms = ["".join(symbols[i] for i in term) for term in expr.inputs]
    equation = ",".join(terms) + "->" + "".join(symbols[i] for i in expr.output)
    expression = opt_einsum.contract_expression(equation, *expr.shapes, optimize=plan.path)
    tensors = [torch.from_numpy(np.array(a)) for a in arrays]
    return {
        "opt_einsum": lambda: expression(*arrays),
        "torch": lambda: expression(*tensors, backend="torch"),
    }


class Machine:
    """Peak multiply-adds of each dtype and copy bandwidth, measured when first asked for."""

    def __init__(self) -> None:
        source = np.ones(5 * 2**20)
        target = source.copy()
        self.bandwidth = 2 * source.nbytes / fastest(lambda: np.copyto(target, source))
        self.peaks: dict[str, float] = {}

    def peak(self, dtype: str) -> float:
        if dtype not in self.peaks:
            n = 1400 if np.dtype(dtype).kind == "f" else 1000
            a = np.ones((n, n), dtype)
            self.peaks[dtype] = n**3 / fastest(lambda: a @ a)
        return self.peaks[dtype]

    def bound(self, plan: Any, dtype: str) -> float:
        """Seconds of the arithmetic, what does not change with the slice once, and of traffic."""
        tree, itemsize, cache = plan.tree, np.dtype(dtype).itemsize, info()["l3"]
        sizes = tree.expr.sizes
        traffic = 0.0
        for left, right, result in tree.step_terms():
            terms = [set(term) for term in (left, right, result)]
            moved = itemsize * sum(math.prod([sizes[i] for i in term]) for term in terms)
            macs = math.prod([sizes[i] for i in terms[0] | terms[1]])
            if moved > cache:
                traffic += max(0.0, moved / self.bandwidth - macs / self.peak(dtype))
        return tree.hoisted_macs / self.peak(dtype) + traffic * plan.n_slices


def fastest(run: Callable[[], Any], turns: int = 12) -> float:
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def best_times(runners: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Interleaved turns until the budget is spent; at least two turns of each, best run counts.

    A turn repeats its run for TURN seconds, because the threads of whoever ran before still spin
    on the cores at its beginning.
    """
    best = dict.fromkeys(runners, float("inf"))
    begin = time.perf_counter()
    rounds = 0
    while rounds < 2 or time.perf_counter() - begin < seconds:
        for name, run in runners.items():
            turn = start = time.perf_counter()
            while start - turn < TURN:
                run()
                now = time.perf_counter()
                best[name] = min(best[name], now - start)
                start = now
        rounds += 1
    return best


def measure(machine: Machine, name: str, dtype: str, case: Any, seconds: float) -> dict[str, Any]:
    expr, arrays = case
    plan = plan_expr(expr, dtype=dtype, memory_limit="8GB")
    ours = plan_expr(expr, plan, dtype=dtype, cache_slices=True)
    program = ours.compile(dtype)
    runners: dict[str, Callable[[], Any]] = {"tensornet": lambda: program(*arrays)}
    runners["cotengra"] = cotengra_runner(plan, arrays)
    runners |= opt_einsum_runners(plan, arrays)
    values = {who: np.asarray(run()) for who, run in runners.items()}
    scale = np.abs(values["tensornet"]).max()
    for who, value in values.items():
        error = np.abs(value - values["tensornet"]).max()
        if not error <= 1e-3 * scale:
            raise SystemExit(f"{name}: {who} disagrees by {error / scale:.1e}")
    times = best_times(runners, seconds)
    peer = min(t for who, t in times.items() if who != "tensornet")
    return {
        "network": name,
        "dtype": dtype,
        "tensors": len(expr.inputs),
        "log10_macs": round(math.log10(max(1, plan.macs)), 1),
        "per_step": times["tensornet"] / max(1, len(expr.inputs) - 1),
        "bound": machine.bound(plan, dtype) if plan.macs >= BOUNDED else None,
        "slices": ours.n_slices,
        "seconds": times,
        "speedup": peer / times["tensornet"],
    }


def print_scaling(cases: list[Any], threads: int, seconds: float) -> None:
    """One thread and several, in turns, of the networks whose arithmetic takes the time."""
    print(f"| network | dtype | 1 thread | {threads} threads | ratio |\n|---|---|---:|---:|---:|")
    for name, dtype, make in cases:
        expr, arrays = make()
        plan = plan_expr(expr, dtype=dtype, memory_limit="8GB")
        if plan.macs < BOUNDED:
            continue
        runners: dict[str, Callable[[], Any]] = {}
        for count in (1, threads):
            set_num_threads(count)
            program = plan_expr(expr, plan, dtype=dtype, cache_slices=True).compile(dtype)
            runners[str(count)] = lambda program=program, arrays=arrays: program(*arrays)
        one, several = best_times(runners, seconds).values()
        cells = f"{1e3 * one:.4g} ms | {1e3 * several:.4g} ms | {one / several:.2f}"
        print(f"| {name} | {dtype} | {cells} |", flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| network | dtype | tensors | log10 macs | slices | tensornet | {' | '.join(PEERS)} "
        "| speed-up over the best peer | time / bound |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            f"{1e3 * row['seconds'][who]:.4g} ms" if who in row["seconds"] else "not run"
            for who in ("tensornet", *PEERS)
        ]
        ratio = f"{row['seconds']['tensornet'] / row['bound']:.2f}" if row["bound"] else ""
        lines.append(
            f"| {row['network']} | {row['dtype']} | {row['tensors']} | {row['log10_macs']} "
            f"| {row['slices']} | {' | '.join(cells)} | {row['speedup']:.1f} | {ratio} |"
        )
    worst = min(rows, key=lambda row: row["speedup"])
    mean = float(np.exp(np.mean([np.log(row["speedup"]) for row in rows])))
    lines += [
        "",
        f"Geometric mean of the speed-up {mean:.1f}; worst case {worst['speedup']:.2f} "
        f"({worst['network']}, {worst['dtype']}).",
        f"Least time per step {1e6 * min(row['per_step'] for row in rows):.3f} us.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks only")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--seconds", type=float, default=2.0, help="per network")
    parser.add_argument("--scaling", action="store_true", help="one thread against several")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="update RESULTS.md")
    options = parser.parse_args()
    if options.threads:
        set_num_threads(options.threads)
    torch.set_num_threads(get_num_threads())
    cases = [case for case in network_cases(options.quick) if options.only in case[0]]
    if options.scaling:
        if get_num_threads() == 1:
            parser.error("--scaling compares one thread with several: give --threads 2 or more")
        print_scaling(cases, get_num_threads(), options.seconds)
        return
    machine = Machine()
    rows = []
    for name, dtype, make in cases:
        rows.append(measure(machine, name, dtype, make(), options.seconds))
        print(table(rows[-1:]).splitlines()[2], file=sys.stderr, flush=True)
    heading = (
        f"tensornet {__version__}, {info()['isa']} kernels, {get_num_threads()} threads, "
        f"NumPy {np.__version__}, cotengra {cotengra.__version__}, "
        f"opt_einsum {opt_einsum.__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    text = f"{heading}\n\n{table(rows)}\n"
    print(text)
    if options.json:
        Path(options.json).write_text(json.dumps({"heading": heading, "rows": rows}, indent=1))
    if options.write:
        write_section(f"networks {get_num_threads()}", text)


if __name__ == "__main__":
    main()
