"""Sliding windows by their definition, position by position, for pooling and convolution."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tensornet.ops.windows import DATA_FORMATS, Windows, place_windows

Array = np.ndarray[Any, Any]


def seen(windows: Windows) -> Array:
    """(window, place within it, position of the array) of all that is seen, in C order."""
    axes = []
    for d in range(len(windows.extents)):
        starts = [o * windows.stride[d] - windows.before[d] for o in range(windows.counts[d])]
        offsets = [t * windows.dilation[d] for t in range(windows.kernel[d])]
        axes.append(
            [
                (o, t, start + offset)
                for (o, start), (t, offset) in product(enumerate(starts), enumerate(offsets))
                if 0 <= start + offset < windows.extents[d]
            ]
        )
    sizes = (windows.counts, windows.kernel, windows.extents)
    found = []
    for point in product(*axes):
        found.append([_number(coordinates, size) for coordinates, size in zip(zip(*point), sizes)])
    return np.array(sorted(found), dtype=int).reshape(-1, 3)


def _number(coordinates: Any, extents: Any) -> int:
    number = 0
    for coordinate, extent in zip(coordinates, extents):
        number = number * extent + coordinate
    return number


def flat(x: Array, last: bool) -> Array:
    """(batch, positions, channels)."""
    x = x if last else np.moveaxis(x, 1, -1)
    return x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), x.shape[-1])


def shaped(x: Array, extents: tuple[int, ...], last: bool) -> Array:
    """The inverse of `flat`."""
    x = x.reshape(x.shape[0], *extents, x.shape[-1])
    return x if last else np.moveaxis(x, -1, 1)


def random_windows(rng: np.random.Generator, *, channels: int = 0) -> Windows:
    """Windows each of which sees something, over an array of one to three spatial axes."""
    while True:
        spatial = int(rng.integers(1, 4))
        most = {1: 40, 2: 20, 3: 7}[spatial]
        extents = [int(n) for n in rng.integers(1, most, spatial)]
        kernel = [int(n) for n in rng.integers(1, 6, spatial)]
        stride = [int(n) for n in rng.integers(1, 5, spatial)]
        dilation = [int(n) for n in rng.choice([1, 1, 1, 2, 3], spatial)]
        padding: Any = [(int(rng.integers(0, 3)), int(rng.integers(0, 3))) for _ in kernel]
        padding = ["SAME", "VALID", padding, padding][rng.integers(4)]
        batch, many = int(rng.integers(1, 4)), channels or int(rng.choice([1, 3, 8, 17, 33]))
        data_format = DATA_FORMATS[spatial][rng.integers(2)]
        shape = [batch, *extents, many] if data_format[-1] == "C" else [batch, many, *extents]
        try:
            windows = place_windows(
                "windows", shape, kernel, stride, padding, dilation, data_format, spatial
            )
        except ValueError:
            continue
        if len(set(seen(windows)[:, 0])) == np.prod(windows.counts):
            return windows


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    """Values and places; the first of equals, the last NaN."""
    last = windows.channels_last
    source = flat(x, last)
    shape = (windows.batch, int(np.prod(windows.counts)), windows.channels)
    values, places = np.empty(shape, x.dtype), np.zeros(shape, int)
    fresh = set(range(shape[1]))
    for window, place, position in seen(windows):
        entry = source[:, position]
        better = (entry > values[:, window]) | np.isnan(entry) | (window in fresh)
        fresh.discard(window)
        values[:, window] = np.where(better, entry, values[:, window])
        places[:, window] = np.where(better, place, places[:, window])
    return shaped(values, windows.counts, last), shaped(places, windows.counts, last)


def positions(places: Array, windows: Windows) -> Array:
    """The position of the array that each place names, as (batch, windows, channels)."""
    table = {(window, place): position for window, place, position in seen(windows)}
    named = flat(places, windows.channels_last)
    found = [[[table[w, p] for p in row] for w, row in enumerate(each)] for each in named.tolist()]
    return np.array(found, int).reshape(named.shape)


def avg_pool(x: Array, windows: Windows, padded: bool) -> Array:
    """Averages, in at least double precision."""
    source = flat(x, windows.channels_last).astype(np.result_type(x, np.float64))
    triples = seen(windows)
    count = int(np.prod(windows.counts))
    sums = np.zeros((windows.batch, count, windows.channels), source.dtype)
    np.add.at(sums, (slice(None), triples[:, 0]), source[:, triples[:, 2]])
    counts = np.bincount(triples[:, 0], minlength=count)
    if padded:
        counts = np.full(count, np.prod(windows.kernel))
    return shaped(sums / counts[:, None], windows.counts, windows.channels_last)


def depthwise(x: Array, w: Array, windows: Windows) -> Array:
    """Results with w as a matrix (taps, channels * multiplier), in at least double precision."""
    source = flat(x, windows.channels_last).astype(np.result_type(x, np.float64))
    triples = seen(windows)
    multiplier = w.shape[1] // windows.channels
    source = np.repeat(source, multiplier, -1)
    sums = np.zeros((windows.batch, int(np.prod(windows.counts)), w.shape[1]), source.dtype)
    products = source[:, triples[:, 2]] * w[triples[:, 1]]
    np.add.at(sums, (slice(None), triples[:, 0]), products)
    return shaped(sums, windows.counts, windows.channels_last)
