"""Slices for an amount of memory: where trees, which count entries, meet a limit in bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from math import ceil, inf, log2

from .errors import MemoryLimitError
from .planner import Tree, slice_tree
from .planner.slicing import MOST_SLICES
from .tables import readable

__all__ = [
    "IMPOSSIBLE",
    "LONG_RUN",
    "Budget",
    "Memory",
    "search_within",
    "sliced_for_cache",
    "sliced_to_fit",
]

IMPOSSIBLE = 2**59  # bytes that no machine has; the compiler refuses beyond

# To halve the largest intermediate takes twice the slices or more. The guess may be off by some.
_MOST_HALVINGS, _UNSURE = MOST_SLICES.bit_length() - 1, 8

_MOMENT = 0.05  # seconds that are always there

# Shares of the time of a search that knows its limit: a first look whether the limit matters; then
# of what is left, each attempt at slices, and two searches for what they say is small enough; where
# no slices are, a longer attempts.
_LOOK, _GLANCE, _FIRST, _SECOND, _LONGER = 0.1, 0.02, 0.5, 0.9, 0.1


@dataclass(frozen=True)
class Memory:
    """What a run may take.

    Attributes:
        limit: bytes that it may allocate.
        result: bytes of the result, which no slicing makes smaller.
        required: bytes that a run of a tree allocates, IMPOSSIBLE or more if no machine has them.
    """

    limit: int
    result: int
    required: Callable[[Tree], int]

    def holds(self, tree: Tree) -> bool:
        """Does a run of this tree keep to the limit?"""
        return self.required(tree) <= self.limit


@dataclass(frozen=True)
class Budget:
    """How long to look for slices: until `end` (of the monotonic clock), or by steps.

    Attributes:
        stopped: takes the interruption that came; nothing is left then.
    """

    seed: int = 0
    max_steps: int | None = None
    end: float | None = None
    stopped: list[BaseException] = field(default_factory=list, compare=False)

    @classmethod
    def lasting(cls, seconds: float | None, seed: int, max_steps: int | None) -> Budget:
        """The budget that begins now."""
        return cls(seed, max_steps, None if seconds is None else time.monotonic() + seconds)

    @property
    def left(self) -> float | None:
        """Seconds, None if they do not count."""
        if self.stopped:
            return 0.0
        return None if self.end is None else max(0.0, self.end - time.monotonic())


def search_within(
    memory: Memory,
    seconds: float,
    find: Callable[[float, int | None], Tree],
    cost: Callable[[Tree], float],
    budget: Budget,
) -> Tree:
    """The best tree that the memory holds, found in `seconds`; it may be sliced.

    Where the first trees keep to the limit, all the time goes into the search of more; else into
    the search of trees and slices together, whose intermediates are small enough.

    Args:
        find: searches for so many seconds, in slices of at most so many entries if that is given;
            what it returns is never worse than before.
        cost: which of two trees is the better one.
    """
    look = find(_LOOK * seconds, None)
    if not memory.holds(look):
        return _search_sliced(look, memory, find, budget)
    if budget.stopped:
        return look
    tree = find((1.0 - _LOOK) * seconds, None)
    if not memory.holds(tree):
        tree = sliced_to_fit(tree, memory, budget)
    return look if cost(look) < cost(tree) else tree


def _search_sliced(
    look: Tree, memory: Memory, find: Callable[[float, int | None], Tree], budget: Budget
) -> Tree:
    """Slices that are found quickly say how many entries a slice may have; then trees and slices
    are searched for together, at first for twice as many, for good ones hold less besides."""
    glance = partial(_slices(budget), max_time=_GLANCE * _rest(budget))
    held: list[Tree] = []
    size: int | None
    shares: tuple[float, ...] = (_FIRST, _SECOND)
    most = max(1, look.max_size - 1)
    try:
        tree, size = _bracketed(look, memory, budget, glance)
        held.append(tree)
        size = min(2 * size, most)
    except MemoryLimitError:  # harder than a glance can tell: entries fall about as memory does
        halvings = _halvings(memory, memory.required(look))
        size = max(1, look.max_size >> halvings)
        if halvings > _MOST_HALVINGS + _UNSURE:  # only another tree can help
            size, shares = None, (_SECOND,)
    for share in shares:
        if budget.stopped or (held and not _rest(budget)):
            break
        look = find(share * _rest(budget), size)
        fits = memory.holds(look)
        if size is not None:  # never the same again, which would be answered from memory
            size = max(1, min(2 * size if fits else size // 2, most))
        if not fits:
            try:  # a few more slices may do
                look = _bracketed(look, memory, budget, glance)[0]
            except MemoryLimitError:
                continue
        held.append(look)
    if not held:
        return sliced_to_fit(look, memory, budget)
    return min(held, key=lambda tree: tree.hoisted_macs)


def _rest(budget: Budget) -> float:
    return budget.left or 0.0


def _slices(budget: Budget) -> Callable[..., Tree]:
    """`slice_tree` as the budget has it."""
    return partial(
        slice_tree,
        seed=budget.seed,
        max_steps=budget.max_steps,
        max_slices=MOST_SLICES,
        stopped=budget.stopped,
    )


def sliced_to_fit(tree: Tree, memory: Memory, budget: Budget) -> Tree:
    """The tree in the fewest slices found that the memory holds; against the clock, at a glance.

    Raises:
        MemoryLimitError: no slicing is enough; the message says what would do.
        KeyboardInterrupt: none was found before Ctrl-C came.
    """
    slices = _slices(budget)
    try:
        if budget.left is None:
            return _bracketed(tree, memory, budget, slices)[0]
        with suppress(MemoryLimitError):  # harder than a glance can tell
            return _bracketed(
                tree, memory, budget, partial(slices, max_time=_GLANCE * _rest(budget))
            )[0]
        return _bracketed(tree, memory, budget, partial(slices, max_time=_LONGER * _rest(budget)))[
            0
        ]
    except MemoryLimitError:
        if budget.stopped:  # with more time there might be some
            raise budget.stopped[-1] from None
        raise


def _bracketed(
    tree: Tree, memory: Memory, budget: Budget, slices: Callable[[Tree, int], Tree]
) -> tuple[Tree, int]:
    """The tree in slices that the memory holds, and the entries that made them do so.

    Memory falls about as fast as the largest intermediate, which is halved `halvings` times: the
    first guess comes from that, then the bracket between slices that are too large and slices that
    are too many is opened by doubling and closed by bisection. It does not fall strictly, so that
    all that could do are tried before giving up, if there is time.
    """
    whole = tree.max_size
    last = inf if budget.end is None else max(budget.end, time.monotonic() + _MOMENT)
    tried: dict[int, tuple[Tree, int]] = {}

    def fits(halvings: int) -> bool:
        if halvings not in tried:
            try:
                found = slices(tree, max(1, whole >> halvings))
                tried[halvings] = found, memory.required(found)
            except MemoryLimitError:  # too many
                tried[halvings] = tree, IMPOSSIBLE
        return tried[halvings][1] <= memory.limit

    if memory.result > IMPOSSIBLE:
        raise MemoryLimitError(
            f"the result alone takes {readable(memory.result)} bytes: no memory_limit would do"
        )
    unsliced = memory.required(tree)
    guess = _halvings(memory, unsliced)
    if guess > _MOST_HALVINGS + _UNSURE:
        raise MemoryLimitError(
            f"keeping this contraction to {memory.limit:,} bytes would take more than "
            f"2**{_MOST_HALVINGS} slices: search longer for a better path, or allow more"
        )
    too_big, end = 0, 1 + min(whole.bit_length(), _MOST_HALVINGS)
    halvings, stride = max(1, min(guess, end - 1)), 1
    while not fits(halvings) and too_big < halvings:
        if tried[halvings][0] is tree:
            end, halvings = halvings, (too_big + halvings) // 2
        else:
            too_big, halvings, stride = halvings, min(end - 1, halvings + stride), 2 * stride
    if not fits(halvings):
        first = max(1, min(guess - 2, end // 2))
        rest = takewhile(lambda _: time.monotonic() < last, range(first, end))
        halvings = too_big = next(filter(fits, rest), -1)
    if halvings < 0:
        counted = [size for found, size in tried.values() if found is not tree]
        raise MemoryLimitError(
            f"no slicing keeps this contraction to {memory.limit:,} bytes: "
            f"the smallest memory_limit that would do is {min([unsliced, *counted]):,} bytes"
        )
    while halvings - too_big > 1:
        middle = (too_big + halvings) // 2
        if fits(middle):
            halvings = middle
        else:
            too_big = middle
    return tried[halvings][0], max(1, whole >> halvings)


def _halvings(memory: Memory, unsliced: int) -> int:
    """How often memory has to be halved until it holds what takes so many bytes unsliced."""
    return ceil(log2(max(1, unsliced)) - log2(max(1, memory.limit, memory.result)))


# Slicing for the caches: bytes of the largest intermediate of a slice, the best first, the macs
# from which on it is looked into, and how many more macs it may cost. Constants, so that plans are
# the same everywhere.
_CACHED_BYTES = (8 << 20, 16 << 20, 32 << 20, 64 << 20)
LONG_RUN = 10**8
_MORE_MACS = 1.5


def sliced_for_cache(
    tree: Tree, itemsize: int, macs: Callable[[Tree], int], budget: Budget
) -> Tree:
    """The tree in slices that stay near the caches, or as it is where they cost too much.

    Args:
        macs: what a run really computes: steps outside the slice loop run once.
    """
    if tree.macs < LONG_RUN or tree.expr.output_size * itemsize > _CACHED_BYTES[0]:
        return tree
    seconds = None if budget.left is None else budget.left / len(_CACHED_BYTES)
    slices = partial(_slices(budget), max_time=seconds)
    for limit in _CACHED_BYTES:
        if tree.max_size * itemsize <= 4 * limit:
            break
        with suppress(MemoryLimitError):  # more slices than can be run
            sliced = slices(tree, limit // itemsize)
            if macs(sliced) <= _MORE_MACS * tree.macs:
                return sliced
    return tree
