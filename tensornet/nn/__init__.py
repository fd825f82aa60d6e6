"""Neural networks on the kernels and the tape of tensornet: layers, losses, optimisers, data."""

from __future__ import annotations

from . import (
    activations,
    callbacks,
    functional,
    initialisers,
    layers,
    losses,
    metrics,
    networks,
    optimisers,
    schedules,
)
from .checkpoints import load_checkpoint, save_checkpoint
from .clipping import clip_by_global_norm, clip_by_value, global_norm
from .data import Dataset
from .history import History
from .layers import *  # noqa: F403
from .module import Module
from .networks import *  # noqa: F403
from .optimiser import Optimiser
from .optimisers import SGD, Adagrad, Adam, AdamW, RMSprop
from .parameter import freeze, is_trainable, thaw

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Dataset",
    "History",
    "Module",
    "Optimiser",
    "RMSprop",
    "activations",
    "callbacks",
    "clip_by_global_norm",
    "clip_by_value",
    "freeze",
    "functional",
    "global_norm",
    "initialisers",
    "is_trainable",
    "layers",
    "load_checkpoint",
    "losses",
    "metrics",
    "networks",
    "optimisers",
    "save_checkpoint",
    "schedules",
    "thaw",
    *layers.__all__,
    *networks.__all__,
]
