"""Linear algebra on arrays: decompositions with truncation, matrix functions, Krylov solvers."""

from __future__ import annotations

from .decompositions import eigh, inv, norm, qr, rq, svd
from .exponential import expm

__all__ = ["eigh", "expm", "inv", "norm", "qr", "rq", "svd"]
