"""Single contractions and permutations: tensornet, NumPy, torch and TBLIS.

    python benchmarks/bench_kernels.py [--threads N] [--sections LIST] [--dtypes LIST] [--write]

All of them get the same arrays, run in one process, interleaved, and the best of several runs
counts; every run makes a fresh, contiguous result. The roofline of a case is the larger of its
arithmetic at the peak and its bytes at the bandwidth, both measured in the same run: the peak is
the fastest square matrix product of anybody, the bandwidth that of copying memory already touched.
Copies into another order of axes are also compared with a plain copy of the same array, into memory
already touched, which takes its turn among them and so finds the caches as they do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = THREADS  # before the imports

import kernel_cases  # noqa: E402
import numpy as np  # noqa: E402
from results import write_section  # noqa: E402

import tensornet as tn  # noqa: E402
from tensornet._kernels import info  # noqa: E402

DTYPES = ("float32", "float64", "complex64", "complex128")
SECTIONS = (
    "overhead",
    "gemm",
    "batched",
    "odd",
    "pairs",
    "permutations",
    "tccg",
    "any pair",
    "any copy",
)
Runners = dict[str, Callable[[], Any]]


# The threads of whoever ran before spin for a while; on several threads a turn lasts longer.
TURN = 0.0 if THREADS == "1" else 0.12


def best_times(runners: Runners, seconds: float) -> dict[str, float]:
    """Turns until the budget is spent, at least three (two if each lasts); seconds per call. Runs
    of a few microseconds are repeated and averaged; the best counts."""
    best = dict.fromkeys(runners, float("inf"))
    repeats = {}
    for name, run in runners.items():
        start = time.perf_counter()
        run()
        repeats[name] = max(1, min(1000, int(50e-6 / (time.perf_counter() - start))))
    begin = time.perf_counter()
    rounds, least = 0, 2 if TURN else 3
    while rounds < least or (time.perf_counter() - begin < seconds and rounds < 300):
        for name, run in runners.items():
            count = repeats[name]
            turn = now = time.perf_counter()
            while now == turn or now - turn < TURN:
                start = now
                for _ in range(count):
                    run()
                now = time.perf_counter()
                best[name] = min(best[name], (now - start) / count)
        rounds += 1
    return best


def random_array(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape, dtype="float32").astype(dtype)
    if np.dtype(dtype).kind == "c":
        array += 1j * rng.standard_normal(shape, dtype="float32").astype(dtype)
    return array


class Peers:
    """The libraries at hand; each makes a runner for a case, or None where it cannot run it."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        import pytblis

        pytblis.set_num_threads(threads)
        self.tblis = pytblis

    def contraction(self, subscripts: str, a: Any, b: Any) -> Runners:
        torch, tblis = self.torch, self.tblis
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        return {
            "tensornet": lambda: tn.einsum(subscripts, a, b),
            "numpy": lambda: np.ascontiguousarray(np.einsum(subscripts, a, b, optimize=True)),
            "torch": lambda: torch.einsum(subscripts, ta, tb).contiguous(),
            "tblis": lambda: np.ascontiguousarray(tblis.einsum(subscripts, a, b)),
        }

    def odd(self, subscripts: str, a: Any, b: Any) -> Runners:
        """NumPy in every way that it has for a small product."""
        runners = self.contraction(subscripts, a, b)
        del runners["tblis"]
        runners["numpy einsum"] = lambda: np.einsum(subscripts, a, b)
        return runners | numpy_directly(subscripts, a, b)

    def matmul(self, a: Any, b: Any) -> Runners:
        ta, tb = self.torch.from_numpy(a), self.torch.from_numpy(b)
        return {
            "tensornet": lambda: tn.einsum("mk,kn->mn", a, b),
            "numpy": lambda: np.matmul(a, b),
            "torch": lambda: self.torch.matmul(ta, tb),
        }

    def permutation(self, axes: tuple[int, ...], subscripts: str, a: Any) -> Runners:
        view, tensor = a.transpose(axes), self.torch.from_numpy(a).permute(axes)
        return {
            "tensornet": lambda: tn.einsum(subscripts, a, order="C"),
            "numpy": lambda: np.ascontiguousarray(view),
            "torch": lambda: tensor.contiguous(),
        }


def numpy_directly(subscripts: str, a: Any, b: Any) -> Runners:
    """The product as np.matmul of operands brought into order, and without sums as np.multiply."""
    terms, out = subscripts.split("->")
    left, right = terms.split(",")
    groups = [
        [i for i in out if i in left and i in right],
        [i for i in out if i not in right],
        [i for i in left if i in right and i not in out],
        [i for i in out if i not in left],
    ]
    batch, m, k, n = groups
    extents = dict(zip(left + right, a.shape + b.shape, strict=True))
    shapes = [[extents[i] for i in group] for group in groups]
    first = [left.index(i) for i in batch + m + k]
    second = [right.index(i) for i in batch + k + n]
    order = [(batch + m + n).index(i) for i in out]

    def matmul() -> Any:
        x = a.transpose(first).reshape([*shapes[0], *(int(np.prod(s)) for s in shapes[1:3])])
        y = b.transpose(second).reshape([*shapes[0], *(int(np.prod(s)) for s in shapes[2:])])
        product = np.matmul(x, y).reshape(shapes[0] + shapes[1] + shapes[3])
        return np.ascontiguousarray(product.transpose(order))

    if k:
        return {"matmul": matmul}
    inserted = [
        array.transpose([term.index(i) for i in out if i in term]).reshape(
            [extents[i] if i in term else 1 for i in out]
        )
        for term, array in ((left, a), (right, b))
    ]
    return {
        "matmul": matmul,
        "multiply": lambda: np.ascontiguousarray(np.multiply(*inserted)),
    }


def usable(runners: Runners) -> Runners:
    """Those that run the case at all, after comparing their results with tensornet's."""
    wanted = np.asarray(runners["tensornet"]())
    scale = float(np.abs(wanted).max()) if wanted.size else 1.0
    good: Runners = {}
    for name, run in runners.items():
        try:
            value = np.asarray(run())
        except (ValueError, RuntimeError, TypeError, IndexError, KeyError) as error:
            print(f"  {name} cannot: {str(error)[:60]}", file=sys.stderr)
            continue
        if value.size and not np.abs(value - wanted).max() <= 1e-3 * scale:
            raise SystemExit(f"{name} disagrees")
        good[name] = run
    return good


def fastest(times: dict[str, float]) -> float:
    return min(seconds for who, seconds in times.items() if who not in ("tensornet", "plain copy"))


def join_numpy(times: dict[str, float]) -> dict[str, float]:
    """The fastest way of NumPy as one peer."""
    ways = [way for way in times if way not in ("tensornet", "torch")]
    best = min(times[way] for way in ways)
    return {"tensornet": times["tensornet"], "numpy": best, "torch": times["torch"]}


def macs_of(extents: dict[str, int]) -> float:
    return float(np.prod([float(n) for n in extents.values()]))


class Roofline:
    """Peak multiply-adds and copy bandwidth of this machine, for one dtype."""

    def __init__(self, dtype: str, peers: Peers, megabytes: int) -> None:
        n = 1000 if np.dtype(dtype).kind == "c" else 1400
        a, b = random_array((n, n), dtype, 1), random_array((n, n), dtype, 2)
        self.macs_per_second = n**3 / min(best_times(peers.matmul(a, b), 1.5).values())
        source = np.ones(megabytes << 17)
        target, torch = np.zeros_like(source), peers.torch
        to, of = torch.from_numpy(target), torch.from_numpy(source)
        copies = {"numpy": lambda: np.copyto(target, source), "torch": lambda: to.copy_(of)}
        self.bytes_per_second = 2 * source.nbytes / min(best_times(copies, 1.0).values())

    def seconds(self, macs: float, moved: float) -> float:
        return max(macs / self.macs_per_second, moved / self.bytes_per_second)

    def __str__(self) -> str:
        return f"{self.macs_per_second / 1e9:.1f} Gmac/s, {self.bytes_per_second / 1e9:.1f} GB/s"


Row = dict[str, Any]


def shape_of(term: str, extents: dict[str, int]) -> tuple[int, ...]:
    return tuple(extents[i] for i in term)


def contraction_rows(
    section: str, cases: Any, dtype: str, peers: Peers, seconds: float, roof: Roofline | None
) -> Iterator[Row]:
    for subscripts, extents in cases:
        terms, out = subscripts.split("->")
        left, right = terms.split(",")
        a = random_array(shape_of(left, extents), dtype, 1)
        b = random_array(shape_of(right, extents), dtype, 2)
        square = section in ("gemm", "overhead")
        if section == "odd":
            times = join_numpy(best_times(usable(peers.odd(subscripts, a, b)), seconds))
        else:
            runners = peers.matmul(a, b) if square else peers.contraction(subscripts, a, b)
            times = best_times(usable(runners), seconds)
        label = ",".join(f"{i}{n}" for i, n in extents.items()) if section != "pairs" else ""
        row = {"section": section, "dtype": dtype, "case": f"{subscripts} {label}".strip()}
        row |= {"seconds": times, "speedup": fastest(times) / times["tensornet"]}
        if roof:
            moved = a.nbytes + b.nbytes + np.prod(shape_of(out, extents), dtype=float) * a.itemsize
            row["roofline"] = roof.seconds(macs_of(extents), moved) / times["tensornet"]
        yield row


def permutation_rows(
    section: str, cases: Any, dtype: str, peers: Peers, seconds: float, roof: Roofline | None
) -> Iterator[Row]:
    for subscripts, extents in cases:
        term, out = subscripts.split("->")
        a = random_array(shape_of(term, extents), dtype, 1)
        axes, touched = tuple(term.index(i) for i in out), np.zeros_like(a)
        runners = usable(peers.permutation(axes, subscripts, a))
        runners["plain copy"] = partial(np.copyto, touched, a)
        times = best_times(runners, seconds)
        label = ",".join(f"{i}{n}" for i, n in extents.items()) if len(term) < 9 else ""
        row = {"section": section, "dtype": dtype, "case": f"{subscripts} {label}".strip()}
        row |= {"seconds": times, "speedup": fastest(times) / times["tensornet"]}
        row["of_copy"] = times["plain copy"] / times["tensornet"]
        if roof:
            row["roofline"] = roof.seconds(0, 2 * a.nbytes) / times["tensornet"]
        yield row


def rows_of(section: str, dtype: str, peers: Peers, options: Any) -> Iterator[Row]:
    seconds, itemsize = options.seconds, np.dtype(dtype).itemsize
    if section == "overhead":
        sizes = [("mk,kn->mn", {"m": n, "k": n, "n": n}) for n in (1, 2, 4)]
        yield from contraction_rows(section, sizes, dtype, peers, seconds, None)
    elif section == "gemm":
        cases = kernel_cases.gemm_cases()
        yield from contraction_rows(section, cases, dtype, peers, seconds, None)
    elif section == "batched":
        cases = kernel_cases.batched_cases()
        yield from contraction_rows(section, cases, dtype, peers, seconds, None)
    elif section == "odd":
        cases = kernel_cases.odd_cases()
        yield from contraction_rows(section, cases, dtype, peers, seconds, None)
    elif section == "any pair":
        cases = kernel_cases.random_contractions(options.seed, options.count, itemsize)
        yield from contraction_rows(section, cases, dtype, peers, seconds, None)
    elif section == "any copy":
        cases = kernel_cases.random_permutations(options.seed, options.count, itemsize)
        yield from permutation_rows(section, cases, dtype, peers, seconds, None)
    elif section == "pairs":
        roof = Roofline(dtype, peers, 64)
        print(f"{dtype}: {roof}", file=sys.stderr)
        cases = kernel_cases.pair_cases()
        yield from contraction_rows(section, cases, dtype, peers, seconds, roof)
    else:
        for megabytes in options.megabytes:
            roof = Roofline(dtype, peers, megabytes)
            print(f"{dtype}, {megabytes} MB: {roof}", file=sys.stderr)
            entries = (megabytes << 20) / itemsize
            if section == "permutations":
                cases = kernel_cases.permutation_cases(int(entries))
                yield from permutation_rows(section, cases, dtype, peers, seconds, roof)
                continue
            cases = [kernel_cases.tccg_case(case, entries) for case in kernel_cases.TCCG]
            for row in contraction_rows(section, cases, dtype, peers, seconds, roof):
                yield row | {"megabytes": megabytes}


def mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def line(row: Row) -> str:
    times = row["seconds"]
    cells = [
        f"{1e3 * times[who]:.4g}" if who in times else "-"
        for who in ("tensornet", "numpy", "torch", "tblis")
    ]
    parts = [f"{row[part]:.2f}" if part in row else "" for part in ("roofline", "of_copy")]
    case = f"{row['case']} ({row['megabytes']} MB)" if "megabytes" in row else row["case"]
    cells += [f"{row['speedup']:.2f}", *parts]
    return f"| {case} | {row['dtype']} | {' | '.join(cells)} |"


def summary(rows: list[Row]) -> str:
    """Geometric means and worst cases per section, dtype and size."""
    lines = [
        "| section | dtype | cases | speed-up over the best peer: mean | worst | roofline: mean "
        "| worst | plain copy: mean | worst | slowest against a peer |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["section"], row["dtype"], row.get("megabytes", 0)), []).append(row)
    for (section, dtype, megabytes), group in groups.items():
        worst = min(group, key=lambda row: row["speedup"])
        cells = []
        for part in ("roofline", "of_copy"):
            parts = [row[part] for row in group if part in row]
            cells += [f"{mean(parts):.2f}", f"{min(parts):.2f}"] if parts else ["", ""]
        name = f"{section}, {megabytes} MB" if megabytes else section
        lines.append(
            f"| {name} | {dtype} | {len(group)} | {mean([r['speedup'] for r in group]):.2f} "
            f"| {worst['speedup']:.2f} | {' | '.join(cells)} | {worst['case']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--megabytes", default="20", help="largest tensor, e.g. 20,200")
    parser.add_argument("--seconds", type=float, default=0.3, help="per case")
    parser.add_argument("--seed", type=int, default=0, help="of random cases")
    parser.add_argument("--count", type=int, default=150, help="of random cases, in each section")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="update RESULTS.md")
    options = parser.parse_args()
    options.megabytes = [int(x) for x in options.megabytes.split(",")]
    tn.set_num_threads(options.threads)
    peers = Peers(options.threads)
    rows: list[Row] = []
    for dtype in options.dtypes.split(","):
        for section in options.sections.split(","):
            for row in rows_of(section, dtype, peers, options):
                rows.append(row)
                print(line(row), file=sys.stderr, flush=True)
    heading = (
        f"tensornet {tn.__version__}, {info()['isa']} kernels, {options.threads} threads, "
        f"NumPy {np.__version__}, torch {peers.torch.__version__}, Python "
        f"{platform.python_version()}; milliseconds in the full table"
    )
    text = f"{heading}\n\n{summary(rows)}\n"
    print(text)
    if options.json:
        Path(options.json).write_text(json.dumps({"heading": heading, "rows": rows}, indent=1))
    if options.write:
        write_section(f"kernels {options.threads}", text)


if __name__ == "__main__":
    main()
