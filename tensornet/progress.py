"""A progress bar on stderr for long work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["Bar", "Progress", "ProgressBar", "duration", "progress_bar"]

Progress = bool | Callable[[float, float], object] | None
"""What `progress=` takes: True for a bar, or a function of (done, total)."""


class Bar:
    """A line that is drawn over itself, on stderr or another stream."""

    WIDTH = 30

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.shown = 0  # characters of the line

    def draw(self, part: float | None, facts: Iterable[str]) -> None:
        """Show facts, behind a bar that is filled to this part of 1 if it is known."""
        line = ", ".join(facts)
        if part is not None:
            filled = int(part * self.WIDTH)
            bar = "=" * filled + ">" * (filled < self.WIDTH)
            line = f"[{bar:<{self.WIDTH}}] {part:4.0%}  {line}"
        self.stream.write(f"\r{line:<{self.shown}}")
        self.stream.flush()
        self.shown = max(self.shown, len(line))

    def close(self) -> None:
        """Clear the line."""
        if self.shown:
            self.stream.write("\r" + " " * self.shown + "\r")
            self.stream.flush()
            self.shown = 0


class ProgressBar(Bar):
    """Draws ``[==>  ]  42%  27 of 64 slices, 3.1/s, 12.4 GFLOP/s, 8.7 s, 11.9 s left`` over itself.

    Nothing is drawn in the first half second, so short work stays silent.

    Args:
        slices, outside: into how many slices the work is cut, and macs that come before them.
        flops: floating point operations of a mac.
    """

    DELAY = 0.5

    def __init__(
        self,
        stream: TextIO | None = None,
        slices: int = 1,
        outside: float = 0.0,
        flops: int = 2,
    ) -> None:
        super().__init__(stream)
        self.slices, self.outside, self.flops = slices, outside, flops
        self.start = time.monotonic()
        self.first: float | None = None  # done when first told, perhaps by an earlier run

    def __call__(self, done: float, total: float) -> None:
        elapsed = time.monotonic() - self.start
        if self.first is None:
            self.first = done
        if elapsed < self.DELAY or total <= 0:
            return
        self.draw(min(1.0, done / total), self._facts(done, total, elapsed))

    def _facts(self, done: float, total: float, elapsed: float) -> Iterator[str]:
        since = max(0.0, done - (self.first or 0.0))
        if self.slices > 1:
            each = (total - self.outside) / self.slices
            finished = int(max(0.0, done - self.outside) / each + 1e-6) if each > 0 else 0
            yield f"{finished:,} of {self.slices:,} slices"
            if since > 0 and each > 0:
                yield f"{since / each / elapsed:.3g}/s"
        if since <= 0:
            yield f"{duration(elapsed)}, starting"
            return
        yield f"{self.flops * since / elapsed / 1e9:.3g} GFLOP/s"
        yield duration(elapsed)
        yield f"{duration(elapsed * max(0.0, total - done) / since)} left"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days.

    >>> duration(59.94), duration(7200)
    ('59.9 s', '2.0 h')
    """
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 72)):
        if seconds < most * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


@contextmanager
def progress_bar(
    progress: Progress,
    slices: int = 1,
    outside: float = 0.0,
    flops: int = 2,
) -> Iterator[Callable[[float, float], object] | None]:
    """The function to report to: the caller's own, a bar's for True, None for no reports."""
    if not progress or (progress is True and sys.stderr is None):  # a program without a console
        yield None
    elif progress is True:
        bar = ProgressBar(None, slices, outside, flops)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield progress
