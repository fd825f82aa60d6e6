"""Networks as JSON: which index sits on which tensor, and how large it is; no tensor values.

    {"name": "chain", "inputs": [[0, 1], [1, 2]], "output": [0, 2], "sizes": [2, 3, 4]}

Index ids count from 0, and `sizes[i]` is the extent of index `i`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from ..config import available_memory, format_bytes
from ..errors import MemoryLimitError
from ..expr import Expr
from .text import Source, Text, parse_json, read_text

__all__ = ["Network", "random_arrays", "read_network"]

MAX_JSON_BYTES = 2**27
MAX_EXTENT = 2**62


@dataclass(frozen=True)
class Network:
    """A network of shapes and the name that its file gives it."""

    name: str
    expr: Expr


def read_network(source: Source) -> Network:
    """Read a network from a `.json` file (a path, gzipped or not, or an open file).

    Raises:
        FormatError: names the file, and the line where the JSON itself is broken or the tensor
            where the network is.
        OSError: the file cannot be opened.

    >>> import io
    >>> read_network(io.StringIO('{"inputs": [[0], [0]], "output": [], "sizes": [5]}')).expr.shapes
    ((5,), (5,))
    """
    text = read_text(source, max_bytes=MAX_JSON_BYTES)
    data = parse_json(text)
    if not isinstance(data, dict):
        text.fail(None, "expected a JSON object with inputs, output and sizes")
    for key in ("inputs", "output", "sizes"):
        if not isinstance(data.get(key), list):
            text.fail(None, f"expected a list under the key {key!r}")
    sizes = _ids(text, "sizes", data["sizes"], MAX_EXTENT)
    if not all(isinstance(term, list) for term in data["inputs"]):
        text.fail(None, "every entry of 'inputs' must be a list of index ids")
    last = len(sizes) - 1
    inputs = tuple(
        [_ids(text, f"inputs[{i}]", term, last) for i, term in enumerate(data["inputs"])]
    )
    output = _ids(text, "output", data["output"], last)
    _check(text, inputs, output, len(sizes))
    return Network(str(data.get("name", text.stem)), Expr(inputs, output, sizes))


def _ids(text: Text, where: str, values: list[object], most: int) -> tuple[int, ...]:
    """The values as a tuple of whole numbers from 0 to `most`."""
    numbers = []
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int):
            text.fail(None, f"{where}[{position}] is {str(value)[:40]!r}, not a whole number")
        if not 0 <= value <= most:
            text.fail(None, f"{where}[{position}] is {value}; it must be from 0 to {most}")
        numbers.append(value)
    return tuple(numbers)


def _check(
    text: Text, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], n_indices: int
) -> None:
    if not inputs:
        text.fail(None, "the network has no tensors")
    used = set(chain.from_iterable(inputs))
    if len(used) != n_indices:
        missing = next(i for i in range(n_indices) if i not in used)
        text.fail(None, f"index {missing} has an entry in 'sizes' but is on no tensor")
    if len(set(output)) != len(output):
        repeated = next(i for i in output if output.count(i) > 1)
        text.fail(None, f"index {repeated} is repeated in 'output'")


def random_arrays(
    expr: Expr, dtype: DTypeLike = "float64", seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Fill a network with seeded values whose contraction neither overflows nor vanishes.

    A summed index of extent d that is on k tensors gives each of them a factor d**(-1/k).
    With s the product of these factors, the entries of a tensor are independent and uniform in
    s * [0.5, 1.5) before they are rescaled to the mean s (a complex dtype adds an imaginary part
    uniform in s * [-0.5, 0.5)). Constant entries s would make every entry of the result exactly
    one; these stay near it, even for networks of thousands of tensors or disconnected parts.

    Args:
        dtype: a real or complex floating dtype.
        seed: equal seeds give equal arrays.

    Returns:
        One array per operand, of the shapes `expr.shapes`.

    Raises:
        TypeError: a dtype that is not floating.
        MemoryLimitError: more bytes than are available, before anything is allocated.

    >>> expr = Expr(((0, 1), (1, 2)), (0, 2), (2, 300, 2))
    >>> a, b = random_arrays(expr, seed=7)
    >>> bool(abs(a @ b - 1).max() < 0.1)
    True
    """
    kind = np.dtype(dtype)
    if kind.kind not in "fc":
        raise TypeError(f"random values are floating: use float64 or complex128, not {kind}")
    shapes = expr.shapes
    need = sum(prod(shape) for shape in shapes) * kind.itemsize
    have = available_memory()
    if need > have:
        raise MemoryLimitError(
            f"the {len(shapes)} tensors of this network take {format_bytes(need)}, "
            f"but {format_bytes(have)} are available"
        )
    rng = np.random.default_rng(seed)
    return tuple(
        [
            _uniform(rng, shape, scale).astype(kind, copy=False)
            if kind.kind == "f"
            else _uniform_complex(rng, shape, scale).astype(kind, copy=False)
            for shape, scale in zip(shapes, _scales(expr))
        ]
    )


def _scales(expr: Expr) -> Iterable[float]:
    """The factor s of each operand: see `random_arrays`."""
    degree = [0] * len(expr.sizes)
    terms = [set(term) for term in expr.inputs]
    for index in chain.from_iterable(terms):
        degree[index] += 1
    kept = set(expr.output)
    factor = [
        1.0 if index in kept or size == 0 else size ** (-1 / degree[index])
        for index, size in enumerate(expr.sizes)
    ]
    return (prod([factor[index] for index in term]) for term in terms)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    values = np.asarray(rng.random(shape))
    values += 0.5
    if values.size:
        values *= scale / values.mean()
    return values


def _uniform_complex(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    values = _uniform(rng, shape, scale).astype(np.complex128)
    values.imag = scale * (np.asarray(rng.random(shape)) - 0.5)
    return values
