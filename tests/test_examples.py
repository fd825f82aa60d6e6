"""Every program in examples/ runs as a user would run it, and checks its own numbers."""

from __future__ import annotations

import importlib.util
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensornet

PACKAGE = Path(tensornet.__file__).resolve().parent  # the one under test, wherever it is
ROOT = Path(__file__).resolve().parents[1]
MNIST = sorted((ROOT / "examples").glob("mnist_*.py"))
PROGRAMS = sorted({*(ROOT / "examples").glob("*.py")} - {*MNIST})


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(program), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_example_runs(program: Path) -> None:
    done = run(program)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files in the form of MNIST's: a bright bar for each digit, in noise."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    for name, count in (("train", 1500), ("t10k", 200)):
        labels = rng.integers(10, size=count, dtype=np.uint8)
        images = rng.integers(100, size=(count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels.tolist()):
            image[4 + 2 * label, 4:24] = 250
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            extents = struct.pack(f">{array.ndim}I", *array.shape)
            header = bytes([0, 0, 8, array.ndim]) + extents
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.mark.parametrize("program", MNIST, ids=[path.stem for path in MNIST])
def test_mnist_example_learns(program: Path, digits: Path, tmp_path: Path) -> None:
    plot = tmp_path / "history.png"
    epochs = "20" if program.stem == "mnist_softmax" else "2"
    done = run(program, "--data", str(digits), "--epochs", epochs, "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    *lines, accuracy, speed = done.stdout.splitlines()
    assert re.fullmatch(r"accuracy: [01]\.\d+", accuracy)
    assert float(accuracy.split()[1]) > 0.9
    assert re.fullmatch(r"\d+ images/s", speed)
    for word in ("parameters: ", "seconds: "):
        assert [line for line in lines if line.startswith(word)]
    if importlib.util.find_spec("matplotlib"):
        assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("program", MNIST, ids=[path.stem for path in MNIST])
def test_mnist_example_says_what_is_missing(program: Path, tmp_path: Path) -> None:
    done = run(program, "--data", str(tmp_path))
    assert done.returncode == 2
    assert "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz" in done.stderr
    assert "https://" in done.stderr
    assert "Traceback" not in done.stderr


def test_there_are_examples() -> None:
    assert len(PROGRAMS) >= 2
