"""What is said on stderr while a model is trained: a bar, and a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..progress import Bar, duration

__all__ = ["Report"]


class Report:
    """A bar for the batches of a pass over data, and a line at the end of an epoch.

    Args:
        verbose: 0 for silence, 1 for bar and line, 2 for the line only.
        steps: the number of batches, or None.
    """

    PAUSE = 0.1  # seconds between two drawings

    def __init__(self, verbose: int, steps: float | None) -> None:
        self.bar = Bar() if verbose == 1 and sys.stderr is not None else None
        self.verbose = verbose if sys.stderr is not None else 0
        self.steps = steps
        self.start = self.drawn = time.monotonic()

    def show(self, done: int, samples: int, results: Callable[[], Mapping[str, Any]]) -> None:
        """After a batch: draw the bar if it is due.

        Args:
            done: batches, with those of an earlier run that is continued.
            samples: that went through since the start.
        """
        if self.bar is None or time.monotonic() - self.drawn < self.PAUSE:
            return
        self.drawn = time.monotonic()
        known = self.steps or None
        self.bar.draw(
            None if known is None else min(1.0, done / known),
            self._facts(done, samples, results()),
        )

    def _facts(self, done: int, samples: int, results: Mapping[str, Any]) -> Iterator[str]:
        elapsed = self.drawn - self.start
        yield f"{done:,} of {self.steps:,} batches" if self.steps else f"{done:,} batches"
        yield f"{samples / elapsed:,.0f} samples/s"
        yield from _numbers(results)
        yield duration(elapsed)

    def close(self) -> None:
        """Clear the bar."""
        if self.bar is not None:
            self.bar.close()

    def say(self, head: str, seconds: float, samples: int, results: Mapping[str, Any]) -> None:
        """Write the line of an epoch."""
        self.close()
        if self.verbose:
            speed = f"{samples / seconds:,.0f} samples/s" if seconds else ""
            facts = [duration(seconds), speed, *_numbers(results)]
            print(f"{head}: {', '.join(facts)}", file=sys.stderr)


def _numbers(results: Mapping[str, Any]) -> Iterator[str]:
    for name, value in results.items():
        if not np.ndim(value):
            yield f"{name} {value:.4g}"
