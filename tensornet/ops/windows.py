"""Windows that slide over an array: where they lie, for convolution and pooling alike."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

from ..errors import ShapeError

__all__ = ["DATA_FORMATS", "Windows", "place_windows"]

# By the number of spatial axes: channels last, which is the default, and channels first.
DATA_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


class Windows(NamedTuple):
    """All windows over one array; one entry per spatial axis where there are several.

    On each of them, window ``o`` sees the positions ``o * stride - before + t * dilation`` of the
    array for t from 0 to kernel - 1; those outside of it are padding.
    """

    batch: int
    channels: int
    channels_last: bool
    extents: tuple[int, ...]  # of the array
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]  # padding in front, and behind
    after: tuple[int, ...]
    counts: tuple[int, ...]  # of windows: the extents of the result

    def shape(self, channels: int) -> tuple[int, ...]:
        """The shape of a result with so many channels."""
        return with_channels(self.batch, channels, self.counts, self.channels_last)


def with_channels(
    batch: int, channels: int, spatial: tuple[int, ...], last: bool
) -> tuple[int, ...]:
    """A shape in one of the data formats."""
    return (batch, *spatial, channels) if last else (batch, channels, *spatial)


def place_windows(
    name: str,
    shape: Sequence[int],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[Any] = "VALID",
    dilation: int | Sequence[int] = 1,
    data_format: str = "NHWC",
    spatial: int = 2,
) -> Windows:
    """Check the arguments of a sliding operation, and say where its windows lie.

    Args:
        name: of the operation, for errors.
        shape: of the array.
        kernel: extents of a window.
        stride: from one window to the next.
        padding: "VALID" for none; "SAME" for ``ceil(extent / stride)`` windows, the odd position
            behind, as TensorFlow does; a number for all axes, both in front and behind; or one
            entry per spatial axis, which is such a number or a pair (in front, behind).
        dilation: from one position within a window to the next.
        data_format: one of `DATA_FORMATS`.
        spatial: number of spatial axes; kernel, stride and dilation are one number for all of
            them, or one for each.

    Raises:
        ShapeError: what does not fit; also a window larger than the padded array.

    >>> place_windows("pool", (1, 5, 5, 3), 2, 2, "SAME").counts
    (3, 3)
    >>> place_windows("conv", (1, 3, 5, 5), 3, padding=[1, (0, 2)], data_format="NCHW").counts
    (5, 5)
    """
    last = _channels_last(name, data_format, spatial)
    if len(shape) != spatial + 2:
        raise ShapeError(
            f"{name} takes an array of {spatial + 2} axes, {data_format}, not one of shape "
            f"{tuple(shape)}"
        )
    extents = tuple(shape[1:-1] if last else shape[2:])
    kernels = _per_axis(name, "kernel", kernel, spatial)
    strides = _per_axis(name, "stride", stride, spatial)
    dilations = _per_axis(name, "dilation", dilation, spatial)
    reaches = [(k - 1) * d + 1 for k, d in zip(kernels, dilations)]
    pairs = _padding_pairs(name, padding, extents, strides, reaches)
    same = isinstance(padding, str) and padding.upper() == "SAME"
    counts = []
    for axis, (extent, reach, step, (front, behind)) in enumerate(
        zip(extents, reaches, strides, pairs)
    ):
        room = extent + front + behind - reach
        if same:
            counts.append(-(-extent // step))
            continue
        if room < 0:
            raise ShapeError(
                f"{name}: a window that reaches over {reach} positions does not fit on spatial "
                f"axis {axis}, of extent {extent} and padding {front} + {behind}"
            )
        counts.append(room // step + 1)
    return Windows(
        shape[0],
        shape[-1] if last else shape[1],
        last,
        extents,
        kernels,
        strides,
        dilations,
        tuple([front for front, _ in pairs]),
        tuple([behind for _, behind in pairs]),
        tuple(counts),
    )


def _channels_last(name: str, data_format: str, spatial: int) -> bool:
    formats = DATA_FORMATS[spatial]
    if data_format not in formats:
        raise ShapeError(
            f"{name} takes data_format {' or '.join(map(repr, formats))}, not {data_format!r}"
        )
    return data_format == formats[0]


def _per_axis(name: str, what: str, given: Any, spatial: int) -> tuple[int, ...]:
    try:
        numbers = (index(given),) * spatial
    except TypeError:
        numbers = tuple(map(index, given))
    if len(numbers) != spatial or min(numbers) < 1:
        raise ShapeError(
            f"{name}: {what}={given!r} is neither a positive number nor {spatial} of them"
        )
    return numbers


def _padding_pairs(
    name: str, padding: Any, extents: tuple[int, ...], strides: tuple[int, ...], reaches: list[int]
) -> list[tuple[int, int]]:
    """Padding in front and behind, per spatial axis."""
    if isinstance(padding, str):
        kind = padding.upper()
        if kind == "VALID":
            return [(0, 0)] * len(extents)
        if kind == "SAME":
            return [_same(*each) for each in zip(extents, strides, reaches)]
        raise ShapeError(f"{name}: padding is 'SAME', 'VALID' or numbers, not {padding!r}")
    try:
        entries = [index(padding)] * len(extents)
    except TypeError:
        entries = list(padding)
    try:
        pairs = [_pair(entry) for entry in entries]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != len(extents) or min(map(min, pairs)) < 0:
        raise ShapeError(
            f"{name}: padding={padding!r} is neither a number nor {len(extents)} entries, one per "
            "spatial axis, that are numbers or pairs (in front, behind), none negative"
        )
    return pairs


def _pair(entry: Any) -> tuple[int, int]:
    try:
        return (index(entry),) * 2
    except TypeError:
        front, behind = map(index, entry)
        return front, behind


def _same(extent: int, stride: int, reach: int) -> tuple[int, int]:
    missing = max(0, (-(-extent // stride) - 1) * stride + reach - extent)
    return missing // 2, missing - missing // 2
