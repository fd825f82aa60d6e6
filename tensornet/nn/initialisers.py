"""What parameters are before they have learned: zeros, ones, random numbers of the right variance.

The fans of a kernel of shape (\\*window, inputs, outputs) are what one output sums over, and what
one input contributes to: ``prod(window) * inputs`` and ``prod(window) * outputs``. In float32 and
float64 the same seed gives the same values to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod, sqrt
from typing import Any, TypeAlias

import numpy as np

from ..arrays import as_numeric
from ..errors import ShapeError

__all__ = [
    "INITIALISERS",
    "Initialiser",
    "fans",
    "initial",
    "normal",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
]

Array = np.ndarray[Any, Any]
Shape = Sequence[int]
Fill: TypeAlias = "Callable[[tuple[int, ...], np.random.Generator], Any]"
# A name, a function of shape and generator, or the entries themselves.
Initialiser: TypeAlias = "str | Fill | Array"

# Of a normal distribution cut off at two deviations: what is left of its deviation.
_TRUNCATED = 0.87962566103423978


def fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs per unit of a kernel of this shape.

    >>> fans((784, 10)), fans((5, 5, 32, 64))
    ((784, 10), (800, 1600))
    """
    if len(shape) < 2:
        return (prod(shape),) * 2
    window = prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def uniform(low: float = -0.05, high: float = 0.05) -> Fill:
    """Independent entries, uniform from `low` to `high`."""
    return lambda shape, generator: generator.uniform(low, high, shape)


def normal(mean: float = 0.0, deviation: float = 0.05) -> Fill:
    """Independent entries of a normal distribution."""
    return lambda shape, generator: generator.normal(mean, deviation, shape)


def truncated_normal(mean: float = 0.0, deviation: float = 0.05) -> Fill:
    """A normal distribution without what lies more than two deviations from the mean.

    `deviation` is that before it is cut off, as in Keras.
    """
    return partial(_truncated, mean, deviation)


def _truncated(
    mean: float, deviation: float, shape: tuple[int, ...], generator: np.random.Generator
) -> Array:
    drawn = generator.standard_normal(shape).reshape(-1)
    while (beyond := np.flatnonzero(np.abs(drawn) > 2)).size:  # a twentieth, each time
        drawn[beyond] = generator.standard_normal(beyond.size)
    return mean + deviation * drawn.reshape(shape)


def variance_scaling(
    scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> Fill:
    """Entries of mean 0 and variance ``scale / fan``.

    Args:
        mode: which fan: "fan_in", "fan_out" or "fan_avg", their mean.
        distribution: "uniform", "normal" or "truncated_normal".

    Raises:
        ValueError: another mode or distribution.

    >>> kernel = variance_scaling()((400, 100), np.random.default_rng(0))
    >>> round(float(kernel.std()) * 20, 2)
    1.0
    """
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError(f"mode is 'fan_in', 'fan_out' or 'fan_avg', not {mode!r}")
    if distribution not in ("uniform", "normal", "truncated_normal"):
        raise ValueError(
            f"distribution is 'uniform', 'normal' or 'truncated_normal', not {distribution!r}"
        )

    def fill(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        into, out = fans(shape)
        fan = {"fan_in": into, "fan_out": out, "fan_avg": (into + out) / 2}[mode]
        deviation = sqrt(scale / max(fan, 1))
        if distribution == "uniform":
            return generator.uniform(-sqrt(3) * deviation, sqrt(3) * deviation, shape)
        if distribution == "normal":
            return generator.normal(0, deviation, shape)
        return _truncated(0.0, deviation / _TRUNCATED, shape, generator)

    return fill


def orthogonal(gain: float = 1.0) -> Fill:
    """A matrix with orthonormal rows or columns, times `gain`; leading axes make up its rows.

    Raises, when it is drawn:
        ShapeError: a shape with fewer than two axes.

    >>> q = orthogonal()((2, 3, 4), np.random.default_rng(0)).reshape(6, 4)
    >>> bool(np.allclose(q.T @ q, np.eye(4)))
    True
    """
    return partial(_orthogonal, gain)


def _orthogonal(gain: float, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    if len(shape) < 2:
        raise ShapeError(f"an orthogonal parameter has at least two axes, not shape {shape}")
    rows, columns = prod(shape[:-1]), shape[-1]
    drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diagonal(r))  # which makes it uniform among the orthogonal matrices
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _zeros(shape: tuple[int, ...], _: np.random.Generator) -> Array:
    return np.zeros(shape)


def _ones(shape: tuple[int, ...], _: np.random.Generator) -> Array:
    return np.ones(shape)


def _named() -> dict[str, Fill]:
    """By name, as in Keras; those that PyTorch's users know by their authors' first names, too."""
    named: dict[str, Fill] = {
        "zeros": _zeros,
        "ones": _ones,
        "uniform": uniform(),
        "normal": normal(),
        "truncated_normal": truncated_normal(),
        "orthogonal": orthogonal(),
    }
    for names, scale, mode in (
        (("glorot", "xavier"), 1.0, "fan_avg"),
        (("he", "kaiming"), 2.0, "fan_in"),
        (("lecun",), 1.0, "fan_in"),
    ):
        for name in names:
            named[f"{name}_uniform"] = variance_scaling(scale, mode, "uniform")
            named[f"{name}_normal"] = variance_scaling(scale, mode)
    return named


INITIALISERS: dict[str, Fill] = _named()


def initial(
    initialiser: Initialiser,
    shape: Shape,
    dtype: Any,
    generator: np.random.Generator,
    what: str = "the parameter",
) -> Array:
    """The first entries of a parameter, in an array of its own.

    Args:
        initialiser: one of `INITIALISERS`; a function of shape and generator; or an array.
        what: names the parameter in errors.

    Raises:
        ValueError: an unknown name.
        ShapeError: entries of another shape.

    >>> initial("ones", (2,), "float32", np.random.default_rng(0))
    array([1., 1.], dtype=float32)
    """
    shape = tuple(shape)
    if isinstance(initialiser, str):
        if initialiser not in INITIALISERS:
            raise ValueError(
                f"{what}: no initialiser is called {initialiser!r}; there are "
                f"{', '.join(sorted(INITIALISERS))}"
            )
        initialiser = INITIALISERS[initialiser]
    entries = initialiser(shape, generator) if callable(initialiser) else initialiser
    array = as_numeric(entries, what)
    if array.shape != shape:
        raise ShapeError(f"{what} has shape {shape}, and is not made from entries of {array.shape}")
    return np.array(array, dtype, order="C")
