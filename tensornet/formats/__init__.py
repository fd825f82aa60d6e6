"""Readers of network files: they return plain data (an Expr and arrays), never plan or run."""

from __future__ import annotations

from .network import Network, random_arrays, read_network
from .qsim import Circuit, Gate, read_circuit
from .uai import Model, read_uai

__all__ = [
    "Circuit",
    "Gate",
    "Model",
    "Network",
    "random_arrays",
    "read_circuit",
    "read_network",
    "read_uai",
]
