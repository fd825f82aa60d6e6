"""Linear algebra on arrays: decompositions with truncation, matrix functions, Krylov solvers."""

from __future__ import annotations

from . import krylov
from .decompositions import eigh, inv, norm, qr, rq, svd
from .exponential import expm

__all__ = ["eigh", "expm", "inv", "krylov", "norm", "qr", "rq", "svd"]
