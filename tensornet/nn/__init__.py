"""Neural networks on the kernels and the tape of tensornet: the data that they learn from."""

from __future__ import annotations

from .data import Dataset

__all__ = ["Dataset"]
