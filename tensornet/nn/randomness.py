"""Random numbers from explicit seeds, and their state as an array to be saved."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CheckpointError

__all__ = ["Seed", "child_seed", "generator_of", "restore_generator", "state_of"]

Seed = int | np.random.SeedSequence

_WORD = (1 << 64) - 1


def child_seed(seed: Seed, place: int) -> np.random.SeedSequence:
    """The seed of the part at this place; parts at different places are independent.

    >>> int(generator_of(child_seed(0, 1)).integers(100))
    66
    """
    parent = _sequence(seed)
    return np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, place))


def generator_of(seed: Seed | None) -> np.random.Generator:
    """A new generator; without a seed, one that the operating system seeds."""
    return np.random.Generator(np.random.PCG64(None if seed is None else _sequence(seed)))


def _sequence(seed: Seed) -> np.random.SeedSequence:
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)


def state_of(generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """The state of a PCG64 generator as 6 words of uint64.

    Raises:
        TypeError: a generator of another kind.
    """
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise TypeError(
            f"only the state of a PCG64 generator is saved, not of {state['bit_generator']}: make "
            "it with numpy.random.default_rng(seed)"
        )
    words = [state["state"]["state"], state["state"]["inc"]]
    split = [part for word in words for part in (word >> 64, word & _WORD)]
    return np.array([*split, state["has_uint32"], state["uinteger"]], np.uint64)


def restore_generator(generator: np.random.Generator, words: Any) -> None:
    """Give a generator the state that `state_of` has made an array of.

    Raises:
        CheckpointError: it is no such array.
    """
    array = np.asarray(words)
    if array.shape != (6,) or array.dtype != np.uint64:
        raise CheckpointError(
            f"the state of a generator is 6 words of uint64, not {array.dtype} of {array.shape}"
        )
    high, low, increment_high, increment_low, has_half, half = array.tolist()
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": increment_high << 64 | increment_low},
        "has_uint32": has_half,
        "uinteger": half,
    }
