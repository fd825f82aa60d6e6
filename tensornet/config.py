"""How many threads and how much memory there are: the machine, its container and the user.

Defaults respect CPU affinity and the CPU and memory limits of control groups (versions 1 and 2).
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from math import ceil, isfinite
from pathlib import Path
from typing import NoReturn

__all__ = [
    "available_memory",
    "check_threads",
    "cpu_count",
    "end_with",
    "format_bytes",
    "get_num_threads",
    "installed_version",
    "is_command_line",
    "parse_bytes",
    "set_num_threads",
    "set_winograd",
    "total_memory",
    "winograd_allowed",
]

MAX_THREADS = 1024

_THREADS_VARIABLE = "TENSORNET_NUM_THREADS"
_WINOGRAD_VARIABLE = "TENSORNET_WINOGRAD"
_ROOT = Path("/")  # of the system's files; tests put another tree here
_FALLBACK_MEMORY = 4 * 2**30  # where the system does not tell
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_BYTES = re.compile(
    r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)(e[0-9]{1,2})?\s*([KMGTPE]?)(i?)B?\s*", re.IGNORECASE
)

_lock = threading.Lock()
_threads: int | None = None  # what set_num_threads chose, or the default once it was needed
_winograd: bool | None = None  # what set_winograd chose


def is_command_line() -> bool:
    """Is this process `python -m tensornet` (perhaps still importing it) or its script?"""
    words = sys.orig_argv
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    if name == "-m":
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["tensornet"]
    return name == "tensornet"


def end_with(error: Exception) -> NoReturn:
    """End the command line, of which nothing else could be imported, as it ends for wrong usage."""
    print(f"tensornet: error: {error}", file=sys.stderr, flush=True)
    raise SystemExit(2) from None


def set_num_threads(n: int | None) -> None:
    """Set how many threads later contractions use; None goes back to the default.

    Raises:
        TypeError: `n` is not a whole number.
        ValueError: `n` is not from 1 to 1024.

    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(None)
    """
    global _threads
    chosen = check_threads(n)
    with _lock:
        _threads = chosen


def check_threads(n: int | None) -> int | None:
    """The number of threads that a caller asks for; None stays None.

    Raises:
        TypeError: `n` is not a whole number.
        ValueError: `n` is not from 1 to 1024.

    >>> check_threads(2)
    2
    """
    if n is None:
        return None
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"the number of threads must be a whole number or None, not {n!r}")
    return _checked_threads(n.__index__(), "the number of threads", n)


def get_num_threads() -> int:
    """How many threads contractions use.

    In this order: what `set_num_threads` chose, the environment variable TENSORNET_NUM_THREADS,
    `cpu_count()`. The last two are looked up once.

    Raises:
        ValueError: TENSORNET_NUM_THREADS is not a whole number from 1 to 1024.
    """
    global _threads
    chosen = _threads
    if chosen is None:
        with _lock:
            if _threads is None:
                _threads = _default_threads()
            chosen = _threads
    return chosen


def set_winograd(allowed: bool | None) -> None:
    """Say whether later convolutions may take Winograd's form; None goes back to the default.

    It computes 3 x 3 windows with 16 multiplications in place of 36, and 5 x 5 windows with 36 in
    place of 100, where that is faster, and with rounding errors that are no more than 4 times those
    of the direct form. What is infinite or NaN in the operand may reach all pixels of the tiles of
    2 x 2 that see it, and in the weights all results of their output.

    Raises:
        TypeError: `allowed` is neither a bool nor None.

    >>> set_winograd(False)
    >>> winograd_allowed()
    False
    >>> set_winograd(None)
    """
    global _winograd
    if allowed is not None and not isinstance(allowed, bool):
        raise TypeError(f"allowed must be True, False or None, not {allowed!r}")
    _winograd = allowed


def winograd_allowed() -> bool:
    """Whether convolutions may take Winograd's form.

    In this order: what `set_winograd` chose, the environment variable TENSORNET_WINOGRAD, which is
    looked up each time, yes.

    Raises:
        ValueError: TENSORNET_WINOGRAD is neither 0 nor 1.
    """
    if _winograd is not None:
        return _winograd
    given = os.environ.get(_WINOGRAD_VARIABLE, "").strip()
    if given not in ("", "0", "1"):
        raise ValueError(f"{_WINOGRAD_VARIABLE} must be 0 or 1, not {given!r}")
    return given != "0"


def cpu_count() -> int:
    """How many CPUs this process may use: affinity and control-group quota considered."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *_cpu_quotas()]))


def available_memory() -> int:
    """Bytes that can be allocated now without swapping or meeting a control-group limit.

    File caches that the kernel can drop count as available. Where the system tells only how
    much memory it has, half of it.
    """
    machine = _meminfo("MemAvailable")
    if machine is None:
        machine = _sysconf_bytes("SC_AVPHYS_PAGES")
    if machine is None:
        machine = total_memory() // 2
    return max(0, min([machine, *_memory_headrooms()]))


def total_memory() -> int:
    """Bytes of memory of the machine, or of this process's control group if that is less."""
    machine = _meminfo("MemTotal")
    if machine is None:
        machine = _sysconf_bytes("SC_PHYS_PAGES")
    limits = [limit for _, limit in _memory_limits()]
    return min([_FALLBACK_MEMORY if machine is None else machine, *limits])


def parse_bytes(size: float | str | None) -> int | None:
    """A number of bytes from a number, or from text such as "512MB", "1.5 GiB" or "2e9".

    KB, MB, GB, TB, PB and EB are powers of 1000; KiB, MiB and so on powers of 1024. The B may
    be left out. None stays None.

    Raises:
        TypeError: neither a number nor text.
        ValueError: negative, not finite, or text of another form.

    >>> parse_bytes("512MB"), parse_bytes("1.5 GiB"), parse_bytes(4096)
    (512000000, 1610612736, 4096)
    """
    if size is None:
        return None
    if isinstance(size, str):
        return _parse_text(size)
    if isinstance(size, bool) or not (hasattr(size, "__index__") or isinstance(size, float)):
        raise TypeError(f'a size in bytes is a number or text such as "512MB", not {size!r}')
    if (isinstance(size, float) and not isfinite(size)) or size < 0:
        raise ValueError(f"a size in bytes must be finite and not negative, not {size!r}")
    return int(size)


def format_bytes(n: int) -> str:
    """A readable size with three digits that count; `parse_bytes` reads it back.

    >>> format_bytes(999), format_bytes(1_234_567), format_bytes(25_300_000_000)
    ('999 B', '1.23 MB', '25.3 GB')
    """
    value, unit = float(n), ""
    for larger in list(_UNITS)[1:]:
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    digits = 0 if not unit or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}B"


def _parse_text(text: str) -> int:
    match = _BYTES.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        raise ValueError(f'not a size in bytes: {text!r}; write it like "512MB", "1.5GiB" or "2e9"')
    units = _BINARY_UNITS if match[4] else _UNITS
    value = float(match[1] + (match[2] or "")) * units[match[3].upper()]
    if not isfinite(value):
        raise ValueError(f"not a size in bytes: {text[:40]!r} is too large")
    return int(value)


def _checked_threads(n: int, what: str, given: object) -> int:
    if not 1 <= n <= MAX_THREADS:
        raise ValueError(f"{what} must be a whole number from 1 to {MAX_THREADS}, not {given!r}")
    return n


def _default_threads() -> int:
    given = os.environ.get(_THREADS_VARIABLE, "").strip()
    if not given:
        return min(cpu_count(), MAX_THREADS)
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    return _checked_threads(number, _THREADS_VARIABLE, given)


def _cpu_quotas() -> Iterator[int]:
    """The CPU quota of each enclosing control group that has one, rounded up to whole CPUs."""
    for group in _groups("cpu"):
        words = (_read(group / "cpu.max") or "").split()
        if len(words) != 2:
            words = [
                (_read(group / "cpu.cfs_quota_us") or "").strip(),
                (_read(group / "cpu.cfs_period_us") or "").strip(),
            ]
        if words[0].isdigit() and words[1].isdigit() and int(words[1]) > 0:
            yield max(1, ceil(int(words[0]) / int(words[1])))


def _memory_limits() -> Iterator[tuple[Path, int]]:
    """Each enclosing control group that limits memory, and its limit in bytes.

    Version 1 says "unlimited" with a number near 2**63, which no minimum ever takes.
    """
    for group in _groups("memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            limit = (_read(group / name) or "").strip()
            if limit.isdigit():
                yield group, int(limit)


def _memory_headrooms() -> Iterator[int]:
    for group, limit in _memory_limits():
        used = _read(group / "memory.current") or _read(group / "memory.usage_in_bytes") or "0"
        stat = _read(group / "memory.stat") or ""
        counters = dict(line.split()[:2] for line in stat.splitlines() if len(line.split()) >= 2)
        # Version 1 counts this group alone under the plain name, its children under total_.
        cache = counters.get("total_inactive_file", counters.get("inactive_file", "0"))
        yield limit - max(0, int(used) - int(cache))


def _groups(controller: str) -> Iterator[Path]:
    """The directories of this process's control groups of a controller, innermost first."""
    paths = _group_paths(controller)
    for line in (_read(_ROOT / "proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        version = kind[0]
        if version == "cgroup" and controller not in kind[2].split(","):
            continue
        if version not in paths:
            continue
        top = _ROOT / fields[4].lstrip("/")
        inside = os.path.relpath(paths[version], fields[3])
        # A group outside of what is mounted here (a container's view) has only the mount's top.
        parts = () if inside.startswith("..") else Path(inside).parts
        for depth in range(len(parts), -1, -1):
            yield top.joinpath(*parts[:depth])


def _group_paths(controller: str) -> dict[str, str]:
    """The path of this process's group by file-system kind: "cgroup" or "cgroup2"."""
    paths = {}
    for line in (_read(_ROOT / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers and path:
            paths["cgroup2"] = path
        elif controller in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _meminfo(field: str) -> int | None:
    for line in (_read(_ROOT / "proc/meminfo") or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == field + ":" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


def _sysconf_bytes(pages: str) -> int | None:
    try:
        count = os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return count if count > 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None


def installed_version() -> str:
    """The version of this package; "unknown" in a source tree that is not installed.

    What looks it up takes as long to import as half of all else, and is imported when asked for.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tensornet")
    except PackageNotFoundError:
        return "unknown"
