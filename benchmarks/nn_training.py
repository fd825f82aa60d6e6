"""The classic convolutional network, trained and run: the part of bench_nn.py for whole networks.

5x5x32 and 5x5x64 convolutions with padding, each with relu and 2x2 maximum pooling, a dense layer
of 1024 with relu, dropout, a dense layer of 10; batches of 64 images of 28x28, cross-entropy,
Adam. A turn is a pass over some batches in random order, from the arrays to the moved weights, or
through the network without gradients. Everybody has turns in one process, and the best counts;
torch has them in both of its memory formats. Peak memory is that of a process of its own after a
few steps, above what it had after the imports: ``python nn_training.py --memory-of NAME --threads
N``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = THREADS  # before the imports

import numpy as np  # noqa: E402

BATCH = 64
NAMES = ("tensornet", "torch NCHW", "torch NHWC")
Turn = Callable[[], Any]
Row = dict[str, Any]


def images(batches: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.random((batches * BATCH, 28, 28, 1), np.float32)
    return x, rng.integers(10, size=len(x))


def of_tensornet(x: Any, y: Any) -> tuple[Turn, Turn]:
    """A turn of training and one of inference."""
    import tensornet as tn
    from tensornet import nn

    tn.set_num_threads(int(THREADS))
    layers = [
        nn.Conv2D(32, 5, padding="same", activation="relu"),
        nn.MaxPool2D(2),
        nn.Conv2D(64, 5, padding="same", activation="relu"),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dense(1024, activation="relu"),
        nn.Dropout(0.4),
        nn.Dense(10),
    ]
    model = nn.Sequential(layers, seed=0)
    model.compile("adam", metrics=["accuracy"])
    return (
        lambda: model.fit(x, y, BATCH, verbose=0),
        lambda: model.predict(x, BATCH),
    )


def of_torch(x: Any, y: Any, channels_last: bool) -> tuple[Turn, Turn]:
    """A turn of training and one of inference."""
    import torch
    from torch import nn

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(0)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    data = torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=memory)
    labels = torch.from_numpy(y)
    layers = [
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Dropout(0.4), nn.Linear(1024, 10)),
    ]
    model = nn.Sequential(*layers).to(memory_format=memory)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def train() -> None:
        model.train()
        right = total = 0.0
        for rows in torch.randperm(len(data)).split(BATCH):
            optimizer.zero_grad()
            scores = model(data[rows])
            loss = nn.functional.cross_entropy(scores, labels[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()
            right += (scores.argmax(1) == labels[rows]).float().mean().item()

    def infer() -> Any:
        model.eval()
        with torch.inference_mode():
            return torch.cat([model(part) for part in data.split(BATCH)])

    return train, infer


def turns_of(name: str, x: Any, y: Any) -> tuple[Turn, Turn]:
    return of_tensornet(x, y) if name == "tensornet" else of_torch(x, y, name == "torch NHWC")


def rows(batches: int, seconds: float) -> Iterator[Row]:
    """Images per second of everybody, training and inferring; and peak memory.

    Args:
        batches: of a turn.
        seconds: for all turns of a kind.
    """
    from bench_kernels import best_times

    x, y = images(batches)
    both = [turns_of(name, x, y) for name in NAMES]
    for what, runners in zip(("training", "inference"), zip(*both)):
        times = best_times(dict(zip(NAMES, runners)), seconds)
        yield {"what": f"{what}, images/s", **{name: len(x) / times[name] for name in NAMES}}
    yield {"what": "peak memory of training, MB", **peaks()}


def own_memory(name: str) -> None:
    """Print the bytes by which the peak of this process grows in a few steps of training."""
    module = "tensornet.nn" if name == "tensornet" else "torch.optim"
    __import__(module)
    x, y = images(1)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    train, _ = turns_of(name, x, y)
    for _ in range(4):
        train()
    print(_status("VmHWM") - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{key}:")]
    return 1024 * int(line.split()[1])


def peaks() -> dict[str, float]:
    command = [sys.executable, __file__, "--threads", THREADS, "--memory-of"]
    done = {n: subprocess.run([*command, n], check=True, capture_output=True) for n in NAMES}
    return {name: int(each.stdout) / 1e6 for name, each in done.items()}


def table(found: list[Row]) -> str:
    lines = [
        f"| network | {' | '.join(NAMES)} | of the better torch |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in found:
        better = (min if "memory" in row["what"] else max)(row[name] for name in NAMES[1:])
        cells = [f"{row[name]:,.0f}" for name in NAMES]
        lines.append(f"| {row['what']} | {' | '.join(cells)} | {row[NAMES[0]] / better:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    own_memory(sys.argv[sys.argv.index("--memory-of") + 1])
