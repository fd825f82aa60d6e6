"""Planners on the same networks: tensornet, cotengra and opt_einsum, one scorer for all.

    python benchmarks/bench_plan.py [--networks FOLDER] [--seconds 1,10] [--threads N] [--write]

Everyone plans every network, one after the other, in this process, on the same number of workers
(cotengra's are processes or threads of its own). Searches with a budget get the same wall-clock
seconds. tensornet's `Tree` counts the multiply-adds and the width of all trees with exact integers:
first unsliced; then, where the best trees are wider than 2^27 entries, sliced to that width by each
planner's own slicing within the same budget. Plain greedy is timed in turns with cotengrust's; and
networks of 200,000 tensors are planned in processes that are ended after a hard limit.
Differences are in log10 of multiply-adds, positive where tensornet needs fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for variable in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "COTENGRA_NUM_WORKERS"):
    os.environ[variable] = THREADS  # before the imports
os.environ.pop("TENSORNET_PLAN_CACHE", None)  # everyone starts from nothing

import cotengra  # noqa: E402
import opt_einsum  # noqa: E402
from bench_kernels import best_times, mean  # noqa: E402
from cases import SHARED, plan_cases  # noqa: E402
from plan_peers import (  # noqa: E402
    DEFAULT,
    PLANNERS,
    RANDOM_GREEDY,
    SLICED_WIDTH,
    greedy_runners,
    run,
    run_giant,
)
from results import write_section  # noqa: E402

from tensornet import Expr, __version__, set_num_threads  # noqa: E402

GIANTS = ("3-regular", "lattice", "chain", "tree")
Row = dict[str, Any]


def key(name: str, seconds: float) -> str:
    """The name of a run: that of its planner, and its budget if it has one."""
    return f"{name} {seconds:g} s" if PLANNERS[name].timed else name


def measure(name: str, expr: Expr, options: Any) -> Row:
    """All planners on one network."""
    runs: dict[str, Row] = {}
    sliced: dict[str, Row] = {}
    for seconds in options.seconds:
        names = {key(each, seconds): each for each in options.planners}
        limit = max(60.0, 10 * seconds)
        for label, each in names.items():
            if label not in runs:
                runs[label] = run(each, expr, seconds, options.threads, False, limit)
        widths = [runs[label]["width"] for label in names if "width" in runs[label]]
        if options.slice and min(widths, default=0) > SLICED_WIDTH:
            for label, each in names.items():
                if PLANNERS[each].timed:
                    sliced[label] = run(each, expr, seconds, options.threads, True, limit)
    row: Row = {"network": name, "tensors": len(expr.inputs), "indices": len(expr.sizes)}
    row |= {"unsliced": runs, "sliced": sliced}
    if len(expr.inputs) > 2:
        row["greedy_seconds"] = best_times(greedy_runners(expr), options.greedy_seconds)
    return row


class Comparison:
    """Ours against everybody else's at one budget, on one network."""

    def __init__(self, runs: dict[str, Row], seconds: float, planners: list[str]) -> None:
        self.runs = runs
        names = {key(each, seconds): each for each in planners}
        found = [x for x in names if "log10_macs" in runs.get(x, {})]
        self.peers = [x for x in found if not PLANNERS[names[x]].ours]
        ours = [x for x in found if PLANNERS[names[x]].ours]
        wanted = [key(x, seconds) for x in ("hyper", "auto", "greedy")]
        self.ours = next(iter([x for x in wanted if x in ours]), None)
        self.hyper = key("cotengra hyper", seconds)
        self.best = min(self.peers, key=self.macs, default=None)

    def macs(self, label: str | None) -> float:
        macs: float = self.runs.get(label or "", {}).get("log10_macs", float("inf"))
        return macs

    def gain(self, label: str | None) -> float:
        """How much less than this planner's macs ours are; infinite where it has no tree."""
        return self.macs(label) - self.macs(self.ours)


def cell(run: Row | None) -> str:
    if run is None:
        return ""
    return f"{run['log10_macs']:.2f} ({run['width']:.1f})" if "log10_macs" in run else "failed"


def unsliced_table(rows: list[Row], seconds: float, planners: list[str]) -> str:
    columns = [key(each, seconds) for each in planners]
    lines = [
        f"Budget {seconds:g} s; log10 macs (width), and the difference to the best peer:",
        "",
        f"| network | tensors | {' | '.join(columns)} | best peer | difference |",
        "|---|---:|" + "---:|" * len(columns) + "---|---:|",
    ]
    compared = [(row, Comparison(row["unsliced"], seconds, planners)) for row in rows]
    for row, found in compared:
        cells = [cell(row["unsliced"].get(column)) for column in columns]
        lines.append(
            f"| {row['network']} | {row['tensors']} | {' | '.join(cells)} | {found.best} "
            f"| {found.gain(found.best):+.3f} |"
        )
    lines.append("")
    peers = [(found.gain(found.best), row["network"], found) for row, found in compared]
    peers = [each for each in peers if each[2].best and each[2].ours]
    if not peers:
        return "\n".join(lines)
    gain, network, found = min(peers, key=lambda each: each[0])
    behind = sum(each[0] < -0.02 for each in peers)
    lines.append(
        f"{found.ours}: worst instance {network}, {gain:+.3f} against {found.best}; behind the "
        f"best peer by more than 0.02 on {behind} of {len(peers)}."
    )
    random = [
        (each.gain(label), network)
        for _, network, each in peers
        for label in RANDOM_GREEDY
        if label in each.peers
    ]
    if random:
        gain, network = min(random)
        lines.append(f"Worst against a peer's random greedy: {gain:+.3f} ({network}).")
    hyper = [min(1.0, each.gain(each.hyper)) for *_, each in peers if each.hyper in each.runs]
    if hyper:
        lines.append(
            f"Mean advantage over {found.hyper}, each capped at 1: {sum(hyper) / len(hyper):+.3f}."
        )
    return "\n".join(lines)


def sliced_table(rows: list[Row], seconds: float, planners: list[str]) -> str:
    columns = [key(each, seconds) for each in planners if PLANNERS[each].timed]
    lines = [
        f"Sliced to width {SLICED_WIDTH}, budget {seconds:g} s: log10 macs of all slices, with "
        "what does not change computed once (more than the same planner's unsliced tree):",
        "",
        f"| network | {' | '.join(columns)} |",
        "|---|" + "---:|" * len(columns),
    ]
    for row in rows:
        cells = []
        for column in columns:
            found = row["sliced"].get(column, {})
            if "log10_macs" not in found:
                cells.append("failed" if found else "")
                continue
            overhead = found["log10_macs"] - row["unsliced"][column].get("log10_macs", float("nan"))
            cells.append(
                f"{found['log10_macs']:.2f}, {found['log10_hoisted']:.2f} once ({overhead:+.2f})"
            )
        if any(cells):
            lines.append(f"| {row['network']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def greedy_table(rows: list[Row]) -> str:
    rows = [row for row in rows if "greedy_seconds" in row]
    lines = [
        "Plain greedy, best of several turns:",
        "",
        "| network | tensornet | cotengrust | speed-up |",
        "|---|---:|---:|---:|",
    ]
    ratios = {}
    for row in rows:
        times = row["greedy_seconds"]
        ratios[row["network"]] = ratio = times["cotengrust"] / times["tensornet"]
        lines.append(
            f"| {row['network']} | {1e3 * times['tensornet']:.3g} ms "
            f"| {1e3 * times['cotengrust']:.3g} ms | {ratio:.2f} |"
        )
    worst = min(ratios, key=lambda name: ratios[name])
    lines += [
        "",
        f"Geometric mean {mean(list(ratios.values())):.2f}; worst {ratios[worst]:.2f} ({worst}).",
    ]
    return "\n".join(lines)


def giant_rows(options: Any) -> list[Row]:
    rows = []
    for case in GIANTS:
        found = {
            each: run_giant(
                case, options.giants, each, options.giant_seconds, options.threads, options.limit
            )
            for each in options.planners
        }
        rows.append({"network": case, "runs": found})
        print(f"{case} of {options.giants} tensors done", file=sys.stderr, flush=True)
    return rows


def giant_table(rows: list[Row], options: Any) -> str:
    planners = options.planners
    lines = [
        f"Networks of {options.giants:,} tensors, budget {options.giant_seconds:g} s where there "
        "is one: seconds, log10 macs (width), or why there is no tree:",
        "",
        f"| network | {' | '.join(planners)} |",
        "|---|" + "---|" * len(planners),
    ]
    for row in rows:
        cells = []
        for each in planners:
            found = row["runs"][each]
            cells.append(
                found["failed"] if "failed" in found else f"{found['seconds']:.2f} s, {cell(found)}"
            )
        lines.append(f"| {row['network']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def parse() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=Path, default=SHARED / "networks", metavar="FOLDER")
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--seconds", default="1,10", help="budgets of the searches that take one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--planners", default=",".join(DEFAULT), help=f"of {', '.join(PLANNERS)}")
    parser.add_argument("--no-slice", dest="slice", action="store_false")
    parser.add_argument("--greedy-seconds", type=float, default=0.5, help="of timing, per network")
    parser.add_argument("--giants", type=int, default=200_000, help="tensors; 0 leaves them out")
    parser.add_argument("--giant-seconds", type=float, default=5.0, help="budget for a giant")
    parser.add_argument("--limit", type=float, default=50.0, help="seconds until a giant is ended")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="update RESULTS.md")
    options = parser.parse_args()
    options.seconds = [float(x) for x in options.seconds.split(",")]
    options.planners = options.planners.split(",")
    for name in options.planners:
        if name not in PLANNERS:
            parser.error(f"no planner {name!r}; there are {', '.join(PLANNERS)}")
    return options


def main() -> None:
    options = parse()
    set_num_threads(options.threads)
    warm_up = next(iter(plan_cases(Path("none"))))[1]
    for name in options.planners:  # starts cotengra's workers
        run(name, warm_up, 0.1, options.threads, False, 60.0)
    rows = []
    for name, expr in plan_cases(options.networks):
        if options.only in name:
            rows.append(measure(name, expr, options))
            shown = unsliced_table(rows[-1:], options.seconds[-1], options.planners)
            print(shown.splitlines()[4], file=sys.stderr, flush=True)
    heading = (
        f"tensornet {__version__}, {options.threads} workers each, cotengra "
        f"{cotengra.__version__} with kahypar, opt_einsum {opt_einsum.__version__}, "
        f"Python {platform.python_version()}"
    )
    parts = [heading]
    for seconds in options.seconds:
        parts.append(unsliced_table(rows, seconds, options.planners))
    for seconds in options.seconds:
        if any(row["sliced"] for row in rows):
            parts.append(sliced_table(rows, seconds, options.planners))
    if rows:
        parts.append(greedy_table(rows))
    giants = giant_rows(options) if options.giants else []
    if giants:
        parts.append(giant_table(giants, options))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.json:
        fields = {"heading": heading, "rows": rows, "giants": giants}
        Path(options.json).write_text(json.dumps(fields, indent=1))
    if options.write:
        write_section(f"plan {options.threads}", text)


if __name__ == "__main__":
    main()
