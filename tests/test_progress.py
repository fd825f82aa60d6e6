"""The progress bar: what it shows of a run in slices, and that it leaves no trace."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

import tensornet as tn
from tensornet import progress
from tensornet.progress import ProgressBar, progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that shows the last number of a list."""
    times = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[-1])
    return times


def drawn(stream: io.StringIO) -> str:
    return stream.getvalue().split("\r")[-1].rstrip()


def test_it_shows_slices_rate_and_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream, slices=10, outside=1e9, flops=8)
    bar(0, 11e9)
    clock.append(2.0)
    bar(5e9, 11e9)
    drawn_bar, facts = drawn(stream).split("%  ")
    assert drawn_bar == "[=============>                ]  45"
    assert facts == "4 of 10 slices, 2.5/s, 20 GFLOP/s, 2.0 s, 2.4 s left"


def test_what_an_earlier_run_did_does_not_count_as_speed(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream, slices=100, flops=2)
    bar(60e9, 100e9)
    clock.append(10.0)
    bar(80e9, 100e9)
    assert drawn(stream).endswith("80 of 100 slices, 2/s, 4 GFLOP/s, 10.0 s, 10.0 s left")


def test_a_run_without_slices_speaks_of_none(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    bar(0, 1e12)
    clock.append(1.0)
    bar(0, 1e12)
    assert drawn(stream).endswith("0%  1.0 s, starting")
    clock.append(100.0)
    bar(1e9, 1e12)
    assert drawn(stream).endswith("0%  0.02 GFLOP/s, 1.7 min, 27.8 h left")


def test_short_work_stays_silent_and_the_line_is_cleared(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    bar(0, 10)
    bar.close()
    assert stream.getvalue() == ""
    clock.append(1.0)
    bar(5, 10)
    bar.close()
    lines = stream.getvalue().split("\r")
    assert lines[-1] == ""
    assert lines[-2] == " " * len(lines[1])


def test_a_callable_is_told_macs(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    with progress_bar(lambda *facts: seen.append(facts)) as report:
        assert report is not None
        report(1.0, 2.0)
    assert seen == [(1.0, 2.0)]
    with progress_bar(None) as report:
        assert report is None
    assert capsys.readouterr().err == ""


def test_a_sliced_run_draws_its_slices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProgressBar, "DELAY", -1.0)
    a = np.ones((40, 50, 8), "complex64")
    result = tn.einsum(
        "abi,bci,cai->", a, a.swapaxes(0, 1), a[:, :40], memory_limit=60_000, progress=True
    )
    assert result == 40 * 50 * 40 * 8
    assert re.search(r"\[[=> ]{30}\] +\d+%  \d+ of \d+ slices, ", capsys.readouterr().err)


def test_without_an_error_stream_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.ProgressBar, "DELAY", -1.0)
    monkeypatch.setattr("sys.stderr", None)  # as in programs without a console
    sizes = {"a": 2, "b": 3, "c": 4}
    plan = tn.plan(["ab", "bc", "ca"], "", sizes, optimize="anneal", progress=True)
    assert plan.compile()(*[np.ones(shape) for shape in plan.expr.shapes], progress=True) == 24
