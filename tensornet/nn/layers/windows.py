"""Layers whose windows slide over their inputs, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, ClassVar

from ...ops.windows import DATA_FORMATS, Windows, place_windows
from ..module import Module

__all__ = ["WORDS", "Windowed"]

WORDS = ("depth", "height", "width")


class Windowed(Module):
    """A layer whose windows slide over one, two or three spatial axes.

    Args:
        window: extents of a window; a number, or one per axis.
        strides, dilation: the same.
        padding: "same" or "valid" in any case, or numbers.

    Raises:
        ValueError: numbers that are not positive, or not one per axis; another word.
    """

    spatial: ClassVar[int]

    _shape: tuple[int, ...] | None = None  # of the inputs that `_windows` were placed over
    _windows: Windows

    def __init__(
        self,
        window: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str | int | Sequence[Any],
        dilation: int | Sequence[int] = 1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(padding, str) and padding.upper() not in ("SAME", "VALID"):
            raise ValueError(f"padding is 'same', 'valid' or numbers, not {padding!r}")
        self.window = _per_axis("the window", window, self.spatial)
        self.strides = _per_axis("strides", strides, self.spatial)
        self.padding = padding.upper() if isinstance(padding, str) else padding
        self.dilation = _per_axis("dilation", dilation, self.spatial)

    def windows_over(self, x: Any, channels: int | str = "channels") -> Windows:
        """Where the windows lie over inputs, which are checked.

        Raises:
            ShapeError, TypeError: they name the layer and what it expects.
        """
        if self._shape != x.shape:
            self.check_input(x, "batch", *WORDS[-self.spatial :], channels)
            data_format = DATA_FORMATS[self.spatial][0]
            geometry = (self.window, self.strides, self.padding, self.dilation)
            self._windows = place_windows(self.label, x.shape, *geometry, data_format, self.spatial)
            self._shape = x.shape
        elif x.dtype != self.input_dtype:
            self.check_input(x, *x.shape)
        return self._windows


def _per_axis(name: str, given: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One positive number per spatial axis.

    >>> _per_axis("strides", 2, 3)
    (2, 2, 2)
    """
    try:
        numbers = (index(given),) * axes  # type: ignore[arg-type]
    except TypeError:
        numbers = tuple(map(index, given))  # type: ignore[arg-type]
    if len(numbers) != axes or min(numbers) < 1:
        raise ValueError(f"{name}: {given!r} is neither a positive number nor {axes} of them")
    return numbers
