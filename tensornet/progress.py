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
    """Draws ``[=====>    ]  42%  12.3 s, 17.0 s left`` over itself on one line.

    Nothing is drawn in the first half second, so short work stays silent.
    """

    WIDTH = 30
    DELAY = 0.5

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.start = time.monotonic()
        self.drawn = False

    def __call__(self, done: float, total: float) -> None:
        elapsed = time.monotonic() - self.start
        if elapsed < self.DELAY or total <= 0:
            return
        part = min(1.0, done / total)
        filled = int(part * self.WIDTH)
        bar = "=" * filled + ">" * (filled < self.WIDTH)
        left = f"{elapsed * (1 - part) / part:.1f} s left" if part > 0 else "starting"
        self.stream.write(f"\r[{bar:<{self.WIDTH}}] {part:4.0%}  {elapsed:.1f} s, {left}   ")
        self.stream.flush()
        self.drawn = True

    def close(self) -> None:
        """Clear the line."""
        if self.drawn:
            self.stream.write("\r" + " " * (self.WIDTH + 40) + "\r")
            self.stream.flush()


@contextmanager
def progress_bar(
    progress: Progress,
) -> Iterator[Callable[[float, float], object] | None]:
    """The function to report to: the caller's own, a bar's for True, None for no reports."""
    if not progress:
        yield None
    elif progress is True:
        bar = ProgressBar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield progress
