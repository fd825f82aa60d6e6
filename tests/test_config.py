"""Threads and memory: the user's choice, the environment, the machine and its containers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tensornet import config


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    config.set_num_threads(None)
    yield
    config.set_num_threads(None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up machine of 64 CPUs and 100 GiB, 80 GiB of them available."""
    monkeypatch.setattr(config, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.delenv("TENSORNET_NUM_THREADS", raising=False)
    total, available = 100 * 2**20, 80 * 2**20
    put(tmp_path, "proc/meminfo", f"MemTotal: {total} kB\nMemAvailable:  {available} kB\n")
    return tmp_path


def put(root: Path, name: str, text: str | int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"


def test_without_control_groups_the_machine_itself_counts(machine: Path) -> None:
    assert config.cpu_count() == 64
    assert config.total_memory() == 100 * 2**30
    assert config.available_memory() == 80 * 2**30


def test_affinity_limits_the_cpus(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 9}, raising=False)
    assert config.cpu_count() == 3


def test_version_2_limits_of_every_enclosing_group_count(machine: Path) -> None:
    put(machine, "proc/self/mountinfo", V2)
    put(machine, "proc/self/cgroup", "0::/slice/task")
    top = "sys/fs/cgroup"
    put(machine, f"{top}/slice/cpu.max", "250000 100000")
    put(machine, f"{top}/slice/task/cpu.max", "max 100000")
    put(machine, f"{top}/slice/memory.max", 8 * 2**30)
    put(machine, f"{top}/slice/memory.current", 5 * 2**30)
    put(machine, f"{top}/slice/memory.stat", f"anon 1\ninactive_file {2 * 2**30}\nother 7")
    put(machine, f"{top}/slice/task/memory.max", "max")
    assert config.cpu_count() == 3
    assert config.total_memory() == 8 * 2**30
    assert config.available_memory() == 5 * 2**30


def test_version_1_limits_are_read_from_each_controller(machine: Path) -> None:
    mounts = [
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    ]
    put(machine, "proc/self/mountinfo", "\n".join(mounts))
    put(machine, "proc/self/cgroup", "4:memory:/box\n2:cpu,cpuacct:/box\n0::/")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", 150000)
    put(machine, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", 100000)
    put(machine, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", -1)
    box = "sys/fs/cgroup/memory/box"
    put(machine, f"{box}/memory.limit_in_bytes", 4 * 2**30)
    put(machine, f"{box}/memory.usage_in_bytes", 3 * 2**30)
    put(machine, f"{box}/memory.stat", f"inactive_file 5\ntotal_inactive_file {2**30}")
    put(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", 9223372036854771712)
    put(machine, "sys/fs/cgroup/memory/memory.usage_in_bytes", 50 * 2**30)
    assert config.cpu_count() == 2
    assert config.total_memory() == 4 * 2**30
    assert config.available_memory() == 2 * 2**30


def test_a_container_that_mounts_its_own_group_finds_its_limit(machine: Path) -> None:
    mount = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
    put(machine, "proc/self/mountinfo", mount)
    put(machine, "proc/self/cgroup", "4:memory:/docker/abc")
    put(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", 2**30)
    assert config.total_memory() == 2**30
    put(machine, "proc/self/cgroup", "4:memory:/somewhere/else")
    assert config.total_memory() == 2**30


def test_a_group_over_its_limit_has_nothing_available(machine: Path) -> None:
    put(machine, "proc/self/mountinfo", V2)
    put(machine, "proc/self/cgroup", "0::/")
    put(machine, "sys/fs/cgroup/memory.max", 2**20)
    put(machine, "sys/fs/cgroup/memory.current", 2**21)
    assert config.available_memory() == 0


def test_a_tiny_quota_still_is_one_cpu(machine: Path) -> None:
    put(machine, "proc/self/mountinfo", V2)
    put(machine, "proc/self/cgroup", "0::/")
    put(machine, "sys/fs/cgroup/cpu.max", "1000 100000")
    assert config.cpu_count() == 1


def test_systems_without_proc_fall_back_to_sysconf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_ROOT", tmp_path)
    values = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}

    def sysconf(name: str) -> int:
        if name not in values:
            raise ValueError(name)
        return values[name]

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert config.total_memory() == 4096_000
    assert config.available_memory() == 2048_000
    values["SC_AVPHYS_PAGES"] = 300
    assert config.available_memory() == 300 * 4096
    values.clear()
    assert config.total_memory() > config.available_memory() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the Linux /proc")
def test_this_machine_has_some_of_everything() -> None:
    assert 1 <= config.cpu_count() <= len(os.sched_getaffinity(0))
    assert 0 < config.available_memory() <= config.total_memory()


def test_threads_default_to_the_cpus(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert config.get_num_threads() == 3


def test_the_environment_sets_the_threads_and_the_call_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENSORNET_NUM_THREADS", " 7 ")
    assert config.get_num_threads() == 7
    config.set_num_threads(5)
    assert config.get_num_threads() == 5
    config.set_num_threads(None)
    assert config.get_num_threads() == 7


@pytest.mark.parametrize("value", ["zero", "0", "-1", "2.5", "100000", "1025"])
def test_a_bad_environment_variable_says_so(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TENSORNET_NUM_THREADS", value)
    with pytest.raises(ValueError, match=f"TENSORNET_NUM_THREADS .* 1 to 1024, not '{value}'"):
        config.get_num_threads()


def test_an_empty_environment_variable_means_the_default(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORNET_NUM_THREADS", "")
    assert config.get_num_threads() == 64


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-2, ValueError), (1025, ValueError)])
def test_impossible_thread_numbers_are_refused(n: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"1 to 1024, not {n}"):
        config.set_num_threads(n)


def test_thread_numbers_that_are_no_whole_numbers_are_type_errors() -> None:
    wrong: list[Any] = [2.0, "2", True]
    for bad in wrong:
        with pytest.raises(TypeError, match="whole number"):
            config.set_num_threads(bad)


def test_threads_may_be_set_from_many_threads() -> None:
    seen: list[int] = []

    def work(n: int) -> None:
        for _ in range(200):
            config.set_num_threads(n)
            seen.append(config.get_num_threads())

    workers = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(seen) == 600
    assert set(seen) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("512MB", 512_000_000),
        ("512 mb", 512_000_000),
        ("1.5 GiB", 3 * 2**29),
        ("1g", 10**9),
        ("2KiB", 2048),
        ("10", 10),
        ("7B", 7),
        (".5k", 500),
        ("2e9", 2_000_000_000),
        ("1PB", 10**15),
        ("1EB", 10**18),
        ("3TiB", 3 * 2**40),
        (4096, 4096),
        (0, 0),
        (1e6, 1_000_000),
    ],
)
def test_sizes_in_bytes_are_understood(given: str | float, expected: int) -> None:
    assert config.parse_bytes(given) == expected


def test_no_size_stays_none() -> None:
    assert config.parse_bytes(None) is None


@pytest.mark.parametrize("bad", ["", "lots", "-5MB", "5XB", "5 i", "MB", "1e999", "nan", "5MBps"])
def test_other_text_is_a_value_error_that_shows_the_form(bad: str) -> None:
    with pytest.raises(ValueError, match="not a size in bytes"):
        config.parse_bytes(bad)


@pytest.mark.parametrize("bad", [-1, -0.5, float("inf"), float("nan")])
def test_impossible_numbers_are_value_errors(bad: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        config.parse_bytes(bad)


@pytest.mark.parametrize("bad", [True, [], b"5MB"])
def test_other_types_are_type_errors(bad: Any) -> None:
    with pytest.raises(TypeError, match="number or text"):
        config.parse_bytes(bad)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 KB"),
        (9_999, "10.0 KB"),
        (12_345, "12.3 KB"),
        (999_950, "1.00 MB"),
        (123_456_789, "123 MB"),
        (10**18, "1.00 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_sizes_are_shown_with_three_digits(n: int, text: str) -> None:
    assert config.format_bytes(n) == text
    shown = config.parse_bytes(text)
    assert shown is not None
    assert abs(shown - n) <= n * 0.01
