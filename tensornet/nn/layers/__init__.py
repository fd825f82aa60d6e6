"""Layers: modules with one input, the batch on its first axis and channels on its last."""

from __future__ import annotations

from .activation import (
    ELU,
    GELU,
    Activation,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from .containers import Lambda, Sequential
from .convolution import Conv1D, Conv2D, Conv3D
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .normalisation import BatchNorm, LayerNorm
from .shaping import Flatten, Reshape

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Lambda",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
