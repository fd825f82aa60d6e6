"""Extents written as products, one factor per core of a network."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index

from ...errors import ShapeError

__all__ = ["Factors", "checked_factors", "factorise", "power_root"]

Factors = int | Sequence[int]


def factorise(number: int, parts: int) -> tuple[int, ...]:
    """A number as a product of so many factors, as equal as its prime factors allow.

    >>> factorise(784, 4), factorise(1024, 4), factorise(10, 3)
    ((7, 7, 4, 4), (8, 8, 4, 4), (5, 2, 1))
    """
    if number < 1 or parts < 1:
        raise ValueError(f"{number} cannot be written as a product of {parts} positive factors")
    primes, rest, divisor = [], number, 2
    while rest > 1:
        if divisor * divisor > rest:
            divisor = rest
        while rest % divisor == 0:
            primes.append(divisor)
            rest //= divisor
        divisor += 1
    factors = [1] * parts
    for prime in reversed(primes):
        factors[factors.index(min(factors))] *= prime
    return tuple(sorted(factors, reverse=True))


def checked_factors(given: Factors, parts: int | None, what: str) -> tuple[int, ...]:
    """Factors as given, or those of a number.

    Args:
        given: the factors, or their product.
        parts: how many there must be; needed for a product.
        what: names them in errors.

    Raises:
        ValueError: factors that are not positive whole numbers, or not so many.
    """
    if isinstance(given, Sequence):
        factors = tuple(map(index, given))
    elif parts is None:
        raise ValueError(
            f"{what}: give the factors of {given}, such as (7, 4, 7, 4), or their number"
        )
    else:
        factors = factorise(index(given), parts)
    if not factors or min(factors) < 1 or (parts is not None and len(factors) != parts):
        count = "" if parts is None else f"{parts} "
        raise ValueError(f"{what}: {tuple(factors)} are not {count}positive factors")
    return factors


def power_root(number: int, exponent: int, label: str) -> int:
    """The whole number whose power is `number`.

    Raises:
        ShapeError: there is none; names the layer.
    """
    root: int = round(number ** (1 / exponent))
    if root**exponent != number:
        raise ShapeError(
            f"{label} expects a last axis whose extent is a {exponent}th power, such as "
            f"{prod([max(root, 2)] * exponent)}, not {number}"
        )
    return root
