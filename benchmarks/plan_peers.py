"""The planners that bench_plan.py compares: each takes a network and seconds, and finds a tree."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log2, log10
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cotengra
import cotengrust
from cases import giant_case

from tensornet import plan_expr, set_num_threads
from tensornet.expr import Expr
from tensornet.planner import Tree, clear_cache, search
from tensornet.program import lower

SLICED_WIDTH = 27
MEMORY = 12 << 30  # bytes that a planner may take for a giant


class Planner(NamedTuple):
    """How to plan: `find(expr, seconds, threads, sliced)`."""

    ours: bool
    timed: bool  # uses the wall-clock budget, and can slice
    find: Callable[[Expr, float, int, bool], Tree]


def _ours(name: str) -> Planner:
    def find(expr: Expr, seconds: float, threads: int, sliced: bool) -> Tree:
        clear_cache()
        budget = None if name == "greedy" else seconds
        if sliced:
            return plan_expr(expr, name, max_time=budget, max_entries=1 << SLICED_WIDTH).tree
        return search(expr, name, max_time=budget)

    return Planner(True, name != "greedy", find)


def _opt_einsum(name: str) -> Planner:
    from opt_einsum import paths

    return Planner(False, False, lambda expr, *_: search(expr, paths.get_path_fn(name)))


def _greedy(expr: Expr, *_: Any) -> Tree:
    return search(expr, cotengra.GreedyOptimizer())


def _random_greedy(expr: Expr, seconds: float, threads: int, sliced: bool) -> Tree:
    return search(
        expr,
        cotengra.RandomGreedyOptimizer(
            max_repeats=128, seed=0, parallel="auto" if threads > 1 else False
        ),
    )


def _hyper(**options: Any) -> Planner:
    def find(expr: Expr, seconds: float, threads: int, sliced: bool) -> Tree:
        given = dict(options)
        if sliced:
            given["slicing_reconf_opts"] = {"target_size": 1 << SLICED_WIDTH}
        optimizer = cotengra.HyperOptimizer(
            max_time=seconds,
            max_repeats=1 << 40,
            parallel=threads if threads > 1 else False,
            progbar=False,
            **given,
        )
        return search(expr, optimizer)

    return Planner(False, True, find)


PLANNERS = {
    "greedy": _ours("greedy"),
    "auto": _ours("auto"),
    "hyper": _ours("hyper"),
    "opt_einsum greedy": _opt_einsum("greedy"),
    "opt_einsum auto": _opt_einsum("auto"),
    "cotengra greedy": Planner(False, False, _greedy),
    "cotengra random-greedy 128": Planner(False, False, _random_greedy),
    "cotengra hyper": _hyper(),
    # not in the default comparison
    "cotengra hyper reconf": _hyper(reconf_opts={}),
    "cotengra hyper annealed": _hyper(simulated_annealing_opts={}),
}
DEFAULT = list(PLANNERS)[:8]
RANDOM_GREEDY = ("opt_einsum auto", "cotengra random-greedy 128")


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body once the time is over."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(
    name: str, expr: Expr, seconds: float, threads: int, sliced: bool, limit: float
) -> dict[str, Any]:
    """Plan once and score the tree, or say why there is none."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(), alarm(limit):
            warnings.simplefilter("ignore")
            tree = PLANNERS[name].find(expr, seconds, threads, sliced)
    except Exception as error:
        spent = time.perf_counter() - start
        return {"failed": f"{type(error).__name__}: {error}"[:200], "seconds": spent}
    spent = time.perf_counter() - start
    row = {"seconds": spent, "log10_macs": log10(max(1, tree.macs)), "width": tree.width}
    if sliced:  # what does not depend on a sliced index is computed once by our programs
        row["log10_hoisted"] = log10(max(1, lower(tree, "complex64").macs))
        row["log2_slices"] = log2(tree.n_slices)
    return row


def greedy_runners(expr: Expr) -> dict[str, Callable[[], Any]]:
    """Plain greedy as it is called: a network in, a path out; conversions of labels left out."""
    symbols = [cotengra.get_symbol(i) for i in range(len(expr.sizes))]
    inputs = [[symbols[i] for i in term] for term in expr.inputs]
    output = [symbols[i] for i in expr.output]
    sizes = dict(zip(symbols, expr.sizes))

    def ours() -> Any:
        clear_cache()
        return search(expr, "greedy").steps

    return {
        "tensornet": ours,
        "cotengrust": lambda: cotengrust.optimize_greedy(inputs, output, sizes, use_ssa=True),
    }


def _child(pipe: Connection, case: str, n: int, name: str, seconds: float, threads: int) -> None:
    os.setpgrp()  # its workers die with it
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    set_num_threads(threads)
    expr = giant_case(case, n)
    pipe.send("ready")
    pipe.send(run(name, expr, seconds, threads, False, 1e6))


def run_giant(
    case: str, n: int, name: str, seconds: float, threads: int, limit: float
) -> dict[str, Any]:
    """Plan a network of n tensors in a process that is ended after `limit` seconds of planning."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(False)
    process = context.Process(target=_child, args=(there, case, n, name, seconds, threads))
    process.start()
    there.close()
    try:
        here.recv()
        if here.poll(limit):
            answer: dict[str, Any] = here.recv()
            return answer
        return {"failed": f"stopped after {limit:.0f} s", "seconds": limit}
    except EOFError:
        process.join()
        return {"failed": f"ended with exit code {process.exitcode}"}
    finally:
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
