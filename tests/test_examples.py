"""Every program in examples/ runs as a user would run it, and checks its own numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tensornet

PACKAGE = Path(tensornet.__file__).resolve().parent  # the one under test, wherever it is
ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_example_runs(program: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout


def test_there_are_examples() -> None:
    assert len(PROGRAMS) >= 2
