"""The command line: `python -m tensornet` plans and contracts networks from files.

Exit codes: 0 done, 1 the contraction failed (for example for lack of memory), 2 wrong usage or a
bad file, 130 interrupted. An error is one line on the standard error stream.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from typing import Any

import numpy as np

from . import __version__, _kernels, api, config
from .arguments import Failure, make_parser
from .errors import TensorNetError
from .expr import Expr
from .formats import Circuit, random_arrays, read_circuit, read_network, read_uai

__all__ = ["main", "warn_of_long_run"]

EMBEDDED = "sycamore_n53_m10.qsim"
REFERENCE = 8.392214579716e-09 - 2.647260977355e-09j
"""The amplitude of the all-zeros outcome of the embedded circuit, from an independent program."""

DTYPES = {
    "circuit": ("complex64", "complex128"),
    "model": ("float64", "float32"),
    "network": ("float64", "float32", "float16", "complex64", "complex128"),
}
"""What each kind of file may be computed in, the default first."""

KINDS = {".qsim": "circuit", ".uai": "model", ".json": "network"}


@dataclass(frozen=True)
class _Job:
    """A network to plan and contract; `arrays` is called only when it is to be contracted."""

    kind: str
    title: str
    facts: dict[str, Any]
    expr: Expr
    arrays: Callable[[], Sequence[np.ndarray]]
    dtype: str
    reference: complex | None = None
    constants: Mapping[int, np.ndarray] = field(default_factory=dict)
    batches: Sequence[Sequence[np.ndarray]] = ()  # the other operands of each of several runs

    @property
    def strip_exponent(self) -> bool:
        """Partition functions leave the range of floats: their exponent is kept apart."""
        return self.kind == "model"


class _Report:
    """Text for people as soon as it is known, or one JSON object at the end."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.record: dict[str, Any] = {"version": __version__}

    def add(self, key: str, facts: dict[str, Any], *lines: str) -> None:
        self.record[key] = facts
        if not self.as_json:
            for label, line in zip([key] + [""] * len(lines), lines):
                print(f"{label:<10} {line}", flush=True)

    def end(self) -> None:
        if self.as_json:
            print(json.dumps(self.record, allow_nan=False), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the words after the program's name; those of this process if None.

    >>> main(["plan", "no-such-file.qsim"])  # its error goes to the standard error stream
    2
    """
    try:
        commands = {"contract": _run_contract, "plan": _run_plan, "info": _run_info}
        args = make_parser(_run_embedded, commands).parse_args(argv)
        report = _Report(args.json)
        args.run(args, report)
        report.end()
    except Failure as failure:
        return _complain(f"error: {failure}", failure.code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except MemoryError as error:
        return _complain(f"error: {str(error) or 'out of memory'}", 1)
    except OSError as error:
        # Nothing more can be written; keep Python from flushing into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader has gone
            return 1
        return _complain(f"error: {error.strerror}", 1)
    return 0


def _complain(message: str, code: int) -> int:
    print("tensornet:", " ".join(message.split()), file=sys.stderr, flush=True)
    return code


@contextmanager
def _blaming(code: int, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds into failures for the user; lack of memory is left to `main`."""
    try:
        yield
    except (BrokenPipeError, MemoryError):
        raise
    except errors as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise Failure(f"{error.filename}: {error.strerror}", code) from None
        raise Failure(error, code) from None


# ---- commands


def _run_embedded(args: argparse.Namespace, report: _Report) -> None:
    file = resources.files(__package__) / "data" / EMBEDDED
    with file.open("rb") as source:
        circuit = read_circuit(source)
    _contract(_circuit_job(circuit, None, args, REFERENCE), args, report)


def _run_contract(args: argparse.Namespace, report: _Report) -> None:
    if _kind(args) == "network" and not args.random:
        raise Failure(
            f"{args.file}: this format has shapes but no values; "
            "add --random to contract it with seeded ones"
        )
    _contract(_load(args), args, report)


def _run_plan(args: argparse.Namespace, report: _Report) -> None:
    _plan(_load(args), args, report)


def _run_info(args: argparse.Namespace, report: _Report) -> None:
    with _blaming(2, ValueError):
        threads = config.get_num_threads()
    machine = _kernels.info()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "isa": machine["isa"],
        "available_isas": list(machine["available_isas"]),
        "threads": threads,
        "cpus": config.cpu_count(),
        "caches": {"l1d": machine["l1d"], "l2": machine["l2"], "l3": machine["l3"]},
        "memory": {"available": config.available_memory(), "total": config.total_memory()},
    }
    caches = [
        f"{level.upper()} {'unknown' if size is None else f'{size // 1024} KiB'}"
        for level, size in facts["caches"].items()
    ]
    available, total = [config.format_bytes(n) for n in facts["memory"].values()]
    report.add(
        "info",
        facts,
        f"tensornet {__version__}, Python {facts['python']}, NumPy {facts['numpy']}",
        f"instruction set {facts['isa']} (of {', '.join(facts['available_isas'])})",
        f"{_counted(threads, 'thread')}, {_counted(facts['cpus'], 'CPU')} allowed",
        f"caches {', '.join(caches)}",
        f"memory {available} available of {total}",
    )


# ---- from a file to a job


def _kind(args: argparse.Namespace) -> str:
    suffix = os.path.splitext(args.file.removesuffix(".gz"))[1]
    if suffix not in KINDS:
        raise Failure(f"{args.file}: unknown format {suffix!r}; known are {', '.join(KINDS)}")
    kind = KINDS[suffix]
    for option, given, fits in (
        ("--bitstring", args.bitstring is not None, "circuit"),
        ("--evidence", args.evidence is not None, "model"),
        ("--random", args.random, "network"),
    ):
        if given and kind != fits:
            raise Failure(f"{option} is for a {fits}, but {args.file} is a {kind}")
    return kind


def _load(args: argparse.Namespace) -> _Job:
    kind = _kind(args)
    with _blaming(2, OSError, TensorNetError, ValueError):
        if kind == "circuit":
            return _circuit_job(read_circuit(args.file), args.bitstring, args)
        dtype = _dtype(kind, args)
        if kind == "model":
            model = read_uai(args.file, args.evidence)
            n, seen = len(model.cardinalities), len(model.evidence)
            title = f"{model.name}: {model.kind} model, {n} variables, {seen} of them observed"
            facts = {"name": model.name, "variables": n, "observed": seen}
            return _Job(kind, title, facts, model.expr, lambda: model.arrays, dtype)
        network = read_network(args.file)
        expr = network.expr
        title = f"{network.name}: result of shape {expr.output_shape}"
        arrays = partial(random_arrays, expr, dtype, args.seed)
        return _Job(kind, title, {"name": network.name}, expr, arrays, dtype)


def _circuit_job(
    circuit: Circuit,
    bitstrings: Sequence[str] | None,
    args: argparse.Namespace,
    reference: complex | None = None,
) -> _Job:
    dtype = _dtype("circuit", args)
    if bitstrings is not None and len(bitstrings) > 1:
        return _amplitudes_job(circuit, bitstrings, dtype)
    bits = bitstrings[0] if bitstrings else "0" * circuit.n_qubits
    expr, arrays = circuit.amplitude(bits, dtype)
    outcome = bits if "1" in bits else f"{len(bits)} zeros"
    qubits, gates = circuit.n_qubits, len(circuit.gates)
    title = f"{circuit.name}: {qubits} qubits, {gates} gates, amplitude of {outcome}"
    facts = {"name": circuit.name, "qubits": qubits, "gates": gates, "bitstring": bits}
    return _Job("circuit", title, facts, expr, lambda: arrays, dtype, reference)


def _amplitudes_job(circuit: Circuit, bitstrings: Sequence[str], dtype: str) -> _Job:
    expr, constants, batches = circuit.amplitudes(bitstrings, dtype)
    qubits, gates, count = circuit.n_qubits, len(circuit.gates), len(bitstrings)
    title = f"{circuit.name}: {qubits} qubits, {gates} gates, {count} amplitudes"
    facts = {"name": circuit.name, "qubits": qubits, "gates": gates, "bitstrings": bitstrings}
    return _Job("circuit", title, facts, expr, tuple, dtype, None, constants, batches)


def _dtype(kind: str, args: argparse.Namespace) -> str:
    if args.dtype is None:
        return DTYPES[kind][0]
    if args.dtype not in DTYPES[kind]:
        raise Failure(f"--dtype {args.dtype!r}: a {kind} takes {', '.join(DTYPES[kind])}")
    return str(args.dtype)


# ---- plan, contract, report


def _plan(job: _Job, args: argparse.Namespace, report: _Report) -> api.Plan:
    if args.save is not None and not os.access(os.path.dirname(args.save) or ".", os.W_OK):
        raise Failure(f"--save {args.save}: its folder is missing or not writable")
    report.add("network", {"kind": job.kind, **job.facts, "dtype": job.dtype}, job.title)
    limit = args.memory_limit
    if limit is None:
        limit = config.available_memory() // 2
    start = time.perf_counter()
    with _blaming(2, OSError, TensorNetError, ValueError, TypeError):
        optimize = args.optimize if args.plan_file is None else api.Plan.load(args.plan_file)
        plan = api.plan_expr(
            job.expr,
            optimize,
            minimize=args.minimize,
            seed=args.seed,
            max_time=args.max_time,
            memory_limit=limit,
            dtype=job.dtype,
            threads=args.threads,
            strip_exponent=job.strip_exponent,
            cache_slices=args.plan_file is None,
            constants=job.constants,
            runs=max(1, len(job.batches)),
            progress=_shows_progress(args),
        )
        if args.save is not None:
            plan.save(args.save)
    seconds = time.perf_counter() - start
    log10_macs = math.log10(plan.macs) if plan.macs else 0.0
    slices = _counted(plan.n_slices, "slice")
    report.add(
        "plan",
        {
            "tensors": plan.n_tensors,
            "indices": plan.n_indices,
            "width": plan.width,
            "macs": plan.macs,
            "log10_macs": log10_macs,
            "max_size": plan.max_size,
            "peak_memory": plan.peak_memory,
            "memory_limit": limit,
            "slices": plan.n_slices,
            "seconds": seconds,
        },
        f"{plan.n_tensors} tensors, {plan.n_indices} indices, {job.dtype}",
        f"width {plan.width:.1f}, log10 macs {log10_macs:.2f}, {slices}",
        f"predicted peak memory {config.format_bytes(plan.peak_memory)} "
        f"of {config.format_bytes(limit)} allowed",
        f"planned in {seconds:.2f} s",
    )
    return plan


def _contract(job: _Job, args: argparse.Namespace, report: _Report) -> None:
    if job.batches and args.checkpoint is not None:
        raise Failure("--checkpoint is for one outcome: give --bitstring once")
    plan = _plan(job, args, report)
    with _blaming(1, TensorNetError, RuntimeError):
        program = plan.compile(job.dtype, threads=args.threads, strip_exponent=job.strip_exponent)
        warn_of_long_run(program.macs, program.threads, job.dtype)
        arrays = job.arrays()
        start = time.perf_counter()
        if job.batches:
            result = program.map(job.batches, job.constants, progress=_shows_progress(args))
        else:
            shown = _shows_progress(args)
            result = program(*arrays, progress=shown, checkpoint=args.checkpoint)
        seconds = time.perf_counter() - start
    if job.batches:
        _report_amplitudes(job, result, seconds, report)
        return
    flops = (8 if np.dtype(job.dtype).kind == "c" else 2) * program.macs
    gflops = flops / max(seconds, 1e-9) / 1e9
    facts, lines = _describe(job, result)
    facts |= {"seconds": seconds, "gflops": gflops, "threads": program.threads}
    lines.append(f"{seconds:.3g} s on {_counted(program.threads, 'thread')}, {gflops:.3g} GFLOP/s")
    report.add("result", facts, *lines)


# Runs expected to take longer are warned of, at a rate that most contractions exceed.
LONG_SECONDS = 600.0
MACS_PER_SECOND = {"f": 5e9, "c": 1.5e9}  # of one thread, real and complex


def warn_of_long_run(macs: int, threads: int, dtype: str) -> None:
    """Say on stderr what a contraction of more than ten minutes would take."""
    seconds = macs / (MACS_PER_SECOND[np.dtype(dtype).kind] * threads)
    if seconds <= LONG_SECONDS:
        return
    hours = seconds / 3600
    estimate = f"{hours:.1f} hours" if hours < 100 else f"{hours / 24:.3g} days"
    message = (
        f"warning: this contraction takes 10^{math.log10(macs):.1f} multiply-adds, about "
        f"{estimate}; a larger --memory-limit, or a longer search (--optimize hyper --max-time "
        "60), may find a shorter one; Ctrl-C stops it"
    )
    print("tensornet:", message, file=sys.stderr, flush=True)


def _report_amplitudes(job: _Job, result: Any, seconds: float, report: _Report) -> None:
    values = [{"re": _finite(float(z.real)), "im": _finite(float(z.imag))} for z in result]
    lines = [
        f"{bits}  {_complex_text(complex(z), result.dtype)}"
        for bits, z in zip(job.facts["bitstrings"], result)
    ]
    spent = f"{seconds:.3g} s, {len(values) / max(seconds, 1e-9):.3g} amplitudes per second"
    report.add("result", {"values": values, "seconds": seconds}, *lines, spent)


def _complex_text(z: complex, dtype: np.dtype[Any]) -> str:
    digits, sign = np.finfo(dtype).precision, "-" if math.copysign(1, z.imag) < 0 else "+"
    return f"{z.real:.{digits}e} {sign} {abs(z.imag):.{digits}e}j"


def _describe(job: _Job, result: Any) -> tuple[dict[str, Any], list[str]]:
    """The result as facts for JSON (null for what is not finite) and as lines of text."""
    if job.kind == "model":
        mantissa, exponent = float(result[0]), float(result[1])
        log10_z = math.log10(mantissa) + exponent * math.log10(2) if mantissa else -math.inf
        return {"log10_z": _finite(log10_z)}, [f"log10 Z = {log10_z:.10f}"]
    array = np.asarray(result)
    if array.ndim:
        norm = float(np.linalg.norm(array.ravel().astype(np.complex128)))
        facts: dict[str, Any] = {"shape": list(array.shape), "norm": _finite(norm)}
        return facts, [f"array of shape {array.shape}, norm {norm:.10g}"]
    z = complex(array)
    if array.dtype.kind != "c":
        return {"value": _finite(z.real)}, [f"{z.real:.{np.finfo(array.dtype).precision}e}"]
    facts = {"value": {"re": _finite(z.real), "im": _finite(z.imag)}}
    lines = [_complex_text(z, array.dtype)]
    if job.reference is not None:
        difference = abs(z - job.reference) / abs(job.reference)
        facts["relative_difference"] = _finite(difference)
        lines.append(f"relative difference {difference:.1e} to the recorded {job.reference}")
    return facts, lines


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _shows_progress(args: argparse.Namespace) -> bool:
    return bool(sys.stderr.isatty() if args.progress is None else args.progress)


if __name__ == "__main__":
    sys.exit(main())
