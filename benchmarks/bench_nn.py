"""Layers of neural networks, forward and backward: tensornet and torch, in both memory formats.

    python benchmarks/bench_nn.py [--threads N] [--sections LIST] [--write]

Everybody gets the same arrays in float32, in one process, in turns, and the best of several runs
counts. Backward is the gradient to the data and that to the weights. A speed-up is the time of
torch in the better of its two formats over ours. The section "network" trains a whole network, see
nn_training.py, "gradients" has those of tensor networks, see nn_gradients.py.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import bench_kernels  # sets the number of threads before NumPy is imported
import nn_cases
import nn_gradients
import nn_training
import numpy as np
from bench_kernels import Runners, best_times, mean, random_array
from results import write_section

import tensornet as tn
from tensornet._kernels import info
from tensornet.ops.convolution import convolve, convolve_data_gradient, convolve_weight_gradient
from tensornet.ops.windows import place_windows

FORMATS = ("NHWC", "NCHW")


class Layer(NamedTuple):
    """A convolution with padding of half a window."""

    batch: int
    channels: int
    extents: tuple[int, int]
    outputs: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2 * self.dilation

    def __str__(self) -> str:
        height, width = self.extents
        text = f"{self.batch}x{self.channels}x{height}x{width} to {self.outputs}, {self.kernel}x"
        text += f"{self.kernel}"
        for name in ("stride", "dilation", "groups"):
            if getattr(self, name) > 1:
                text += f", {name} {getattr(self, name)}"
        return text


CONVOLUTIONS = [
    Layer(32, 1, (28, 28), 32, 5),
    Layer(32, 32, (14, 14), 64, 5),
    Layer(32, 64, (56, 56), 64, 3),
    Layer(8, 128, (28, 28), 128, 3),
    Layer(8, 256, (14, 14), 256, 3),
    Layer(8, 64, (56, 56), 256, 1),
    Layer(8, 3, (224, 224), 64, 7, 2),
]
# Of which nothing above is a special case.
OTHERS = [
    Layer(16, 48, (16, 16), 48, 3),
    Layer(4, 64, (27, 31), 96, 3),
    Layer(8, 64, (56, 56), 128, 3, 2),
    Layer(8, 64, (28, 28), 64, 3, 1, 2),
    Layer(8, 128, (28, 28), 128, 3, 1, 1, 4),
    Layer(1, 64, (56, 56), 64, 3),
    Layer(1, 256, (14, 14), 256, 3),
    Layer(4, 32, (64, 64), 3, 5),
    Layer(1, 1, (3, 3), 1, 3),
]


def torch_runners(torch: Any, layer: Layer, form: str, x: Any, w: Any, y: Any) -> list[Any]:
    """Forward and backward of torch; operands channels first."""
    memory = torch.channels_last if form == "NHWC" else torch.contiguous_format
    tx, tw, ty = (torch.from_numpy(a).clone(memory_format=memory) for a in (x, w, y))
    tx.requires_grad_(), tw.requires_grad_()

    def run() -> Any:
        return torch.nn.functional.conv2d(
            tx, tw, None, layer.stride, layer.padding, layer.dilation, layer.groups
        )

    def forward() -> Any:
        with torch.no_grad():
            return run()

    made = run()
    return [forward, lambda: torch.autograd.grad(made, (tx, tw), ty, retain_graph=True)]


def our_runners(layer: Layer, form: str, x: Any, w: Any, y: Any) -> list[Any]:
    """Forward and backward of ours; operands channels first."""
    last = form == "NHWC"
    x, y = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) if last else a for a in (x, y))
    w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
    windows = place_windows(
        "conv", x.shape, layer.kernel, layer.stride, layer.padding, layer.dilation, form
    )

    def backward() -> Any:
        return (
            convolve_data_gradient(y, w, windows, layer.groups),
            convolve_weight_gradient(x, y, windows, layer.groups),
        )

    return [lambda: convolve(x, w, windows, layer.groups), backward]


def check(ours: Any, theirs: Any, last: bool, weights: bool) -> None:
    """Stops if the two do not agree."""
    if last:
        ours = ours.transpose((3, 2, 0, 1) if weights else (0, 3, 1, 2))
    want = theirs.detach().numpy()
    if not np.abs(ours - want).max() <= 1e-3 * np.abs(want).max():
        raise SystemExit("torch disagrees")


def convolution_runners(torch: Any, layer: Layer) -> Iterator[tuple[str, Runners]]:
    """Everybody's runners for forward, then for backward."""
    x = random_array((layer.batch, layer.channels, *layer.extents), "float32", 1)
    kernel = (layer.kernel, layer.kernel)
    w = random_array((layer.outputs, layer.channels // layer.groups, *kernel), "float32", 2)
    windows = place_windows(
        "conv", x.shape, kernel, layer.stride, layer.padding, layer.dilation, "NCHW"
    )
    y = random_array(windows.shape(layer.outputs), "float32", 3)
    both: list[Runners] = [{}, {}]
    for form in FORMATS:
        ours = our_runners(layer, form, x, w, y)
        theirs = torch_runners(torch, layer, form, x, w, y)
        last = form == "NHWC"
        check(ours[0](), theirs[0](), last, False)
        for k, (mine, wanted) in enumerate(zip(ours[1](), theirs[1]())):
            check(mine, wanted, last, bool(k))
        for runners, mine, other in zip(both, ours, theirs):
            runners[form] = mine
            runners[f"torch {form}"] = other
    yield from zip(("forward", "backward"), both)


def window_runners(_: Any, case: tuple[Any, ...]) -> Iterator[tuple[str, Runners]]:
    """The same for depthwise convolution and pooling."""
    kind, *shape = case
    both: dict[str, Runners] = {"forward": {}, "backward": {}}
    for form in FORMATS:
        if kind == "depthwise":
            made = nn_cases.depthwise_cases(form, *shape)
        else:
            made = nn_cases.pooling_cases(form, kind, *shape)
        for title, ours, theirs in made:
            runners = both[title.split()[-1]]
            runners[form], runners[f"torch {form}"] = ours, theirs
    yield from both.items()


def title_of(case: Any) -> str:
    if isinstance(case, Layer):
        return str(case)
    kind, n, c, extent, kernel, stride, _ = case
    return f"{kind} {n}x{c}x{extent}x{extent}, {kernel}x{kernel}, stride {stride}"


Row = dict[str, Any]
# Sections and their cases: each case makes runners named after FORMATS and "torch " + a format.
SECTIONS: dict[str, tuple[Callable[..., Iterator[tuple[str, Runners]]], list[Any]]] = {
    "convolution": (convolution_runners, CONVOLUTIONS),
    "other convolutions": (convolution_runners, OTHERS),
    "depthwise": (window_runners, [("depthwise", *shape) for shape in nn_cases.DEPTHWISE]),
    "pooling": (
        window_runners,
        [(kind, *shape) for shape in nn_cases.POOLING for kind in ("max", "average")],
    ),
}


def rows_of(section: str, torch: Any, seconds: float) -> Iterator[Row]:
    make, cases = SECTIONS[section]
    for case in cases:
        for direction, runners in make(torch, case):
            times = best_times(runners, seconds)
            best = min(times[f"torch {form}"] for form in FORMATS)
            yield {
                "section": f"{section}, {direction}",
                "case": title_of(case),
                "seconds": times,
                "speedup": {form: best / times[form] for form in FORMATS},
            }


def table(rows: list[Row]) -> str:
    """A line per case, and geometric means per section."""
    names = [*FORMATS, *[f"torch {form}" for form in FORMATS]]
    lines = [
        f"| case | {' | '.join(names)} | speed-up NHWC | NCHW |",
        f"|---|{'---:|' * (len(names) + 2)}",
    ]
    for section in dict.fromkeys(row["section"] for row in rows):
        group = [row for row in rows if row["section"] == section]
        lines.append(f"| **{section}** |{' |' * (len(names) + 2)}")
        for row in group:
            cells = [f"{1e3 * row['seconds'][name]:.3g} ms" for name in names]
            cells += [f"{row['speedup'][form]:.2f}" for form in FORMATS]
            lines.append(f"| {row['case']} | {' | '.join(cells)} |")
        means = [f"{mean([row['speedup'][form] for row in group]):.2f}" for form in FORMATS]
        lines.append(f"| geometric mean |{' |' * len(names)} {' | '.join(means)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sections", default=",".join([*SECTIONS, "network", "gradients"]))
    parser.add_argument("--seconds", type=float, default=1.0, help="per case")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="update RESULTS.md")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    tn.set_num_threads(options.threads)
    rows: list[Row] = []
    sections = options.sections.split(",")
    network = list(nn_training.rows(4, 10 * options.seconds)) if "network" in sections else []
    gradients = nn_gradients.rows(torch, options.seconds) if "gradients" in sections else []
    for section in [name for name in sections if name in SECTIONS]:
        for row in rows_of(section, torch, options.seconds):
            rows.append(row)
            print(row["section"], row["case"], row["speedup"], file=sys.stderr, flush=True)
    heading = (
        f"tensornet {tn.__version__}, {info()['isa']} kernels, {bench_kernels.THREADS} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
    tables = [table(rows)] * bool(rows) + [nn_training.table(network)] * bool(network)
    tables += [nn_gradients.table(gradients)] * bool(gradients)
    text = "\n\n".join([heading, *tables]) + "\n"
    print(text)
    if options.json:
        Path(options.json).write_text(
            json.dumps(
                {"heading": heading, "rows": rows, "network": network, "gradients": gradients},
                indent=1,
            )
        )
    if options.write:
        write_section(f"nn {options.threads}", text)


if __name__ == "__main__":
    main()
