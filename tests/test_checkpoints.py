"""Checkpoints: a run that was stopped, however, continues to the bits of one that was not."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import checkpoints, executors
from tensornet.errors import CheckpointError
from tensornet.expr import from_labels
from tensornet.planner import Tree
from tensornet.program import Program, lower

KINDS = {
    "scalar": ("", "dc", "float64", False),
    "stripped": ("", "dc", "complex64", True),
    "half": ("", "dc", "float16", False),
    "output": ("ae", "e", "complex128", False),
    "both": ("a", "da", "float32", False),
    "places": ("eb", "ab", "complex64", False),  # too large for a sum per chunk: summed in place
    "whole": ("be", "d", "float64", False),  # the same, by a single chunk
}


def program_of(kind: str, threads: int = 2) -> Program:
    """A chain in some slices."""
    output, sliced, dtype, strip = KINDS[kind]
    sizes = {"a": 6, "b": 12, "c": 12, "d": 5, "e": 40}
    expr = from_labels(["abd", "bcd", "ca", "eb"], output, sizes)
    number = {label: i for i, label in enumerate("abdce")}
    tree = Tree(expr, ((0, 1), (2, 4), (3, 5)), tuple([number[label] for label in sliced]))
    return lower(tree, dtype, threads=threads, strip_exponent=strip)


def operands(program: Program, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in program.tree.expr.shapes]
    if program.dtype.kind == "c":
        arrays = [a + 1j * rng.standard_normal(a.shape) for a in arrays]
    return [np.asarray(a, program.dtype) for a in arrays]


def bits(result: Any) -> bytes:
    if isinstance(result, tuple):
        return bits(result[0]) + repr(result[1]).encode()
    return np.asarray(result).tobytes()


class Stop(Exception):
    """What a test raises from a progress callback."""


def stop_at(call: int) -> Any:
    calls = []

    def progress(done: float, total: float) -> None:
        calls.append(done)
        if len(calls) == call:
            raise Stop

    return progress


@pytest.fixture
def at_every_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs pause at the first slice boundary that they can, and write whenever they pause."""
    monkeypatch.setattr(executors, "seconds_between", lambda *facts: 1e-9)
    monkeypatch.setattr(checkpoints.Checkpoint, "save_if_due", checkpoints.Checkpoint.save)


@pytest.mark.usefixtures("at_every_slice")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_pauses_to_write_has_the_bits_of_one_that_does_not(
    kind: str, threads: int, tmp_path: Path
) -> None:
    program = program_of(kind, threads)
    arrays = operands(program)
    path = tmp_path / "sums"
    assert bits(program(*arrays, checkpoint=path)) == bits(program(*arrays))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_every_slice")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_again_and_again_continues_to_the_same_bits(
    kind: str, tmp_path: Path
) -> None:
    arrays = operands(program_of(kind))
    expected = bits(program_of(kind)(*arrays))
    path = tmp_path / "sums.npz"
    stops, result = 0, None
    while result is None:
        program = program_of(kind, threads=1 + stops % 3)
        try:
            result = program(*arrays, checkpoint=path, progress=stop_at(5))
        except Stop:
            assert path.exists()
            stops += 1
    assert stops > 0
    assert bits(result) == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_every_slice")
def test_out_of_any_layout_is_continued(tmp_path: Path) -> None:
    program = program_of("places", threads=1)
    arrays = operands(program)
    expected = program(*arrays)
    out = np.full((2 * expected.shape[0], expected.shape[1]), np.nan, expected.dtype)[::2].T[::-1].T
    with pytest.raises(Stop):
        program(*arrays, out=out, checkpoint=tmp_path / "sums", progress=stop_at(4))
    out[...] = np.nan
    assert program(*arrays, out=out, checkpoint=tmp_path / "sums") is out
    np.testing.assert_array_equal(out, expected)


@pytest.fixture
def stopped(tmp_path: Path, at_every_slice: None) -> Path:
    """The checkpoint of a run of "scalar" that was stopped."""
    program = program_of("scalar", threads=1)
    with pytest.raises(Stop):
        program(*operands(program), checkpoint=tmp_path / "sums", progress=stop_at(6))
    return tmp_path / "sums"


def test_a_checkpoint_of_another_plan_is_refused(stopped: Path) -> None:
    before = stopped.read_bytes()
    for other in (program_of("both"), program_of("half"), program_of("stripped")):
        with pytest.raises(CheckpointError, match=r"sums is of another plan .*: delete it"):
            other(*operands(other), checkpoint=stopped)
    assert stopped.read_bytes() == before
    assert list(stopped.parent.iterdir()) == [stopped]


def test_a_checkpoint_of_other_inputs_is_refused(stopped: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    changed = [a.copy() for a in arrays]
    changed[2][1, 2] = np.nextafter(changed[2][1, 2], 9)
    turned = [np.asfortranarray(a) for a in arrays]  # other kernels, perhaps other last bits
    for other in (operands(program, seed=1), changed, turned):
        with pytest.raises(CheckpointError, match=r"sums is of other inputs .*: delete it"):
            program(*other, checkpoint=stopped)
    assert bits(program(*arrays, checkpoint=stopped)) == bits(program(*arrays))


def test_another_number_of_threads_continues_the_same_run(stopped: Path) -> None:
    program = program_of("scalar", threads=3)
    arrays = operands(program)
    assert bits(program(*arrays, checkpoint=stopped)) == bits(program(*arrays))


def saved(**fields: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **fields)
    return file.getvalue()


def test_a_damaged_checkpoint_is_refused_and_never_unpickled(stopped: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    whole = stopped.read_bytes()
    with np.load(stopped) as file:
        fields = {name: file[name] for name in file.files}
    rng = np.random.default_rng(0)
    broken = [whole[: int(n)] for n in rng.integers(0, len(whole), 20)]
    start = whole.index(fields["sums"].tobytes())
    for at in rng.integers(start, start + fields["sums"].nbytes, 5):
        broken.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    far = fields["chunks"].copy()
    far[0, 0] = 10**9
    broken += [
        b"",
        b"what is this",
        pickle.dumps(fields),
        saved(**{**fields, "chunks": np.array([fields["chunks"], None], object)}),
        saved(**{**fields, "chunks": far}),
        saved(**{**fields, "chunks": fields["chunks"][:1]}),
        saved(**{**fields, "sums": fields["sums"][8:]}),
        saved(**{**fields, "format": "tensornet-checkpoint 99"}),
    ]
    for content in broken:
        stopped.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"sums is damaged.*: delete it"):
            program(*arrays, checkpoint=stopped)
        assert stopped.read_bytes() == content
    stopped.write_bytes(whole)
    assert bits(program(*arrays, checkpoint=stopped)) == bits(program(*arrays))


def test_no_flipped_bits_make_a_checkpoint_wrong_or_fail_otherwise(stopped: Path) -> None:
    program = program_of("scalar")
    arrays = operands(program)
    whole, want = stopped.read_bytes(), bits(program(*arrays))
    directory = whole.index(b"PK\1\2")  # of the archive: sizes, flags and methods of what is in it
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, directory, 20), *rng.integers(directory, len(whole), 100)]
    for at in places:
        flipped = bytes([whole[at] ^ int(rng.integers(1, 256))])
        stopped.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        with contextlib.suppress(CheckpointError):
            assert bits(program(*arrays, checkpoint=stopped)) == want


def test_a_folder_that_is_not_there_is_an_error_before_the_run(tmp_path: Path) -> None:
    program = program_of("scalar")
    with pytest.raises(FileNotFoundError):
        program(*operands(program), checkpoint=tmp_path / "none" / "sums", progress=stop_at(1))


def test_a_program_without_slices_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    tree = Tree(from_labels(["ab", "bc"], "ac", {"a": 2, "b": 3, "c": 4}), ((0, 1),))
    program = lower(tree, "float64")
    program(*operands(program), checkpoint=path)
    assert path.read_text() == "mine"


# A process that runs "scalar" with writes as often as they can be, prints a line when it starts and
# the bytes of its result; KILL is the number of a call of os.replace at which it kills itself.
CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import test_checkpoints as t
t.executors.seconds_between = lambda *facts: 1e-9
t.checkpoints.Checkpoint.save_if_due = t.checkpoints.Checkpoint.save
program = t.program_of("scalar", threads=1)
replace, calls, kill = os.replace, [], int(sys.argv[2])
def replace_and_die(*names):
    calls.append(names)
    if len(calls) == abs(kill):
        if kill > 0:
            replace(*names)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)
os.replace = replace_and_die
print("begins", flush=True)
print(t.bits(program(*t.operands(program), checkpoint=sys.argv[1])).hex(), flush=True)
"""


def child(path: Path, kill: int) -> subprocess.Popen[str]:
    code = CHILD.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(path), str(kill)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_run_killed_at_any_moment_continues_to_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "sums"
    program = program_of("scalar")
    expected = bits(program(*operands(program))).hex()
    for kill in (-1, 1, -2, 3):  # before and after a new file is in its place
        with child(path, kill) as process:
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert path.exists() == (kill != -1)
    rng = np.random.default_rng(0)
    for moment in rng.random(3) * 0.05:
        with child(path, 0) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
    with child(path, 0) as process:
        result, _ = process.communicate()
    assert process.returncode == 0
    assert result.splitlines()[-1] == expected
    assert list(tmp_path.iterdir()) == []


def endless(sliced: str) -> tuple[Program, list[np.ndarray]]:
    """A contraction that would take an hour, on operands that take no memory."""
    sizes = {"a": 300, "b": 300, "c": 300, "d": 10**7, "e": 2}
    expr = from_labels(["abde", "bcde"], "ac", sizes)
    number = {label: i for i, label in enumerate("abdec")}
    tree = Tree(expr, ((0, 1),), tuple([number[label] for label in sliced]))
    arrays = [np.broadcast_to(1.0, shape) for shape in expr.shapes]
    return lower(tree, "float64", threads=2), arrays


@pytest.mark.parametrize("sliced", ["", "e"])
@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_ends_even_a_step_that_takes_an_hour(
    sliced: str, kept: bool, tmp_path: Path
) -> None:
    program, arrays = endless(sliced)
    calls = []

    def progress(done: float, total: float) -> None:
        calls.append(done)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        program(*arrays, progress=progress, checkpoint=tmp_path / "sums" if kept else None)
    assert time.monotonic() - start < 60  # it is below a second, but machines can be busy
    assert tn.einsum("ij,jk", np.eye(2), np.eye(2)).tolist() == [[1, 0], [0, 1]]


def test_the_writes_of_long_slices_are_further_apart() -> None:
    assert checkpoints.seconds_between(1000, 5.0, 2) == checkpoints.INTERVAL
    assert checkpoints.seconds_between(2, 60.0, 2) == 600
    assert checkpoints.seconds_between(0, 60.0, 1) == 600


@pytest.mark.parametrize("pooled", [False, True])
def test_a_full_disk_costs_a_warning_and_not_the_run(
    pooled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    monkeypatch.setattr(executors, "seconds_between", lambda *facts: 1e-9)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    program = program_of("scalar")
    arrays, path = operands(program), tmp_path / "sums"
    pool = ThreadPoolExecutor(1) if pooled else None
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.warns(RuntimeWarning, match="checkpoint cannot be written: .*No space"):
            assert bits(program(*arrays, checkpoint=path, executor=pool)) == bits(program(*arrays))
        with pytest.warns(RuntimeWarning), pytest.raises(Stop):
            program(*arrays, checkpoint=path, executor=pool, progress=stop_at(1))
    assert list(tmp_path.iterdir()) == []


def test_a_write_waits_until_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "seconds_between", lambda *facts: 1e-9)
    writes = []
    monkeypatch.setattr(checkpoints.Checkpoint, "save", lambda self: writes.append(self))
    program = program_of("scalar")
    program(*operands(program), checkpoint=tmp_path / "sums")
    assert len(writes) < 5
    assert os.listdir(tmp_path) == []
