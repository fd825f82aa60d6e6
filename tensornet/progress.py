"""A progress bar on stderr for long work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["Progress", "ProgressBar", "progress_bar"]

Progress = bool | Callable[[float, float], object] | None
"""What `progress=` takes: True for a bar, or a function of (done, total)."""


class ProgressBar:
    """Draws ``[==>  ]  42%  27 of 64 slices, 3.1/s, 12.4 GFLOP/s, 8.7 s, 11.9 s left`` over itself.

    Nothing is drawn in the first half second, so short work stays silent.

    Args:
        slices, outside: into how many slices the work is cut, and macs that come before them.
        flops: floating point operations of a mac.
    """

    WIDTH = 30
    DELAY = 0.5

    def __init__(
        self,
        stream: TextIO | None = None,
        slices: int = 1,
        outside: float = 0.0,
        flops: int = 2,
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.slices, self.outside, self.flops = slices, outside, flops
        self.start = time.monotonic()
        self.first: float | None = None  # done when first told, perhaps by an earlier run
        self.shown = 0  # characters of the line

    def __call__(self, done: float, total: float) -> None:
        elapsed = time.monotonic() - self.start
        if self.first is None:
            self.first = done
        if elapsed < self.DELAY or total <= 0:
            return
        part = min(1.0, done / total)
        filled = int(part * self.WIDTH)
        bar = "=" * filled + ">" * (filled < self.WIDTH)
        facts = ", ".join(self._facts(done, total, elapsed))
        line = f"[{bar:<{self.WIDTH}}] {part:4.0%}  {facts}"
        self.stream.write(f"\r{line:<{self.shown}}")
        self.stream.flush()
        self.shown = max(self.shown, len(line))

    def _facts(self, done: float, total: float, elapsed: float) -> Iterator[str]:
        since = max(0.0, done - (self.first or 0.0))
        if self.slices > 1:
            each = (total - self.outside) / self.slices
            finished = int(max(0.0, done - self.outside) / each + 1e-6) if each > 0 else 0
            yield f"{finished:,} of {self.slices:,} slices"
            if since > 0 and each > 0:
                yield f"{since / each / elapsed:.3g}/s"
        if since <= 0:
            yield f"{_duration(elapsed)}, starting"
            return
        yield f"{self.flops * since / elapsed / 1e9:.3g} GFLOP/s"
        yield _duration(elapsed)
        yield f"{_duration(elapsed * max(0.0, total - done) / since)} left"

    def close(self) -> None:
        """Clear the line."""
        if self.shown:
            self.stream.write("\r" + " " * self.shown + "\r")
            self.stream.flush()


def _duration(seconds: float) -> str:
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
