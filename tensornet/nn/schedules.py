"""Learning rates that depend on the step; any function of a step will do as well.

Steps count from 0: the first update is made with the rate at 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import TypeAlias

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstant",
    "PolynomialDecay",
    "Rate",
    "Warmup",
    "rate_at",
]

Rate: TypeAlias = "float | Callable[[int], float]"


def rate_at(rate: Rate, step: int) -> float:
    """A rate, or what a schedule says at a step.

    >>> rate_at(0.1, 5), rate_at(lambda step: 1 / (step + 1), 3)
    (0.1, 0.25)
    """
    return float(rate(step) if callable(rate) else rate)


@dataclass(frozen=True)
class ExponentialDecay:
    """``initial * factor ** (step / steps)``; with `staircase` only whole numbers of times.

    >>> ExponentialDecay(1.0, steps=10, factor=0.5)(20)
    0.25
    """

    initial: float
    steps: int
    factor: float
    staircase: bool = False

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def __call__(self, step: int) -> float:
        times = step // self.steps if self.staircase else step / self.steps
        return float(self.initial * self.factor**times)


@dataclass(frozen=True)
class InverseTimeDecay:
    """``initial / (1 + factor * step / steps)``.

    >>> InverseTimeDecay(1.0, steps=10, factor=1.0)(30)
    0.25
    """

    initial: float
    steps: int
    factor: float

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def __call__(self, step: int) -> float:
        return self.initial / (1 + self.factor * step / self.steps)


@dataclass(frozen=True)
class PiecewiseConstant:
    """``values[k]`` from step ``boundaries[k - 1]`` on.

    >>> rate = PiecewiseConstant([2, 4], [1.0, 0.1, 0.01])
    >>> [rate(step) for step in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{len(self.boundaries)} boundaries make {len(self.boundaries) + 1} pieces, not "
                f"{len(self.values)}"
            )
        if list(self.boundaries) != sorted(self.boundaries):
            raise ValueError(f"boundaries ascend, unlike {self.boundaries}")

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]


@dataclass(frozen=True)
class PolynomialDecay:
    """From initial to final in so many steps, by default along a line; final from then on.

    >>> PolynomialDecay(1.0, steps=4)(1)
    0.75
    """

    initial: float
    steps: int
    final: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def __call__(self, step: int) -> float:
        left = max(0.0, 1 - step / self.steps)
        return float(self.final + (self.initial - self.final) * left**self.power)


@dataclass(frozen=True)
class CosineDecay:
    """From initial to final in so many steps along half a cosine (Loshchilov and Hutter 2017).

    >>> round(CosineDecay(1.0, steps=2)(1), 12)
    0.5
    """

    initial: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def __call__(self, step: int) -> float:
        part = min(step / self.steps, 1.0)
        return self.final + (self.initial - self.final) * (1 + cos(pi * part)) / 2


@dataclass(frozen=True)
class Warmup:
    """From nearly 0 along a line for so many steps, then another rate, which begins at 0 there.

    >>> [Warmup(1.0, 4)(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    rate: Rate
    steps: int

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return rate_at(self.rate, step - self.steps)
        return rate_at(self.rate, 0) * (step + 1) / self.steps


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"a schedule takes a positive number of steps, not {steps}")
