"""The few exception classes of tensornet, each also a builtin that callers already catch."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "FormatError",
    "MemoryLimitError",
    "PlanError",
    "ShapeError",
    "TensorNetError",
]


class TensorNetError(Exception):
    """Base of every error that only tensornet raises."""


class ShapeError(TensorNetError, ValueError):
    """Operands, indices or extents that do not fit together."""


class PlanError(TensorNetError, ValueError):
    """A path, plan or optimizer that does not describe a contraction of this network."""


class FormatError(TensorNetError, ValueError):
    """A file that is not what its format promises; the message names file and line."""


class CheckpointError(TensorNetError, ValueError):
    """A checkpoint that a run cannot continue from: of another plan or other inputs, or damaged."""


# MemoryError comes first because its __new__ refuses classes whose first base is another one;
# without that, what distributed makes of errors cannot be unpickled
class MemoryLimitError(MemoryError, TensorNetError):
    """A contraction that cannot keep to the memory there is; says how many bytes it would take."""
