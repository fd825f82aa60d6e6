"""Linear algebra on arrays: decompositions with truncation, matrix functions, Krylov solvers."""

from __future__ import annotations

from . import krylov
from .decompositions import eigh, inv, norm, qr, rq, solve, svd
from .exponential import expm
from .initialisers import eye, ones, randn, random_uniform, zeros

__all__ = [
    "eigh",
    "expm",
    "eye",
    "inv",
    "krylov",
    "norm",
    "ones",
    "qr",
    "randn",
    "random_uniform",
    "rq",
    "solve",
    "svd",
    "zeros",
]
