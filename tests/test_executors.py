"""Slices on threads, processes and clusters: the bits of one process, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent import futures
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_checkpoints import KINDS, Stop, bits, operands, program_of, stop_at

import tensornet as tn
from tensornet import checkpoints, executors, work
from tensornet.errors import TensorNetError
from tensornet.program import Program

SPAWN = get_context("spawn")
POOLS = ("threads", "processes", "loky", "dask")


def make_pool(kind: str, workers: int = 2) -> Any:
    if kind == "threads":
        return futures.ThreadPoolExecutor(workers)
    if kind == "processes":
        return futures.ProcessPoolExecutor(workers, SPAWN)
    if kind == "loky":
        loky = pytest.importorskip("loky", reason="loky is not installed (extra `test`)")
        return loky.ProcessPoolExecutor(workers, timeout=60)
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra `dask`)")
    cluster = distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
    )
    return distributed.Client(cluster)


def close_pool(pool: Any) -> None:
    if hasattr(pool, "cluster"):
        cluster = pool.cluster
        pool.close()
        cluster.close()
    elif hasattr(pool, "shutdown"):
        pool.shutdown()


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A pool of two workers, once for all tests that leave it as it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's start and end
        made = make_pool(request.param)
        yield made
        close_pool(made)


@pytest.fixture
def at_every_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers give a chunk back at the first slice boundary that they can."""
    monkeypatch.setattr(executors, "seconds_between", lambda *facts: 1e-9)
    monkeypatch.setattr(checkpoints.Checkpoint, "save_if_due", checkpoints.Checkpoint.save)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_those_of_one_process(pool: Any, kind: str) -> None:
    program = program_of(kind)
    arrays = operands(program)
    assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))


@pytest.mark.usefixtures("at_every_slice")
@pytest.mark.parametrize("kind", ["scalar", "stripped", "half", "places"])
def test_a_chunk_may_pass_through_many_hands(pool: Any, kind: str) -> None:
    program = program_of(kind)
    arrays = operands(program)
    assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))


def test_workers_see_the_strides_that_the_caller_has(pool: Any) -> None:
    program = program_of("scalar")
    a, b, c, e = operands(program)
    wide = np.zeros((2 * c.shape[0], 3 * c.shape[1]))
    wide[::2, ::-3] = c
    arrays = [np.asfortranarray(a), np.broadcast_to(b[:1], b.shape), wide[::2, ::-3], e.T.copy().T]
    assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))


def test_out_takes_the_result(pool: Any) -> None:
    for kind in ("output", "places"):
        program = program_of(kind)
        arrays = operands(program)
        expected = program(*arrays)
        out = np.full([2 * n for n in expected.shape], 7, expected.dtype)[
            tuple([slice(None, None, -2)] * expected.ndim)
        ]
        assert program(*arrays, out=out, executor=pool) is out
        np.testing.assert_array_equal(out, expected)


def scaled(power: float) -> tuple[Program, list[np.ndarray]]:
    program = program_of("stripped")
    return program, [a * np.complex64(power) for a in operands(program)]


def test_products_far_out_of_range_keep_their_exponent(pool: Any) -> None:
    plain, plain_exponent = scaled(1)[0](*scaled(1)[1])
    for power in (2.0**100, 2.0**-100):
        program, arrays = scaled(power)
        mantissa, exponent = program(*arrays, executor=pool)
        assert bits(mantissa) == bits(plain)
        assert exponent == plain_exponent + 4 * np.log2(power)
    program, arrays = scaled(0)
    assert program(*arrays, executor=pool) == (0, float("-inf"))


def test_progress_is_reported_and_its_exception_leaves_the_pool_usable(pool: Any) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    seen: list[tuple[float, float]] = []
    program(*arrays, executor=pool, progress=lambda *facts: seen.append(facts))
    assert seen == sorted(seen)
    assert all(0 <= done <= total == program.macs for done, total in seen)
    with pytest.raises(Stop):
        program(*arrays, executor=pool, progress=stop_at(2))
    assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))


@pytest.mark.usefixtures("at_every_slice")
def test_a_checkpoint_may_be_continued_elsewhere(pool: Any, tmp_path: Path) -> None:
    program = program_of("stripped")
    arrays = operands(program)
    path = tmp_path / "sums"
    with pytest.raises(Stop):
        program(*arrays, executor=pool, checkpoint=path, progress=stop_at(20))
    assert path.exists()
    with pytest.raises(Stop):
        program(*arrays, executor=pool, checkpoint=path, progress=stop_at(20))
    assert bits(program(*arrays, checkpoint=path)) == bits(program(*arrays))
    assert list(tmp_path.iterdir()) == []


def interrupt(done: float, total: float) -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_leaves_pool_and_library_usable(pool: Any) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with pytest.raises(KeyboardInterrupt):
        program(*arrays, executor=pool, progress=interrupt)
    assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))


def test_threads_stop_in_the_middle_of_a_slice_once_nobody_waits() -> None:
    program = program_of("scalar")
    task = work.Work(program._network, tuple(operands(program)), np.empty(()))
    task.cancelled = True
    with pytest.raises(futures.CancelledError):
        task.advance(0, (0, -(2**31), 0), 0)


# ---- workers that die ----


def die_once(marker: str, function: Any, *arguments: Any) -> Any:
    """Kills its own process unless one has died for this marker already."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return function(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """Passes tasks on; the `nth` kills the worker that gets it."""

    def __init__(self, pool: Any, marker: Path, nth: int) -> None:
        self.pool, self.marker, self.nth, self.tasks = pool, marker, nth, 0

    def submit(self, function: Any, *arguments: Any, **options: Any) -> Any:
        self.tasks += 1
        if self.tasks == self.nth:
            return self.pool.submit(die_once, str(self.marker), function, *arguments, **options)
        return self.pool.submit(function, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.pool, name)


class DeadlyProcesses(futures.ProcessPoolExecutor):
    """A process pool of which the fifth task kills its worker."""

    submit = Deadly.submit

    def __init__(self, marker: Path) -> None:
        super().__init__(2, SPAWN)
        self.pool, self.marker, self.nth, self.tasks = super(), marker, 5, 0


@pytest.mark.usefixtures("at_every_slice")
def test_a_process_pool_that_lost_a_worker_is_built_again(tmp_path: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with DeadlyProcesses(tmp_path / "died") as pool:
        assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))
    assert (tmp_path / "died").exists()


def test_a_loky_pool_that_lost_a_worker_is_built_again(tmp_path: Path) -> None:
    loky = pytest.importorskip("loky", reason="loky is not installed (extra `test`)")

    class DeadlyLoky(loky.ProcessPoolExecutor):
        submit = Deadly.submit
        __module__ = "loky.tests"

    program = program_of("scalar")
    arrays = operands(program)
    pool = DeadlyLoky(2, timeout=60)
    pool.pool, pool.marker, pool.nth, pool.tasks = super(DeadlyLoky, pool), tmp_path / "died", 5, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loky's, about the worker that died
        assert bits(program(*arrays, executor=pool)) == bits(program(*arrays))
        pool.shutdown()
    assert (tmp_path / "died").exists()


def test_dask_gives_the_task_of_a_dead_worker_to_another(tmp_path: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = make_pool("dask")
        deadly = Deadly(client, tmp_path / "died", 5)
        assert bits(program(*arrays, executor=deadly)) == bits(program(*arrays))
        close_pool(client)
    assert (tmp_path / "died").exists()


def test_dask_sends_the_inputs_again_when_all_that_had_them_died(tmp_path: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = make_pool("dask", workers=1)
        deadly = Deadly(client, tmp_path / "died", 3)
        assert bits(program(*arrays, executor=deadly)) == bits(program(*arrays))
        close_pool(client)


def test_an_unknown_pool_that_dies_leaves_the_rest_to_this_process(tmp_path: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with make_pool("processes") as pool:
        deadly = Deadly(pool, tmp_path / "died", 5)
        with pytest.warns(RuntimeWarning, match="lost its workers .*; this process computes"):
            assert bits(program(*arrays, executor=deadly)) == bits(program(*arrays))


class Hopeless:
    """An executor whose workers always die."""

    pools = 0

    def submit(self, *task: Any) -> Any:
        raise futures.BrokenExecutor("no worker is left")


def test_workers_that_die_again_and_again_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_equal_pool", lambda pool: executors._Pool(Hopeless()))
    program = program_of("scalar")
    with pytest.raises(futures.BrokenExecutor, match="no worker is left"):
        program(*operands(program), executor=Hopeless())


# ---- what is sent ----


class Recorder:
    """Passes tasks on, and counts those that carry the operands."""

    def __init__(self, pool: Any, workers: int) -> None:
        self.pool, self._max_workers, self.sent = pool, workers, 0

    def submit(self, function: Any, task: Any, *arguments: Any) -> Any:
        self.sent += task is not None
        return self.pool.submit(function, task, *arguments)


def test_a_worker_is_sent_the_inputs_once() -> None:
    program = program_of("scalar")
    arrays = operands(program)
    with make_pool("processes", 1) as pool:
        recorder = Recorder(pool, 1)
        for _ in range(2):
            program(*arrays, executor=recorder)
            assert recorder.sent == 1
        program(*operands(program, seed=1), executor=recorder)
        assert recorder.sent == 2


def test_no_chunk_is_lost_however_many_workers_a_pool_says_it_has() -> None:
    program = program_of("scalar")
    arrays = operands(program)
    expected = bits(program(*arrays))
    for workers in (1, 2, 100):
        with make_pool("processes") as pool:
            recorder = Recorder(pool, workers)
            assert bits(program(*arrays, executor=recorder)) == expected
            assert recorder.sent >= 1


def test_a_worker_of_another_build_is_refused_with_its_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = program_of("scalar")
    monkeypatch.setattr(work, "_build", lambda: ("0.0.1", "abacus"))
    with (
        make_pool("processes", 1) as pool,
        pytest.raises(TensorNetError, match=r"but the caller 0\.0\.1 abacus.*TENSORNET_ISA"),
    ):
        program(*operands(program), executor=pool)


class FakeRay:
    """What is used of the module ray, on threads."""

    def __init__(self, pool: futures.Executor) -> None:
        self.pool = pool
        self.puts: list[Any] = []

    def put(self, value: Any) -> Any:
        self.puts.append(value)
        return value

    def remote(self, function: Any) -> Any:
        pool = self.pool

        class Remote:
            @staticmethod
            def remote(*arguments: Any) -> Any:
                task = pool.submit(function, *arguments)
                return type("Reference", (), {"future": lambda self: task})()

        return Remote


def test_ray_is_given_the_inputs_once() -> None:
    program = program_of("stripped")
    arrays = operands(program)
    with make_pool("threads") as pool:
        ray = FakeRay(pool)
        assert bits(program(*arrays, executor=ray)) == bits(program(*arrays))
        assert len(ray.puts) == 1


def test_runs_that_share_a_pool_do_not_mix(pool: Any) -> None:
    program = program_of("scalar")
    inputs = [operands(program, seed) for seed in range(4)]
    expected = [bits(program(*arrays)) for arrays in inputs]
    with futures.ThreadPoolExecutor(4) as callers:
        for _ in range(2):
            got = callers.map(lambda arrays: bits(program(*arrays, executor=pool)), inputs)
            assert list(got) == expected


def test_what_is_no_executor_is_a_type_error_that_says_what_is() -> None:
    program = program_of("scalar")
    with pytest.raises(TypeError, match=r"an executor of concurrent\.futures, a dask.* 'dask'"):
        program(*operands(program), executor="dask")


def test_nothing_of_the_run_stays_behind_in_this_process() -> None:
    program = program_of("scalar")
    with make_pool("threads") as pool:
        program(*operands(program), executor=pool)
    assert executors._latest is None


MPI = """
import sys
sys.path.insert(0, {tests!r})
from mpi4py.futures import MPIPoolExecutor
from test_checkpoints import KINDS, bits, operands, program_of

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        for kind in KINDS:
            program = program_of(kind)
            arrays = operands(program)
            assert bits(program(*arrays, executor=pool)) == bits(program(*arrays)), kind
    print("the same bits")
"""


def test_mpi_gives_the_bits_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed (extra `mpi`)")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("mpiexec is not next to python (extra `mpi`)")
    script = tmp_path / "slices.py"
    script.write_text(MPI.format(tests=str(Path(__file__).parent)))
    command = [mpiexec, "-n", "2", sys.executable, "-m", "mpi4py.futures", str(script)]
    allowed = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_ALLOW_RUN_AS_ROOT": "1",
        "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **allowed}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "the same bits"


class Counter:
    """Passes tasks on, and counts them."""

    def __init__(self, pool: futures.Executor) -> None:
        self.pool, self.tasks = pool, 0

    def submit(self, *task: Any) -> Any:
        self.tasks += 1
        return self.pool.submit(*task)


def test_every_front_door_takes_an_executor_and_a_checkpoint(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((30, 40, 8)), rng.standard_normal((40, 30, 8)), np.ones((30, 30))]
    terms = [[1, 2, 3], [2, 4, 3], [4, 1]]
    tree = tn.plan(terms, (), {1: 30, 2: 40, 3: 8, 4: 30}, memory_limit=20_000).tree
    subscripts = "abi,bci,ca->"
    expression = tn.contract_expression(
        subscripts, *[x.shape for x in arrays], optimize=tree, memory_limit="20kB"
    )
    expected = expression(*arrays)
    (tmp_path / "sums").mkdir()
    with make_pool("threads") as pool:
        counter = Counter(pool)
        options: dict[str, Any] = {"executor": counter, "checkpoint": tmp_path / "sums"}
        doors = [
            lambda: tn.einsum(subscripts, *arrays, memory_limit="20kB", optimize=tree, **options),
            lambda: expression(*arrays, **options),
            lambda: tn.contract_expr(tree.expr, arrays, optimize=tree, **options),
        ]
        for door in doors:
            with pytest.raises(IsADirectoryError):
                door()
        (tmp_path / "sums").rmdir()
        for door in doors:
            before = counter.tasks
            assert door() == expected
            assert counter.tasks > before
        assert tn.ncon(arrays, terms, **options) == pytest.approx(expected)
    assert list(tmp_path.iterdir()) == []


def test_a_repeated_einsum_hears_of_its_executor() -> None:
    a = np.random.default_rng(0).standard_normal((200, 200))
    tree = tn.plan(["ab", "bc", "ca"], (), {"a": 200, "b": 200, "c": 200}, memory_limit=9000).tree
    plain = tn.einsum("ab,bc,ca->", a, a, a, optimize=tree)
    with make_pool("threads") as pool:
        for _ in range(2):
            counter = Counter(pool)
            assert tn.einsum("ab,bc,ca->", a, a, a, optimize=tree, executor=counter) == plain
            assert counter.tasks > 0
