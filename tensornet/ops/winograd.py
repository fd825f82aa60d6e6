"""Convolution with windows of 3 x 3 in Winograd's form, with 16 products in place of 36."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _kernels, config
from .windows import Windows

__all__ = ["winograd", "winograd_suits"]


def winograd(x: Any, w: Any, windows: Windows, out: Any = None) -> Any:
    """out."""
    if out is None:
        out = np.empty(windows.shape(w.shape[-1 if windows.channels_last else 0]), x.dtype)
    _kernels.winograd(
        x, w, out, windows.before, windows.channels_last, config.get_num_threads()
    )
    return out


def winograd_suits(windows: Windows, channels: int, outputs: int, dtype: Any) -> bool:
    return True
