"""Data for training: datasets that are read, mapped, shuffled, batched and fetched ahead.

`Dataset` is the whole of it for users. Behind it stand stages, one for each method: a stage starts
at any position of any epoch, which is all that shuffling anew and resuming need.

    structure   elements: arrays in tuples and dicts
    stages      what orders elements: ranges, parts, repeats, shuffles, caches
    transforms  what makes other elements: map, filter, batch, zip, interleave
    sources     rows of arrays and what a generator yields
    threads     work done ahead by threads that end with the iteration
    idx         IDX files, such as MNIST's
"""

from __future__ import annotations

from .dataset import Dataset, Iteration
from .idx import load_idx, load_mnist

__all__ = ["Dataset", "Iteration", "load_idx", "load_mnist"]
