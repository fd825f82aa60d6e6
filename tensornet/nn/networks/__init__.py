"""Layers whose parameters are tensor networks."""

from __future__ import annotations

from .convolution import Conv2DMPO, CPConv2D, TuckerConv2D
from .embedding import TTEmbedding
from .mpo import DenseDecomp, DenseMPO
from .mps import MPSClassifier
from .shaping import DenseCondenser, DenseEntangler, DenseExpander

__all__ = [
    "CPConv2D",
    "Conv2DMPO",
    "DenseCondenser",
    "DenseDecomp",
    "DenseEntangler",
    "DenseExpander",
    "DenseMPO",
    "MPSClassifier",
    "TTEmbedding",
    "TuckerConv2D",
]
